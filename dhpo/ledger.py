"""Where each trial of a search stands: takes decisions and outcomes, and tells what is ready to run.

The bookkeeping of the executor, without Dask and without a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dhpo.cohorts import Assignment, Costs, Ready
from dhpo.events import Dropped, Event, Reported, TrialStarted
from dhpo.job import Job
from dhpo.models import KeptModels
from dhpo.steps import Outcome, Work
from dhpo.trial import Drop, Report, Train, Trial

__all__ = ["Ledger"]


@dataclass
class _Active:
    """A trial that the schedule has not dropped."""

    trial: Trial
    target: int = 0
    rung: int = 0
    calls: int = 0
    run_end: int = 0
    home: str | None = None
    under_way: bool = False
    wanted: bool = False
    failed_steps: int = 0
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    last: Report | None = None


class Ledger:
    """All trials that are not dropped.

    Parameters
    ----------
    job : Job
    models : KeptModels
    append : callable
        Adds an event to the history.
    now : callable
        Returns the seconds since the search began, for the events.

    Attributes
    ----------
    costs : Costs
        What a call and a score of each trial take.
    """

    def __init__(self, job: Job, models: KeptModels, append: Callable[[Event], None], now: Callable[[], float]) -> None:
        self.costs = Costs()
        self._job = job
        self._models = models
        self._append = append
        self._now = now
        self._active: dict[int, _Active] = {}

    def take_decisions(self) -> None:
        """Ask the schedule until it has nothing more to say."""
        while (decision := self._job.schedule.ask()) is not None:
            match decision:
                case Train(number, resource, bracket, rung):
                    active = self._active.get(number) or self._start(number, bracket)
                    active.target, active.rung, active.wanted = resource, rung, True
                case Drop(number):
                    self._append(Dropped(decision, self._now()))
                    self._models.ended(number, self._active.pop(number).last)

    def _start(self, number: int, bracket: int) -> _Active:
        trial = Trial(number, self._job.sampler.ask(number), bracket)
        self._append(TrialStarted(trial, self._now()))
        active = self._active[number] = _Active(trial)
        return active

    def ready(self) -> Iterator[Ready]:
        """The trials that wait for a thread."""
        for number, a in self._active.items():
            if a.wanted and not a.under_way:
                yield Ready(number, a.calls, a.target, a.rung, a.home, a.failed_steps > 0, a.run_end)

    def work(self, number: int, with_model: bool) -> Work:
        """What a step has to know of a trial.

        Parameters
        ----------
        number : int
        with_model : bool
            Whether the model itself goes along, because the worker does not see the store.
        """
        active = self._active[number]
        checkpoint = self._models.latest(number)
        model = self._models.read(checkpoint) if with_model and checkpoint is not None else None
        return Work(number, dict(active.trial.params), active.calls, active.target, checkpoint, model)

    def sent(self, assignment: Assignment) -> None:
        """A step was submitted."""
        for number in assignment.trials:
            self._active[number].under_way = True
            self._active[number].run_end = assignment.run_end

    def advanced(self, outcome: Outcome, worker: str) -> None:
        """A trial came back from a step on `worker`."""
        active = self._active[outcome.trial]
        scored = outcome.score is not None
        self.costs.measured(
            outcome.trial, outcome.calls - active.calls, outcome.fit_seconds, scored, outcome.score_seconds
        )
        if outcome.error is None and outcome.calls > active.calls:
            checkpoint = outcome.checkpoint
            if outcome.model is not None:
                checkpoint = self._models.write(outcome.trial, outcome.calls, outcome.model)
            if checkpoint is not None:
                self._models.trained(checkpoint)
        active.under_way, active.calls, active.home = False, outcome.calls, worker
        active.fit_seconds += outcome.fit_seconds
        active.score_seconds += outcome.score_seconds

    def settled(self, outcome: Outcome) -> None:
        """Report a trial that has come back, if it was scored or failed."""
        if outcome.error is not None:
            self._report(outcome.trial, float("nan"), outcome.error)
        elif outcome.score is not None:
            self._report(outcome.trial, outcome.score, None)

    def step_failed(self, assignment: Assignment, error: BaseException) -> None:
        """A whole step failed, as when its worker died again and again: each of its trials gets one more, alone."""
        for number in assignment.trials:
            active = self._active[number]
            active.under_way = False
            active.failed_steps += 1
            if active.failed_steps > 1:
                self._report(number, float("nan"), f"{type(error).__name__}: {error}")

    def _report(self, number: int, score: float, error: str | None) -> None:
        active = self._active[number]
        report = Report(number, active.calls, score, active.fit_seconds, active.score_seconds, error)
        active.last, active.wanted, active.failed_steps = report, False, 0
        active.fit_seconds = active.score_seconds = 0.0
        self._models.reported(report)
        self._append(Reported(report, self._now()))
        self._job.sampler.tell(report)
        self._job.schedule.tell(report)
