"""Which values of a summary are facts, and worth being told to others."""

from __future__ import annotations

import math

__all__ = ["is_known"]


def is_known(value: str | float) -> bool:
    """Whether a value says something; a number that is not finite does not.

    Parameters
    ----------
    value : str or float
    """
    return isinstance(value, str) or math.isfinite(value)
