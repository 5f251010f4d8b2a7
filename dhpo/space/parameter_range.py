"""What is known of the values that a parameter may take, for those who draw them or hand them on."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["MAX_CHOICES", "Choice", "ParameterRange", "are_far_apart", "readable_choice", "scales_of"]

MAX_CHOICES = 1_000
_LONGEST_TEXT = 200
# Values that are so many times apart are drawn on a logarithmic scale.
_FAR_APART = 100

Choice = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class ParameterRange:
    """The values that a parameter may take, as far as its space tells.

    Parameters
    ----------
    kind : {"log", "linear", "category"}
        How it is best drawn: numbers on a logarithmic or a linear scale, or anything else.
    low, high : int or float, optional
        The lowest and the highest value, both included. None where there is no bound, where it is not known, and where
        there are values other than numbers.
    integers : bool, default False
        Whether all values are integers.
    choices : tuple, optional
        The values themselves, where they are listed: each is None, a bool, an int, a float or a str; those of other
        types are told by `readable_choice`. None where any value between `low` and `high` may be drawn, and where there
        are more than 1,000 of them.
    """

    kind: str
    low: float | None = None
    high: float | None = None
    integers: bool = False
    choices: tuple[Choice, ...] | None = None


def scales_of(ranges: Mapping[str, ParameterRange]) -> dict[str, str]:
    """How each parameter is best drawn: "log", "linear" or "category"."""
    return {name: of_parameter.kind for name, of_parameter in ranges.items()}


def are_far_apart(values: Collection[float]) -> bool:
    """Whether numbers that are listed are best drawn on a logarithmic scale: all positive, and far apart.

    Parameters
    ----------
    values : collection of float
        At least one.
    """
    return min(values) > 0 and max(values) / min(values) >= _FAR_APART


def readable_choice(value: Any) -> Choice:
    """The same value, or a text for one that is neither None nor a bool, finite number or text.

    Parameters
    ----------
    value : object
        The text is its `repr` without addresses in memory, of at most 200 characters, so that it is the same in every
        process; that of a function or class is its name.
    """
    if isinstance(value, np.bool | np.integer | np.floating | np.str_):
        value = value.item()
    if value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value)):
        return value  # type: ignore[no-any-return]
    text = getattr(value, "__qualname__", None)
    if not isinstance(text, str):
        try:
            text = repr(value)
        except Exception:  # of the user's class
            text = type(value).__qualname__
    text = " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", text).split())
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
