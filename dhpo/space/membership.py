"""Whether a value is one of those that a parameter may take."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

__all__ = ["is_among"]


def is_among(value: Any, choice: Any) -> bool:
    """Whether a value is one of those that were given, as a list or as a distribution.

    Parameters
    ----------
    value : object
    choice : sequence or distribution
        Of a distribution that does not tell its support, every value may be one.
    """
    if not hasattr(choice, "rvs"):
        return any(_same(value, listed) for listed in choice)
    if isinstance(value, bool | np.bool) or not isinstance(value, Real):
        return False
    try:
        low, high = map(float, choice.support())
    except Exception:  # a class of the user's: the method may be missing, or something else
        return True
    return bool(low <= float(value) <= high)


def _same(value: Any, listed: Any) -> bool:
    """Whether two values are the same to an estimator: 1 and 1.0 are not, nor are 1 and True."""
    plain = [one.item() if isinstance(one, np.generic) else one for one in (value, listed)]
    if type(plain[0]) is not type(plain[1]):
        return False
    try:
        return bool(plain[0] == plain[1])
    except Exception:  # as of arrays
        return repr(plain[0]) == repr(plain[1])
