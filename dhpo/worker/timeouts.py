"""How it is told that a trial took longer than `trial_timeout`."""

from __future__ import annotations

__all__ = ["is_timeout", "timeout_error"]

_TIMEOUT = "TrialTimeout"


def timeout_error(deadline: float, what: str) -> str:
    """What is reported of a trial that takes too long."""
    return f"{_TIMEOUT}: trial_timeout={deadline:g} s is over, and {what}"


def is_timeout(error: str | None) -> bool:
    """Whether this is what `timeout_error` returns."""
    return error is not None and error.startswith(_TIMEOUT)
