"""Where each trial stands in the plan as the events come, and so what each step was for."""

from __future__ import annotations

from dataclasses import dataclass

from dhpo.history.events import Event, Promoted, StepDone, TrialStarted

__all__ = ["Rungs", "TimedStep"]


@dataclass(frozen=True, slots=True)
class TimedStep:
    """A step of training, and when it ran where.

    Parameters
    ----------
    worker : str or None
        Its name, where it is known.
    begin, end : float
        Seconds since the search began.
    bracket, rung : int
        Of its first trial; others may be of other brackets.
    calls : int
        Made in the step, or fits.
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

    def timed(self, event: StepDone) -> TimedStep:
        """The step that ended with an event."""
        stats = event.stats
        seconds = stats.seconds or stats.fit_seconds + stats.score_seconds  # of whole fits only these are known
        bracket, rung = self.of(next(iter(event.progress), -1))
        return TimedStep(event.worker, max(event.time - seconds, 0.0), event.time, bracket, rung, stats.calls)
