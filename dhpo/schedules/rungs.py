"""Rungs at which all trials are scored and none is dropped."""

from __future__ import annotations

from collections.abc import Iterator

from dhpo.schedules.plan import Rung

__all__ = ["calls_of_scores", "fixed_rungs"]


def fixed_rungs(n: int, max_iter: int, fits_per_score: int | None = None) -> tuple[Rung, ...]:
    """Train all `n` trials to `max_iter`, scored every `fits_per_score` calls and at the end."""
    step = max_iter if fits_per_score is None else fits_per_score
    return tuple(Rung(n, resource) for resource in calls_of_scores(step, max_iter))


def calls_of_scores(step: int, end: int) -> Iterator[int]:
    """The calls after which trials are scored: every `step`, and at the end."""
    yield from range(step, end, step)
    yield end
