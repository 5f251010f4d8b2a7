"""What a step keeps of each of its models, and of its own costs, while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from dhpo.data.row_protection import copied, lent
from dhpo.data.rows import Rows
from dhpo.errors.user_code import told
from dhpo.history.events import Checkpoint, ModelState
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
    state : ModelState
        How far it has come by now.
    score, others, error, pickled, lost
        See `Outcome`.
    put_off : bool
        Whether another step does for it what this one was to do: there was no room for its model, or rows that it
        shares with others were written to, by itself or by somebody else.
    scored_later : bool
        Whether its score alone is left to another step, for the second reason.
    """

    work: Work
    estimator: Any
    state: ModelState
    score: float | None = None
    others: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    pickled: bytes | None = None
    lost: bool = False
    put_off: bool = False
    scored_later: bool = False

    @property
    def number(self) -> int:
        """See `dhpo.driver.folds`."""
        return self.state.model

    @property
    def calls(self) -> int:
        """`partial_fit` calls that it has seen."""
        return self.state.calls

    @property
    def alive(self) -> bool:
        """Whether it can be trained and scored."""
        return self.error is None and not self.lost and not self.put_off

    @property
    def due(self) -> bool:
        """Whether it is to be scored now."""
        reached = self.calls == self.work.target
        return self.alive and self.work.scored and self.score is None and reached and not self.scored_later

    def rows(self, rows: Rows) -> Rows:
        """The rows as this model gets them."""
        return copied(rows) if self.state.writes else lent(rows)

    def called(self, n_more: int = 1) -> None:
        """It has seen so many more units of resource."""
        self.state = replace(self.state, calls=self.calls + n_more)

    def took(self, *, fit_seconds: float = 0.0, score_seconds: float = 0.0) -> None:
        """So much more time was spent on it."""
        self.state = replace(
            self.state,
            fit_seconds=self.state.fit_seconds + fit_seconds,
            score_seconds=self.state.score_seconds + score_seconds,
        )

    def was_lost(self) -> None:
        """It could not be read from the store."""
        self.state, self.lost = replace(self.state, calls=0, checkpoint=None), True

    def stored(self, checkpoint: Checkpoint) -> None:
        """It was written to the store as it is now."""
        self.state = replace(self.state, checkpoint=checkpoint)

    def begin_anew(self) -> None:
        """Take back what the step has done for this model: another step does it again, on copies of the rows."""
        self.estimator, self.put_off, self.error = None, True, None
        self.state = replace(self.state, calls=self.work.start, writes=True)

    def score_later(self) -> None:
        """Leave the score to another step, on copies of the rows."""
        self.scored_later, self.error = True, None
        self.state = replace(self.state, writes=True)

    def outcome(self) -> Outcome:
        """What the driver is told of it."""
        return Outcome(self.state, self.score, self.others, self.error, self.pickled, self.lost)


@contextmanager
def failures_of(model: ModelInStep) -> Iterator[list[BaseException]]:
    """A model that raises, whatever it raises, costs its trial alone; gives a list that holds the error then."""
    caught: list[BaseException] = []
    try:
        yield caught
    except BaseException as error:  # Ctrl-C reaches the main thread of the driver, where no trial runs
        caught.append(error)
        model.error = told(error)
