"""Where each trial stands in the plan as the events come, and so what each task was for."""

from __future__ import annotations

from dataclasses import dataclass

from dhpo.history.events import Event, Promoted, StepDone, TrialStarted

__all__ = ["Rungs", "Task"]


@dataclass(frozen=True, slots=True)
class Task:
    """A task that trained and scored trials.

    Parameters
    ----------
    worker : str or None
        Its name, where it is known.
    begin, end : float
        Seconds since the search began.
    bracket, rung : int
        Of its first trial; others may be of other brackets.
    calls : int
        Made in the task, or fits.
    """

    worker: str | None
    begin: float
    end: float
    bracket: int
    rung: int
    calls: int


class Rungs:
    """The bracket and the rung of each trial."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[int, int]] = {}

    def take(self, event: Event) -> None:
        """Follow one event more."""
        match event:
            case TrialStarted(trial, train=train):
                self._of[trial.number] = trial.bracket, 0 if train is None else train.rung
            case Promoted(train):
                self._of[train.trial] = self._of[train.trial][0], train.rung

    def of(self, trial: int) -> tuple[int, int]:
        """Bracket and rung; 0 and 0 of a trial that has not started."""
        return self._of.get(trial, (0, 0))

    def task(self, event: StepDone) -> Task:
        """The task that ended with an event."""
        stats = event.stats
        seconds = stats.seconds or stats.fit_seconds + stats.score_seconds  # of whole fits only these are known
        bracket, rung = self.of(next(iter(event.progress), -1))
        return Task(event.worker, max(event.time - seconds, 0.0), event.time, bracket, rung, stats.calls)
