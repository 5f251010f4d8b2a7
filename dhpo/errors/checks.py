"""Checks of single parameters: each returns the value as it is used, or says what was given and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

__all__ = ["check_methods", "checked_factor", "checked_int", "checked_seconds"]

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


def checked_seconds(name: str, value: Any) -> float:
    """Return a time in seconds that is above 0 and finite, or say what is wrong with the parameter `name`."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}={value!r} is of type {type(value).__name__}; give a number of seconds.")
    if not 0 < float(value) < math.inf:
        raise ValueError(f"{name}={value!r} is not allowed: give a positive, finite number of seconds.")
    return float(value)


def check_methods(what: str, value: Any, methods: Sequence[str], contract: str) -> None:
    """Raise TypeError if an object of the user is not of the kind that is needed.

    Parameters
    ----------
    what : str
        The parameter and its value, for the message.
    value : object
    methods : sequence of str
        That it has to have.
    contract : str
        Where it is told what they do: "dhpo.Sampler", for instance.
    """
    missing = [name for name in methods if not callable(getattr(value, name, None))]
    if isinstance(value, type):
        raise TypeError(f"{what} is a class; give an object of it. See {contract}.")
    if missing:
        raise TypeError(f"{what} has no method {' and no '.join(missing)}. See {contract}.")
