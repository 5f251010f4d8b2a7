"""What a step keeps of each of its models, and of its own costs, while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dhpo.data.row_protection import copied, lent
from dhpo.data.rows import Rows
from dhpo.user_code import told
from dhpo.worker.messages import Outcome, Work

__all__ = ["Meter", "ModelInStep", "failures_of"]


@dataclass
class Meter:
    """What a step has cost so far; see `dhpo.history.events.StepStats`."""

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
    read_seconds: float = 0.0


@dataclass
class ModelInStep:
    """A model while its step runs.

    Parameters
    ----------
    work : Work
    estimator : estimator or None
        The model itself; None before it is made or read, and after it was handed on.
    outcome : Outcome
    put_off : bool
        Whether another step does for it what this one was to do: there was no room for its model, or rows that it
        shares with others were written to, by itself or by somebody else.
    scored_later : bool
        Whether its score alone is left to another step, for the second reason.
    """

    work: Work
    estimator: Any
    outcome: Outcome
    put_off: bool = False
    scored_later: bool = False

    @property
    def alive(self) -> bool:
        """Whether it can be trained and scored."""
        return self.outcome.error is None and not self.outcome.lost and not self.put_off

    def rows(self, rows: Rows) -> Rows:
        """The rows as this model gets them."""
        return copied(rows) if self.outcome.writes else lent(rows)

    def begin_anew(self) -> None:
        """Take back what the step has done for this model: another step does it again, on copies of the rows."""
        self.estimator, self.put_off = None, True
        self.outcome.calls, self.outcome.error, self.outcome.writes = self.work.start, None, True

    def score_later(self) -> None:
        """Leave the score to another step, on copies of the rows."""
        self.scored_later, self.outcome.error, self.outcome.writes = True, None, True

    @property
    def due(self) -> bool:
        """Whether it is to be scored now."""
        reached = self.outcome.calls == self.work.target
        return self.alive and self.work.scored and self.outcome.score is None and reached and not self.scored_later


@contextmanager
def failures_of(outcome: Outcome) -> Iterator[list[BaseException]]:
    """A model that raises, whatever it raises, costs its trial alone; gives a list that holds the error then."""
    caught: list[BaseException] = []
    try:
        yield caught
    except BaseException as error:  # Ctrl-C reaches the main thread of the driver, where no trial runs
        caught.append(error)
        outcome.error = told(error)
