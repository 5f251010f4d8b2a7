"""Where each trial of a search stands: takes decisions and outcomes, and tells what is ready to run.

The bookkeeping of the executor, without Dask and without a clock.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from dhpo.driver.costs import Costs
from dhpo.driver.folds import Folds, is_refit, refit_number
from dhpo.driver.known_trials import KnownTrials
from dhpo.driver.promise import Promise
from dhpo.driver.step_planning import Assignment
from dhpo.driver.trial_progress import ModelProgress, TrialProgress
from dhpo.driver.trial_starts import TrialStarts
from dhpo.driver.trial_table import TrialTable
from dhpo.history.events import (
    Dropped,
    Event,
    ModelState,
    Promoted,
    Reported,
    SplitScores,
)
from dhpo.history.mean_scores import mean_scores
from dhpo.samplers.base import Sampler
from dhpo.schedules.base import Schedule
from dhpo.scoring import Metrics
from dhpo.storage.kept_models import KeptModels
from dhpo.trial import Drop, Report, Train, Trial
from dhpo.worker.breadcrumbs import Crumb, Deed
from dhpo.worker.messages import Outcome, Work

__all__ = ["Ledger"]

# Steps of a trial alone that fail for reasons outside of it, as when its data cannot be read, end the search.
_FAILED_STEPS = 3


class Ledger:
    """Keeps account of all trials.

    Parameters
    ----------
    schedule : Schedule
        Says what to train, and is told what came of it.
    sampler : Sampler
        Gives the parameters.
    metrics : Metrics
    folds : Folds
    models : KeptModels
    append : callable
        Adds an event to the history.
    now : callable
        Returns the seconds since the search began, for the events.

    Attributes
    ----------
    costs : Costs
        What a call and a score of each model take.
    trials : TrialTable
        Those that are not dropped.
    starts : TrialStarts
        How trials get their parameters.
    """

    def __init__(
        self,
        schedule: Schedule,
        sampler: Sampler,
        metrics: Metrics,
        folds: Folds,
        models: KeptModels,
        append: Callable[[Event], None],
        now: Callable[[], float],
    ) -> None:
        self.costs = Costs()
        self.trials = TrialTable(folds, Promise(schedule.plan()))
        self._schedule = schedule
        self._metrics = metrics
        self._folds = folds
        self._models = models
        self._append = append
        self._now = now
        self._refits: dict[int, ModelState] = {}  # of a process before this one
        self._known: KnownTrials | None = None
        self.starts = TrialStarts(sampler, self.trials, append, now)

    def take_decisions(self, n_threads: int, together: float) -> None:
        """Ask the schedule until it has nothing more to say, or enough of it.

        Parameters
        ----------
        n_threads : int
            That have nothing to do.
        together : float
            An asynchronous schedule is asked only while so many seconds of work do not wait for each of them: what it
            says later rests on more reports.
        """
        schedule = self._schedule
        room, waiting = n_threads * together, 0.0
        if schedule.asynchronous:
            waiting = sum(self._waiting(active, together) for active in self.trials)
        while (not schedule.asynchronous or waiting < room) and (decision := schedule.ask()) is not None:
            match decision:
                case Train(number) if number in self.trials:
                    self._append(Promoted(decision, self._now()))
                    self.train(decision)
                    self._take_over(self.trials[number])
                    if number in self.trials and self.trials[number].settled:  # it was trained ahead
                        self._report(self.trials[number])
                    waiting += self._waiting(self.trials[number], together)
                case Train(number):
                    self.propose(decision)
                    # An asynchronous schedule asks for no more than can begin now.
                    if schedule.asynchronous or (self._known is not None and self.starts.rests_on_no_report(number)):
                        self.starts.begin_trial(self.trials[number])
                        self._take_over(self.trials[number])
                    waiting += self._waiting(self.trials[number], together)
                case Drop():
                    self._append(Dropped(decision, self._now()))
                    self.drop(decision)

    def know(self, known: KnownTrials) -> None:
        """Take over from now on what earlier searches have done for the trials of this one."""
        self._known = known
        for active in list(self.trials):
            self._take_over(active)

    def _take_over(self, active: TrialProgress) -> None:
        """Report a trial whose score is known, or let it go on from where an earlier search had brought it."""
        if self._known is None or active.train is not None or (taken := self._known.take_over(active)) is None:
            return
        reused, reported = taken
        self._append(replace(reused, time=self._now()))
        for state in reused.models:
            self.advance(state)
        if reported is not None:
            self._append(replace(reported, time=self._now()))
            self.take_report(reported.report)

    def _waiting(self, active: TrialProgress, most: float) -> float:
        """Seconds of a trial's work that wait for a thread; a chain of calls fills no more than one step."""
        if not active.wanted:
            return 0.0
        models = [model for model in active.models if not model.under_way and model.scores is None]
        if models and self.costs.mean_call is None:
            return most
        return min(sum(self.costs.work(m.number, active.next_target - m.calls) for m in models), most)

    def forget_lost_models(self) -> None:
        """Begin anew with models whose files are gone."""
        there = self._models.files()
        for model in self.trials.models():
            checkpoint = self._models.latest(model.number)
            if model.calls and (checkpoint is None or checkpoint.file not in there):
                self.advance(replace(model.state, calls=0, checkpoint=None))

    def propose(self, train: Train) -> None:
        """A new trial is asked for; its parameters are drawn when it is begun, and rest on all reports until then."""
        models = [ModelProgress(ModelState(model)) for model in self._folds.models(train.trial)]
        self.trials.enter(train.trial, TrialProgress(Trial(train.trial, {}, train.bracket), models, train=train))
        self.train(train)

    def proposed(self, trial: int) -> Train | None:
        """What was asked for of a trial that is not begun; None of any other."""
        return self.trials[trial].train if trial in self.trials else None

    def train(self, train: Train) -> None:
        """More training of a trial is asked for."""
        active = self.trials[train.trial]
        active.target, active.rung, active.wanted, active.ahead = train.resource, train.rung, True, None

    def drop(self, drop: Drop) -> None:
        """A trial is given up."""
        active = self.trials.remove(drop.trial)
        self.starts.drop(drop)
        if self._folds.n_folds:
            self._models.folds_ended(model.number for model in active.models)
        else:
            self._models.ended(drop.trial, active.last)

    def begin_refit(self, trial: Trial, calls: int) -> None:
        """Train a new model with the parameters of a trial on all rows, for so many calls."""
        number = refit_number(trial.number)
        state = self._refits.get(number, ModelState(number))
        if state.calls > calls:
            state = ModelState(number)
            self._models.forget(number)
        model = ModelProgress(state)
        self.trials.enter(number, TrialProgress(trial, [model], calls, wanted=True, scored=False))

    def refitted(self, trial: Trial) -> SplitScores | None:
        """What came of the model that is trained on all rows; None while it is in training."""
        active = self.trials[refit_number(trial.number)]
        if active.models[0].calls == active.target and active.models[0].scores is None:
            return SplitScores({})
        return active.models[0].scores

    def look_ahead(self, most: int) -> None:
        """Allow the trials that lead to be trained before they are promoted.

        Parameters
        ----------
        most : int
            Trials that may be trained ahead at a time.
        """
        self.trials.allow_ahead(self._schedule.leading()[:most])

    def is_dropped(self, outcome: Outcome) -> bool:
        """Whether the trial of an outcome was dropped while it was trained ahead; its model is forgotten then."""
        dropped = not self.trials.has_model(outcome.model)
        if dropped and outcome.state.checkpoint is not None:
            self._models.discard(outcome.state.checkpoint)
        return dropped

    def work(self, number: int, with_model: bool) -> Work:
        """What a step has to know of a model.

        Parameters
        ----------
        number : int
        with_model : bool
            Whether the model itself goes along, because the worker does not see the store.
        """
        active, model = self.trials.of_model(number)
        checkpoint = self._models.latest(number)
        return Work(
            replace(model.state, checkpoint=checkpoint),
            dict(active.trial.params),
            active.next_target,
            pickled=self._models.read(checkpoint) if with_model and checkpoint is not None else None,
            trial=active.trial.number,
            fold=self._folds.fold(number),
            scored=active.scored,
        )

    def advanced(self, outcome: Outcome, worker: str) -> ModelState:
        """A model came back from a step on `worker`; return how far it has come."""
        state = outcome.state
        if outcome.pickled is not None:
            state = replace(state, checkpoint=self._models.write(state.model, state.calls, outcome.pickled))
        if outcome.error is not None or outcome.lost:  # it has not been stored since
            state = replace(state, calls=0 if state.checkpoint is None else state.checkpoint.calls)
        _, model = self.trials.of_model(state.model)
        scored = outcome.score is not None
        self.costs.measured(
            state.model,
            max(outcome.state.calls - model.calls, 0),
            state.fit_seconds - model.state.fit_seconds,
            scored,
            state.score_seconds - model.state.score_seconds,
            worker,
        )
        self.advance(state)
        model.came_back(worker, outcome.state.calls, scored)
        return state

    def advance(self, state: ModelState) -> None:
        """A model was brought so far."""
        if is_refit(state.model) and not self.trials.has_model(state.model):  # of a process before this one
            self._refits[state.model] = state
            if state.checkpoint is not None:
                self._models.trained(state.checkpoint)
            return
        _, model = self.trials.of_model(state.model)
        if state.calls < model.calls:
            self._models.forget(state.model)
        elif state.checkpoint is not None and state.calls > model.calls:
            self._models.trained(state.checkpoint)
        model.state = state

    def progress(self, outcome: Outcome) -> tuple[int, int]:
        """The trial of an outcome, and the calls that all its models have seen; not those ahead of its last report."""
        active, _ = self.trials.of_model(outcome.model)
        calls = min(model.calls for model in active.models)
        return active.trial.number, calls if active.wanted or active.last is None else active.last.resource

    def settled(self, outcome: Outcome) -> None:
        """Report the trial of a model that has come back, once each of its models was scored or failed."""
        active, model = self.trials.of_model(outcome.model)
        if outcome.error is not None:
            self._score(active, model, {}, outcome.error)
        elif outcome.score is not None:
            # What is not finite is a failure, ranked last.
            score = outcome.score if math.isfinite(outcome.score) else math.nan
            found = {self._metrics.deciding: score, **outcome.others}
            self._score(active, model, {name: found[name] for name in self._metrics.scoring}, None)
        elif not active.scored and model.calls == active.target:
            self._score(active, model, {}, None)

    def step_lost(self, assignment: Assignment, crumb: Crumb | None, crumbs_kept: bool) -> None:
        """The worker of a step died in it: its models go on from the store.

        Parameters
        ----------
        assignment : Assignment
        crumb : Crumb or None
            What the step was about to do.
        crumbs_kept : bool
            Whether the crumb would be known if there was one. Else each model of the step comes under suspicion.
        """
        for _, model in self.trials.taken_back(assignment):
            model.lost_steps += 1
            if assignment.quarantined:
                # It was in a process of its own, and the worker died nevertheless: workers die by themselves here.
                model.cleared()
            elif crumb is not None and crumb.model == model.number:
                # Steps end at other calls every time, and pickle what was trained since it was stored.
                model.suspect((model.calls if crumb.deed == Deed.PICKLING else crumb.call, crumb.deed))
            elif crumb is None and not crumbs_kept:
                model.suspect((model.calls, Deed.TRAINING))

    def step_hangs(self, assignment: Assignment, hanging: int, error: str) -> None:
        """A step was given up because of one of its models, which failed by that."""
        for active, model in self.trials.taken_back(assignment):
            if model.number == hanging:
                self._score(active, model, {}, error)

    def step_failed(self, assignment: Assignment) -> bool:
        """A whole step failed, for no fault of its models: each of them goes on alone.

        Returns
        -------
        bool
            Whether this has happened to one of them too often.
        """
        models = [model for _, model in self.trials.taken_back(assignment)]
        for model in models:
            model.failed_steps += 1
        return any(model.failed_steps >= _FAILED_STEPS for model in models)

    def step_vanished(self, assignment: Assignment) -> None:
        """A step was taken back, or was lost together with the scheduler; its models are not the cause."""
        self.trials.taken_back(assignment)

    def seconds_left(self, trial_timeout: float) -> dict[int, float]:
        """Seconds that each model under way may still take."""
        models = [model for model in self.trials.models() if model.under_way]
        left = {model.number: max(trial_timeout - model.state.spent, 0.0) for model in models}
        return defaultdict(lambda: trial_timeout, left)  # those dropped while they were trained ahead

    def _score(self, active: TrialProgress, model: ModelProgress, scores: dict[str, float], error: str | None) -> None:
        model.scores = SplitScores(scores, None, model.fit_seconds, model.score_seconds, error)
        if active.scored and active.settled and active.wanted:
            self._report(active)

    def _report(self, active: TrialProgress) -> None:
        splits = tuple(model.scores for model in active.models if model.scores is not None)
        error = next((split.error for split in splits if split.error is not None), None)
        deciding = [split.test.get(self._metrics.deciding, math.nan) for split in splits]
        report = Report(
            active.trial.number,
            min(model.calls for model in active.models),
            math.nan if error is not None else sum(deciding) / len(deciding),
            sum(model.fit_seconds for model in active.models),
            sum(model.score_seconds for model in active.models),
            error,
            active.trial.bracket,
            active.rung,
            mean_scores(splits),
        )
        self._append(Reported(report, self._now(), splits))
        self.take_report(report)

    def take_report(self, report: Report) -> None:
        """A trial was scored, or failed."""
        active = self.trials[report.trial]
        active.last, active.wanted = report, False
        for model in active.models:
            model.scores, model.reported = None, model.state
        if not self._folds.n_folds:  # else the best is trained anew, on all rows
            self._models.reported(report)
        self.starts.tell(report)
        self._schedule.tell(report)
