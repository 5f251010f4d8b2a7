"""How far a search is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from dhpo.history.events import (
    DataPrepared,
    Dropped,
    Event,
    PhaseReached,
    Planned,
    Reported,
    Reused,
    StepDone,
    Stopped,
    TrialStarted,
)
from dhpo.history.history import History
from dhpo.schedules.plan import Plan
from dhpo.wording import percent

__all__ = ["BracketProgress", "Progress"]


@dataclass
class BracketProgress:
    """What one bracket, or all of them, has come to.

    Parameters
    ----------
    planned_trials, planned_calls : int
        By the plan; 0 where there is none.
    trials : int
        That were started.
    ended : int
        That will not be trained again.
    calls : int
        Of `partial_fit`, or fits.
    scores : dict of int to float
        The last score of each trial that did not fail.
    over : bool
        Whether the search has ended.
    """

    planned_trials: int = 0
    planned_calls: int = 0
    trials: int = 0
    ended: int = 0
    calls: int = 0
    scores: dict[int, float] = field(default_factory=dict)
    over: bool = False

    @property
    def active(self) -> int:
        """Trials that were started, and have not ended; none once the search is over."""
        return 0 if self.over else self.trials - self.ended

    @property
    def all_trials(self) -> int:
        """As many as there will be."""
        return max(self.planned_trials, self.trials)

    @property
    def all_calls(self) -> int:
        """As many as there will be, where nothing stops early."""
        return max(self.planned_calls, self.calls)

    @property
    def share(self) -> float:
        """Of all calls, those that were made."""
        return self.calls / max(self.all_calls, 1)

    @property
    def best(self) -> float:
        """The highest last score; not a number before the first."""
        return max(self.scores.values(), default=math.nan)


class Progress:
    """Counts what the events of a history say, each of them once; a search may go on appending in another thread.

    Parameters
    ----------
    history : History
    plan : Plan, optional
        Where the history does not have one.

    Attributes
    ----------
    history : History
    brackets : dict of int to BracketProgress
    everything : BracketProgress
        All brackets together.
    data : DataPrepared or None
        What the first pass found.
    failed : set of int
        The trials whose last report is a failure.
    phase : PhaseReached or None
        The last that was told of.
    stopped : str or None
        How the search ended: "done", "stopped", "time budget" or "failed".
    time : float
        Seconds of the search at the last event.
    """

    def __init__(self, history: History, plan: Plan | None = None) -> None:
        self.brackets: dict[int, BracketProgress] = {}
        self.everything = BracketProgress()
        self.data: DataPrepared | None = None
        self.failed: set[int] = set()
        self.phase: PhaseReached | None = None
        self.stopped: str | None = None
        self.time = 0.0
        self.history = history
        self._bracket_of: dict[int, int] = {}
        self._calls_of: dict[int, int] = {}
        self._calls_before = 0
        self._seen = 0
        if plan is not None:
            self._add_plan(plan)
        self.update()

    def update(self) -> None:
        """Take in the events that are new."""
        events = self.history.events
        while self._seen < len(events):  # by index: others are appended meanwhile
            self._add(events[self._seen])
            self._seen += 1

    @property
    def alive(self) -> bool:
        """False where it is known that the process of the search has died."""
        return self.history.alive

    @property
    def status(self) -> str:
        """What the search is doing, in two or three words."""
        if self.stopped is not None:
            return self.stopped
        if self.phase is None:
            return "starting"
        if self.phase.total:
            return f"{self.phase.phase} {self.phase.done}/{self.phase.total}"
        if self.phase.phase == "training":
            return f"{'fitting' if self.history.by_fits else 'training'} {percent(self.everything.share)}"
        return self.phase.phase

    def seconds_left(self, now: float) -> float | None:
        """About how long the search will take from now on; None where nothing tells.

        Parameters
        ----------
        now : float
            Seconds since the search began.
        """
        if self.phase is None or self.phase.phase != "training" or self.stopped is not None or not self.alive:
            return None
        # Of this process, and since it began to train: a resumed search tells nothing by the calls of before.
        fresh, left = self.everything.calls - self._calls_before, self.everything.all_calls - self.everything.calls
        return (now - self.phase.time) * left / fresh if fresh > 0 and left > 0 else None

    def _add_plan(self, plan: Plan) -> None:
        self.everything.planned_trials, self.everything.planned_calls = plan.n_trials, plan.partial_fit_calls
        for bracket in plan.brackets:
            counts = self.brackets.setdefault(bracket.bracket, BracketProgress())
            counts.planned_trials, counts.planned_calls = bracket.n_trials, bracket.partial_fit_calls

    def _add(self, event: Event) -> None:
        if self.stopped is not None:  # it goes on
            self._set_over(False)
        self.time, self.stopped = event.time, None
        match event:
            case Planned(plan):
                self._add_plan(plan)
            case PhaseReached(phase):
                if phase == "training":
                    self._calls_before = self.everything.calls
                self.phase = event
            case DataPrepared():
                self.data = event
            case TrialStarted(trial):
                self._bracket_of[trial.number] = trial.bracket
                for counts in self._counts(trial.number):
                    counts.trials += 1
            case StepDone(progress):
                for number, calls in progress.items():
                    self._reach(number, calls)
            case Reused(trial, resource):
                before = self.everything.calls
                self._reach(trial, resource)
                self._calls_before += self.everything.calls - before
            case Reported(report):
                self._reach(report.trial, report.resource)
                (self.failed.add if event.failed else self.failed.discard)(report.trial)
                for counts in self._counts(report.trial):
                    if report.failed:
                        counts.scores.pop(report.trial, None)
                    else:
                        counts.scores[report.trial] = report.score
            case Dropped(drop):
                for counts in self._counts(drop.trial):
                    counts.ended += 1
            case Stopped(reason):
                self.stopped = reason
                self._set_over(True)

    def _set_over(self, over: bool) -> None:
        for counts in (self.everything, *self.brackets.values()):
            counts.over = over

    def _reach(self, number: int, calls: int) -> None:
        more = calls - self._calls_of.get(number, 0)
        if more > 0:
            self._calls_of[number] = calls
            for counts in self._counts(number):
                counts.calls += more

    def _counts(self, number: int) -> tuple[BracketProgress, BracketProgress]:
        bracket = self.brackets.setdefault(self._bracket_of[number], BracketProgress())
        return bracket, self.everything
