"""What is told to others of a search: which values of a summary are facts, and what its resource is called."""

from __future__ import annotations

import math

from dhpo.history.history import History

__all__ = ["is_known", "resource_name"]


def is_known(value: str | float) -> bool:
    """Whether a value says something; a number that is not finite does not.

    Parameters
    ----------
    value : str or float
    """
    return isinstance(value, str) or math.isfinite(value)


def resource_name(history: History) -> str:
    """What trials are trained for, in the plural.

    Parameters
    ----------
    history : History
    """
    return "calls of partial_fit" if history.unit == "call" else f"{history.unit}s"
