"""Under which topics of Dask's events driver and scheduler speak of a search. This module is sent by value."""

from __future__ import annotations

__all__ = ["topic_of_rows", "topic_of_state", "topic_of_stop"]


def topic_of_rows(name: str) -> str:
    """Where the driver says what is new."""
    return f"dhpo-{name}"


def topic_of_state(name: str) -> str:
    """Where the scheduler says whether there is a page for a search."""
    return f"dhpo-page-{name}"


def topic_of_stop(name: str) -> str:
    """Where the page asks for the end of a search."""
    return f"dhpo-stop-{name}"
