"""Turns the decisions of a schedule into Dask tasks, and their results into reports.

The only loop over futures. Everything that happens is appended to the history, and to the journal where there is one;
everything that is decided is decided by the schedule (what to train), the sampler (with which parameters) and
`dhpo.driver.step_submission` (where, and with whom).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dhpo.cluster.stopping import Stopping, from_any_thread
from dhpo.cluster.tasks import AnyWorkerClient
from dhpo.cluster.watchdog import REFRESH_SECONDS, Watch
from dhpo.cluster.workers import Workers
from dhpo.driver.best_model import BestModel
from dhpo.driver.folds import Folds, is_refit
from dhpo.driver.in_flight import InFlight
from dhpo.driver.job import Job
from dhpo.driver.judgement import judge_best
from dhpo.driver.known_trials import KnownTrials
from dhpo.driver.ledger import Ledger
from dhpo.driver.replay import replay
from dhpo.driver.sent_step import SentStep, StepLost
from dhpo.driver.startup import Opened, open_search
from dhpo.driver.step_length import Pace
from dhpo.driver.step_submission import StepSubmission
from dhpo.errors import SearchFailed, WorkersLost
from dhpo.errors.user_code import in_short
from dhpo.history.events import BestJudged, Refitted, StartedFrom, StepDone, ThreadsCounted
from dhpo.history.history import History
from dhpo.journal import Journal
from dhpo.journal.description import check_same_data
from dhpo.observers.base import ObservedSearch, Observers
from dhpo.observers.recorder import Recorder
from dhpo.storage.kept_models import KeptModels
from dhpo.storage.workspace import Workspace
from dhpo.views.text import started_from_line
from dhpo.wording import counted, were_done
from dhpo.worker.messages import StepResult
from dhpo.worker.timeouts import timeout_error

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Executor"]

logger = logging.getLogger(__name__)


class Executor:
    """Runs one search on one cluster.

    Nothing that it awaits may keep it waiting for ever. What is asked of the cluster has a deadline, or is awaited
    under a `Watch`, which has; a disk that hangs is waited for: nothing may go on before what was paid for is safe.

    Parameters
    ----------
    client : distributed.Client
    job : Job
    history : History
        Grows while the search runs.
    observers : Observers
    journal : Journal, optional
        Open, and of this very search. It is closed at the end.
    """

    def __init__(
        self, client: Client, job: Job, history: History, observers: Observers, journal: Journal | None = None
    ) -> None:
        self._client = client
        self.job = job
        self._history = history
        self._observers = observers
        self._journal = journal
        self._recorder = Recorder(history, observers, journal, self.stop)
        self._workers = Workers(client)
        self._workspace = Workspace() if journal is None else Workspace(journal.folder, journal.models)
        self._models = KeptModels(self._workspace.models, keep_all=journal is not None)
        self._best = BestModel(self._models, trained_on_folds=bool(job.data.n_folds))
        self._ledger = Ledger(
            job.schedule,
            job.sampler,
            job.metrics,
            Folds(job.data.n_folds),
            self._models,
            self._recorder.append,
            self._recorder.now,
        )
        self._stopping = Stopping()
        self._steps: InFlight | None = None
        self._refitting = False
        self._pace = Pace(job.step_seconds)
        self._watch: Watch | None = None
        self._woken = self._recorder.now()

    def now(self) -> float:
        """Seconds since the search began, in whatever process."""
        return self._recorder.now()

    def so_far(self, without_journal: str = "") -> str:
        """What was done, and how the search goes on where it ends early; where that cannot be, what is given."""
        return were_done(self._history.partial_fit_calls, self.job.trainer.unit) + (
            self._recorder.way_on or without_journal
        )

    @property
    def best_model(self) -> Any:
        """The model of the best report, or one like it trained on all rows, once the search is over; None without."""
        return self._best.model

    def stop(self, at_once: bool = False) -> None:
        """End the search as soon as possible; to be called in the thread of the event loop.

        Parameters
        ----------
        at_once : bool, default False
            Whether to leave out the training of the best on all rows, too, where there are folds.
        """
        self._stopping.request(at_once)

    async def run(self) -> None:
        """Run the search to its end.

        Raises
        ------
        SearchFailed
            If no trial has a finite score at the end, more than `max_failures` failed, steps fail for reasons outside
            of any trial, or the best cannot be trained on all rows.
        WorkersLost
            If there was no worker for `workers_timeout` seconds.
        JournalError
            If the journal is of a search that would have decided something else, or on other data.
        """
        self._observers.start(
            ObservedSearch(
                self.job.schedule.plan(),
                self._history,
                self._client,
                from_any_thread(self._client, self.stop),
                self._recorder.now,
            )
        )
        reason, error = "failed", ""
        with self._stopping.watched(self.job.limits.time_budget) as (soon, at_once):
            try:
                self._replay()
                await self._open(soon)
                await self._until(lambda: self.job.schedule.done, soon)
                await self._refit(at_once)
                reason = self._stopping.reason
                if reason == "done":
                    await self._judge(soon)
            except BaseException as raised:
                if not (isinstance(raised, asyncio.CancelledError) and self._stopping.requested):
                    error = in_short(raised)
                    raise
                # What only is to be judged yet is done.
                reason = reason if reason == "done" else self._stopping.reason
            finally:
                failure = self._nothing_scored(reason)
                await self._end(reason, error if failure is None else in_short(failure))
        if failure is not None:
            raise failure

    def _nothing_scored(self, reason: str) -> SearchFailed | None:
        """Why a search that has come to its end has failed all the same."""
        if self._history.best is not None or reason not in ("done", "time budget"):
            return None
        if reason == "time budget":
            return SearchFailed(f"no trial was scored before time_budget={self.job.limits.time_budget:g} s was over.")
        error = self._history.first_error or "every score was nan or infinite"
        n_trials = len(self._history.trials)
        none = "the only trial was not scored" if n_trials == 1 else f"none of {n_trials} trials was scored"
        return SearchFailed(f"{none}. The first failure:\n{error}")

    async def _end(self, reason: str, error: str) -> None:
        self._workers.close()
        if self._watch is not None:
            self._watch.close()
        committed = False
        try:
            if self._steps is not None:
                await self._steps.cancel()
            self._recorder.ended(reason, error)
            self._observers.stop()
            try:
                self._best.read(self._history.best)
            finally:
                await self._commit()
            committed = True
        finally:
            try:
                if self._steps is not None:
                    await self._steps.forget()
                if committed:  # else the journal on disk names models that are not needed any more
                    await self._tidy_up()
                await asyncio.to_thread(self._workspace.remove)  # no deadline: what is left would never be removed
            finally:
                self._recorder.close()

    async def _tidy_up(self) -> None:
        """Delete the files of steps that were given up while they wrote them: their results were never taken in."""
        if self._journal is not None and self._steps is not None:
            try:
                await asyncio.to_thread(self._models.tidy_all)
            except OSError:  # the next process that opens the journal does it
                logger.debug("could not delete models that are not needed", exc_info=True)

    def _replay(self) -> None:
        """Bring everything to where an earlier process had brought it."""
        for event in self._recorder.earlier:
            self._recorder.repeat(event)
            replay(event, self._ledger, self.job)
            if isinstance(event, Refitted):
                self._best.refitted(event)
        if self._journal is not None:
            self._ledger.forget_lost_models()
            self._models.tidy_all()
        if self._history.plan is None:
            self._recorder.planned(
                replace(self.job.schedule.plan(), unit=self.job.trainer.unit), self.job.title, self.job.ranges
            )

    async def _open(self, stopping: asyncio.Task[Any]) -> None:
        watch = Watch(self._client, self._workers, self.job.limits.workers_timeout, self.so_far)
        self._watch = watch
        opening = open_search(
            self._client, self._workers, self._workspace, self.job, watch, stopping, self._recorder.reached
        )
        opened = await self._recorder.during(opening)
        self._opened: Opened = opened
        before = self._history.prepared
        now = opened.event(self._recorder.now())
        if before is None:
            self._recorder.append(now)
        else:
            check_same_data(before, now)
        self._count_threads()
        self._start_from(now.digest)
        self._recorder.reached("training")
        self._steps = InFlight(self._client, self._workers, self._workspace.run, opened.context, opened.shared)
        self._submission = StepSubmission(
            self.job, opened, self._workspace, self._workers, self._ledger, self._steps, self._pace
        )
        self._woken = self._recorder.now()

    def _count_threads(self) -> None:
        """Tell a schedule that follows the number of threads how many there are, if no earlier process has."""
        schedule = self.job.schedule
        if hasattr(schedule, "begin") and not any(isinstance(e, ThreadsCounted) for e in self._history.events):
            n_threads = max(self._workers.n_threads, 1)  # all may have died just now
            self._recorder.append(ThreadsCounted(n_threads, self._recorder.now()))
            schedule.begin(n_threads)

    def _start_from(self, digest: str) -> None:
        """Decide what is taken over from earlier searches, if an earlier process has not, and take it over."""
        earlier = self.job.earlier
        if earlier is None:
            return
        if not any(isinstance(event, StartedFrom) for event in self._history.events):
            for event in earlier.decided(digest, self._recorder.now()):
                logger.info("%s", started_from_line(event))
                self._recorder.append(event)
                self._ledger.starts.start_from(event)
        known = KnownTrials(self.job.estimator, Folds(self.job.data.n_folds), self._models)
        for search, models, scores in earlier.same(digest):
            known.add(search, models, scores)
        self._ledger.know(known)

    async def _refit(self, stopping: asyncio.Task[Any]) -> None:
        """Train a model like the best on all rows, where all others were trained on folds, or anew if it is lost."""
        best = self._history.best
        if best is None or self._stopping.requested_at_once or self._best.read(best):
            return
        if self.job.data.n_folds and not self.job.refit:
            return
        # What else is in flight is not wanted any more: a report of it could change which trial is the best.
        for sent in self._in_flight.give_up_all():
            self._ledger.step_vanished(sent.assignment)
        self._recorder.reached("last training")
        self._ledger.begin_refit(best.trial, best.report.resource)
        self._refitting = True
        await self._until(lambda: self._ledger.refitted(best.trial) is not None, stopping)
        trained = self._ledger.refitted(best.trial)
        if trained is None:
            return
        if trained.error is not None:
            raise SearchFailed(
                f"trial {best.trial.number} is the best, but training it again on all rows failed:\n{trained.error}"
            )
        event = self._best.trained_anew(best.trial.number, self._recorder.now())
        if event is not None:
            self._recorder.append(event)

    async def _judge(self, stopping: asyncio.Task[Any]) -> None:
        """Have the best model predict the rows held out, for the report; nobody waits for that who wants an end."""
        best, watch = self._history.best, self._watch
        if best is None or watch is None or self._history.judgement is not None or not self._best.read(best):
            return
        stored = self._best.checkpoint(best)
        if stored is None:
            return
        for sent in self._in_flight.give_up_all():  # what is trained ahead
            self._ledger.step_vanished(sent.assignment)
        self._recorder.reached("judging the best")
        client, run = AnyWorkerClient(self._client, self._workers), self._workspace.run
        judging = judge_best(
            client, run, self._opened, self._models, self._best.model, stored, search_seconds=self._recorder.now()
        )
        try:
            judgement = await self._recorder.during(watch.during(judging, stopping, "judging the best"))
        except WorkersLost as error:
            logger.info("the best model was not judged by the rows held out: %s", error)
            return
        if judgement is not None:
            self._recorder.append(BestJudged(best.trial.number, best.report.resource, judgement, self._recorder.now()))

    async def _until(self, over: Callable[[], bool], signal: asyncio.Task[Any]) -> None:
        """The loop: decide, submit, wait, take in what came back."""
        steps, watch = self._in_flight, self._watch
        if watch is None:
            raise RuntimeError("the data was not looked at yet")
        ledger, starts, asking = self._ledger, self._ledger.starts, self._ledger.starts.asking
        returned: list[tuple[SentStep, StepResult | BaseException]] = []
        while True:
            if not self._refitting and not asking.under_way:
                ledger.take_decisions(len(self._workers.free), self._submission.together)
            if over() or signal.done():
                break
            if self._client.status == "running":
                self._submission.submit(self._woken, self._refitting)
            if not self._refitting:
                starts.ask_ahead(self._workers.n_threads, ledger.costs.mean_call)
            await self._commit()
            before = self._recorder.now()
            await steps.wait(filter(None, (signal, asking.task)), REFRESH_SECONDS)
            self._woken = self._recorder.now()
            self._pace.passed(self._woken - before, len(self._workers))
            returned.extend(steps.returned())
            starts.take_asked()
            await watch.look()
            if not asking.under_way:  # else the sampler would be told of reports while it is asked
                self._take_in(returned)
                await self._look_after_steps()
                self.job.limits.check_failures(self._history, "trial")
        await asking.finish()
        starts.take_asked()
        self._take_in(returned)

    def _take_in(self, returned: list[tuple[SentStep, StepResult | BaseException]]) -> None:
        while returned:
            self._step_came_back(*returned.pop(0))

    async def _commit(self) -> None:
        """What was paid for is safe from here on, and what it replaces can go."""
        await self._recorder.commit()
        self._models.tidy()

    @property
    def _in_flight(self) -> InFlight:
        if self._steps is None:
            raise RuntimeError("the data was not looked at yet")
        return self._steps

    def _step_came_back(self, sent: SentStep, result: StepResult | BaseException) -> None:
        if self._watch is not None:
            self._watch.came_back(isinstance(result, asyncio.CancelledError | CancelledError))
        if isinstance(result, StepLost):
            self._step_was_lost(sent, result)
        elif isinstance(result, BaseException):
            self._step_failed(sent, result)
        else:
            self._pace.came_back(result.stats.seconds, self._woken - sent.idle_since - result.stats.seconds)
            self._ledger.costs.read(result.stats.blocks_read, result.stats.read_seconds)
            outcomes = [outcome for outcome in result.outcomes if not self._ledger.is_dropped(outcome)]
            states = [self._ledger.advanced(outcome, sent.assignment.worker) for outcome in outcomes]
            progress = dict(self._ledger.progress(o) for o in outcomes if not is_refit(o.model))
            name = self._workers.name(sent.assignment.worker)
            self._recorder.append(StepDone(progress, result.stats, self._recorder.now(), tuple(states), name))
            for outcome in outcomes:
                if not outcome.lost:
                    self._ledger.settled(outcome)

    def _step_was_lost(self, sent: SentStep, lost: StepLost) -> None:
        self._pace.died()
        logger.info(
            "%s died in a step of %s: %s",
            sent.assignment.worker,
            counted(len(sent.assignment.models), "model"),
            lost.crumb,
        )
        self._ledger.step_lost(sent.assignment, lost.crumb, self._opened.shared)

    def _step_failed(self, sent: SentStep, error: BaseException) -> None:
        if self._client.status != "running" or isinstance(error, asyncio.CancelledError | CancelledError):
            # All futures are gone with the scheduler.
            self._ledger.step_vanished(sent.assignment)
            return
        logger.warning("a step of %s failed: %r", counted(len(sent.assignment.models), "model"), error)
        if self._ledger.step_failed(sent.assignment):
            raise SearchFailed(
                f"steps failed repeatedly, and no trial caused it: {type(error).__name__}: "
                f"{str(error).rstrip('.')}. {self.so_far()}"
            ) from error

    async def _look_after_steps(self) -> None:
        """Take back what will not come back by itself."""
        for sent, lost in await self._in_flight.lost():
            self._step_was_lost(sent, lost)
        for sent in await self._in_flight.stranded():
            logger.info("%s is paused, and had not begun a step; it goes elsewhere", sent.assignment.worker)
            self._ledger.step_vanished(sent.assignment)
        deadline = self.job.limits.trial_timeout
        if deadline is None:
            return
        for sent, hanging, doing in await self._in_flight.hanging(self._ledger.seconds_left(deadline)):
            logger.warning("%s hangs in %s of model %d; restarting it", sent.assignment.worker, doing, hanging)
            self._ledger.step_hangs(sent.assignment, hanging, timeout_error(deadline, f"it was in {doing} then"))
