"""Checks of single parameters: each returns the value as it is used, or says what was given and what is allowed."""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

__all__ = ["checked_factor", "checked_int"]

_FACTOR_DENOMINATOR = 1000


def checked_int(name: str, value: Any, minimum: int = 1) -> int:
    """Return `value` as an int, or say what is wrong with the parameter `name`.

    A float that is an integer is one; True and False are not.
    """
    integral = isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
    if not integral or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{name}={value!r} is not allowed: give an int >= {minimum}.")
    return int(value)


def checked_factor(name: str, value: Any) -> int | Fraction:
    """Return a reduction factor as an int, or else as the nearest fraction with a denominator of at most 1,000.

    Fractions make the arithmetic of rungs as exact as integers do.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 2 <= float(value) < math.inf:
        raise ValueError(f"{name}={value!r} is not allowed: give a number >= 2.")
    factor = Fraction(float(value)).limit_denominator(_FACTOR_DENOMINATOR)
    return int(factor) if factor.denominator == 1 else factor
