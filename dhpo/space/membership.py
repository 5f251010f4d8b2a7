"""Whether a value is one of those that a parameter may take, or at least of their kind."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

__all__ = ["gives_numbers", "is_among", "is_number", "is_same"]


def is_among(value: Any, choice: Any) -> bool:
    """Whether a value is one of those that were given, as a list or as a distribution.

    Parameters
    ----------
    value : object
    choice : sequence or distribution
        Of a distribution that does not tell its support, every value may be one.
    """
    if not hasattr(choice, "rvs"):
        return any(is_same(value, listed) for listed in choice)
    if not _is_real(value):
        return False
    try:
        low, high = map(float, choice.support())
    except Exception:  # a class of the user's: the method may be missing, or something else
        return True
    return bool(low <= float(value) <= high)


def is_number(value: Any) -> bool:
    """Whether a value is a number; True and what is "not a number" are none."""
    return _is_real(value) and bool(value == value)


def gives_numbers(choice: Any) -> bool:
    """Whether a list or a distribution is a distribution of numbers; one of the user's own may be of anything."""
    return hasattr(choice, "rvs") and is_number(choice.rvs(random_state=np.random.RandomState(0)))


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool)


def is_same(value: Any, listed: Any) -> bool:
    """Whether two values are the same to an estimator: 1 and 1.0 are not, nor are 1 and True."""
    plain = [one.item() if isinstance(one, np.generic) else one for one in (value, listed)]
    if type(plain[0]) is not type(plain[1]):
        return False
    try:
        return bool(plain[0] == plain[1])
    except Exception:  # as of arrays
        return repr(plain[0]) == repr(plain[1])
