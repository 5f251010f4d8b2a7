"""Colours of brackets, the same in all pictures."""

from __future__ import annotations

__all__ = ["COLOURS", "colour_of"]

# Tol's bright colours, which people tell apart who do not see all colours; they are readable on white and on black.
COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"]


def colour_of(bracket: int) -> str:
    """The colour of a bracket."""
    return COLOURS[bracket % len(COLOURS)]
