"""What a step keeps of each of its trials, and of its own costs, while it runs."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dhpo.steps import Outcome, Work

__all__ = ["Candidate", "Meter", "failures_of"]


@dataclass
class Meter:
    """What a step has cost so far; see `dhpo.events.StepStats`."""

    blocks_read: int = 0
    blocks_cached: int = 0
    bytes_read: int = 0
    validation_blocks_read: int = 0
    calls: int = 0
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    load_seconds: float = 0.0
    store_seconds: float = 0.0
    useful_cpu: float = 0.0


@dataclass
class Candidate:
    """A trial while its step runs."""

    work: Work
    model: Any
    outcome: Outcome

    @property
    def alive(self) -> bool:
        """Whether it can be trained and scored."""
        return self.outcome.error is None and not self.outcome.lost

    @property
    def due(self) -> bool:
        """Whether it is to be scored now."""
        reached = self.outcome.calls == self.work.target
        return self.alive and self.work.scored and self.outcome.score is None and reached


@contextmanager
def failures_of(outcome: Outcome) -> Iterator[None]:
    """A trial that raises costs that trial alone."""
    try:
        yield
    except Exception:
        outcome.error = traceback.format_exc()
