"""Integers drawn on a logarithmic scale, which SciPy has no distribution of."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rv_discrete

__all__ = ["lograndint"]


class _LogRandInt(rv_discrete):
    """The integers below the values of a log-uniform distribution from `low` to `high`: P(k) ~ log((k + 1) / k)."""

    def _argcheck(self, low: Any, high: Any) -> Any:
        return (low >= 1) & (high > low) & (low == np.floor(low)) & (high == np.floor(high))

    def _get_support(self, low: Any, high: Any) -> tuple[Any, Any]:
        return low, high - 1

    def _pmf(self, k: Any, low: Any, high: Any) -> Any:
        return (np.log(k + 1) - np.log(k)) / np.log(high / low)

    def _cdf(self, k: Any, low: Any, high: Any) -> Any:
        return np.log((np.floor(k) + 1) / low) / np.log(high / low)

    def _ppf(self, q: Any, low: Any, high: Any) -> Any:
        # The smallest k whose share is at least q, as everywhere in SciPy: rounding may land one beside it.
        k = np.clip(np.ceil(low * (high / low) ** q) - 1, low, high - 1)
        below = np.maximum(k - 1, low)
        return np.where(self._cdf(below, low, high) >= q, below, k)


_LOGRANDINT = _LogRandInt(name="lograndint")


def lograndint(low: int, high: int) -> Any:
    """A distribution of integers on a logarithmic scale: as many from 1 to 9 as from 10 to 99.

    Parameters
    ----------
    low : int
        The lowest, at least 1.
    high : int
        One more than the highest, as in `scipy.stats.randint`.

    Returns
    -------
    scipy.stats frozen distribution

    Raises
    ------
    ValueError
        If `low` is below 1, `high` is not above it, or one of them is no integer.

    Examples
    --------
    >>> from dhpo.spaces import lograndint
    >>> leaves = lograndint(1, 1000)
    >>> [int(end) for end in leaves.support()]
    [1, 999]
    >>> float(leaves.cdf(9).round(3)), float(leaves.cdf(99).round(3))
    (0.333, 0.667)
    """
    if not (isinstance(low, int | np.integer) and isinstance(high, int | np.integer) and 1 <= low < high):
        raise ValueError(f"lograndint({low!r}, {high!r}) is not allowed: give integers with 1 <= low < high.")
    return _LOGRANDINT(low, high)
