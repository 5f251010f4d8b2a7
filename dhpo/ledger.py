"""Where each trial of a search stands: takes decisions and outcomes, and tells what is ready to run.

The bookkeeping of the executor, without Dask and without a clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dhpo.cohorts import Assignment, Costs, Ready
from dhpo.events import Dropped, Event, Reported, SplitScores, TrialStarted
from dhpo.folds import REFIT, Folds
from dhpo.job import Job
from dhpo.models import KeptModels
from dhpo.steps import Outcome, Work
from dhpo.trial import Drop, Report, Train, Trial

__all__ = ["Ledger"]


@dataclass
class _Model:
    """One model of a trial."""

    number: int
    calls: int = 0
    run_end: int = 0
    home: str | None = None
    under_way: bool = False
    failed_steps: int = 0
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    scores: SplitScores | None = None


@dataclass
class _Active:
    """A trial that the schedule has not dropped."""

    trial: Trial
    models: list[_Model]
    target: int = 0
    rung: int = 0
    wanted: bool = False
    scored: bool = True
    last: Report | None = field(default=None)

    @property
    def settled(self) -> bool:
        """Whether the trial can be reported: each of its models was scored or failed.

        The folds besides one that fails go on: what is reported must not depend on which came back first.
        """
        return all(model.scores is not None for model in self.models)


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
        What a call and a score of each model take.
    """

    def __init__(self, job: Job, models: KeptModels, append: Callable[[Event], None], now: Callable[[], float]) -> None:
        self.costs = Costs()
        self._job = job
        self._folds = Folds(job.data.n_folds)
        self._models = models
        self._append = append
        self._now = now
        self._active: dict[int, _Active] = {}
        self._of_model: dict[int, tuple[_Active, _Model]] = {}

    def take_decisions(self) -> None:
        """Ask the schedule until it has nothing more to say."""
        while (decision := self._job.schedule.ask()) is not None:
            match decision:
                case Train(number, resource, bracket, rung):
                    active = self._active.get(number) or self._start(number, bracket)
                    active.target, active.rung, active.wanted = resource, rung, True
                case Drop(number):
                    self._append(Dropped(decision, self._now()))
                    active = self._active.pop(number)
                    for model in active.models:
                        del self._of_model[model.number]
                        if self._folds.n_folds:
                            self._models.forget(model.number)
                    if not self._folds.n_folds:
                        self._models.ended(number, active.last)

    def _start(self, number: int, bracket: int) -> _Active:
        trial = Trial(number, self._job.sampler.ask(number), bracket)
        self._append(TrialStarted(trial, self._now()))
        return self._enter(number, _Active(trial, [_Model(model) for model in self._folds.models(number)]))

    def _enter(self, number: int, active: _Active) -> _Active:
        self._active[number] = active
        self._of_model.update((model.number, (active, model)) for model in active.models)
        return active

    def begin_refit(self, trial: Trial, calls: int) -> None:
        """Train a new model with the parameters of a trial on all rows, for so many calls."""
        self._enter(REFIT, _Active(trial, [_Model(REFIT)], calls, wanted=True, scored=False))

    def refitted(self) -> SplitScores | None:
        """What came of the model that is trained on all rows; None while it is in training."""
        return self._active[REFIT].models[0].scores

    def ready(self) -> Iterator[Ready]:
        """The models that wait for a thread."""
        for a in self._active.values():
            if not a.wanted:
                continue
            for m in a.models:
                if not m.under_way and m.scores is None:
                    alone = m.failed_steps > 0
                    candidate = a.trial.number if self._folds.n_folds else None
                    yield Ready(m.number, m.calls, a.target, a.rung, m.home, alone, m.run_end, candidate)

    def work(self, number: int, with_model: bool) -> Work:
        """What a step has to know of a model.

        Parameters
        ----------
        number : int
        with_model : bool
            Whether the model itself goes along, because the worker does not see the store.
        """
        active, model = self._of_model[number]
        checkpoint = self._models.latest(number)
        return Work(
            number,
            dict(active.trial.params),
            model.calls,
            active.target,
            checkpoint,
            self._models.read(checkpoint) if with_model and checkpoint is not None else None,
            active.trial.number,
            self._folds.fold(number),
            active.scored,
        )

    def sent(self, assignment: Assignment) -> None:
        """A step was submitted."""
        for number in assignment.trials:
            model = self._of_model[number][1]
            model.under_way = True
            model.run_end = assignment.run_end

    def advanced(self, outcome: Outcome, worker: str) -> None:
        """A model came back from a step on `worker`."""
        _, model = self._of_model[outcome.trial]
        scored = outcome.score is not None
        self.costs.measured(
            outcome.trial, outcome.calls - model.calls, outcome.fit_seconds, scored, outcome.score_seconds
        )
        if outcome.error is None and outcome.calls > model.calls:
            checkpoint = outcome.checkpoint
            if outcome.model is not None:
                checkpoint = self._models.write(outcome.trial, outcome.calls, outcome.model)
            if checkpoint is not None:
                self._models.trained(checkpoint)
        model.under_way, model.calls, model.home = False, outcome.calls, worker
        model.fit_seconds += outcome.fit_seconds
        model.score_seconds += outcome.score_seconds

    def progress(self, outcome: Outcome) -> tuple[int, int]:
        """The trial of an outcome, and the calls that all its models have seen; REFIT is no trial."""
        active, _ = self._of_model[outcome.trial]
        return active.trial.number, min(model.calls for model in active.models)

    def settled(self, outcome: Outcome) -> None:
        """Report the trial of a model that has come back, once each of its models was scored or failed."""
        active, model = self._of_model[outcome.trial]
        if outcome.error is not None:
            self._score(active, model, {}, outcome.error)
        elif outcome.score is not None:
            # What is not finite is a failure, ranked last.
            score = outcome.score if math.isfinite(outcome.score) else math.nan
            found = {self._job.metrics.deciding: score, **outcome.others}
            self._score(active, model, {name: found[name] for name in self._job.metrics.scoring}, None)
        elif not active.scored and model.calls == active.target:
            self._score(active, model, {}, None)

    def step_failed(self, assignment: Assignment, error: BaseException) -> None:
        """A whole step failed, as when its worker died again and again: each of its models gets one more, alone."""
        for number in assignment.trials:
            active, model = self._of_model[number]
            model.under_way = False
            model.failed_steps += 1
            if model.failed_steps > 1:
                self._score(active, model, {}, f"{type(error).__name__}: {error}")

    def _score(self, active: _Active, model: _Model, scores: dict[str, float], error: str | None) -> None:
        model.scores = SplitScores(scores, None, model.fit_seconds, model.score_seconds, error)
        if active.scored and active.settled:
            self._report(active)

    def _report(self, active: _Active) -> None:
        splits = tuple(model.scores for model in active.models if model.scores is not None)
        error = next((split.error for split in splits if split.error is not None), None)
        deciding = [split.test.get(self._job.metrics.deciding, math.nan) for split in splits]
        report = Report(
            active.trial.number,
            min(model.calls for model in active.models),
            math.nan if error is not None else sum(deciding) / len(deciding),
            sum(model.fit_seconds for model in active.models),
            sum(model.score_seconds for model in active.models),
            error,
        )
        active.last, active.wanted = report, False
        for model in active.models:
            model.scores, model.failed_steps, model.fit_seconds, model.score_seconds = None, 0, 0.0, 0.0
        if not self._folds.n_folds:  # else the best is trained anew, on all rows
            self._models.reported(report)
        self._append(Reported(report, self._now(), splits))
        self._job.sampler.tell(report)
        self._job.schedule.tell(report)
