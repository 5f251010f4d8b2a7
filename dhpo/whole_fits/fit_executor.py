"""Fits every candidate on every split as Dask tasks, and the best one on all rows.

Besides `dhpo.driver.executor`, the other loop over futures: whole fits share no blocks, have no models to keep, and ask
no schedule.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import math
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cloudpickle

from dhpo.cluster.stopping import CANCEL_SECONDS, Stopping, from_any_thread
from dhpo.cluster.tasks import AnyWorkerClient, gather
from dhpo.cluster.watchdog import Watch
from dhpo.cluster.workers import Workers
from dhpo.errors import SearchFailed
from dhpo.errors.full_disk import JOURNAL, TEMPORARY, says_where
from dhpo.errors.user_code import in_short, in_thread
from dhpo.history.events import (
    FitDone,
    SplitScores,
    StepDone,
    StepStats,
)
from dhpo.history.history import History
from dhpo.journal import Journal
from dhpo.observers.base import ObservedSearch, Observers
from dhpo.schedules.plan import BracketPlan, Plan, Rung
from dhpo.storage.workspace import Workspace
from dhpo.whole_fits.candidate_courses import CandidateCourses
from dhpo.whole_fits.collection import collect, refuse_what_does_not_fit
from dhpo.whole_fits.cv_results import best_index
from dhpo.whole_fits.fit_job import CandidateSplit, FitContext, FitJob
from dhpo.whole_fits.fit_recorder import FitRecorder
from dhpo.whole_fits.fits import FitOutcome, forget_job, hand_over, refit
from dhpo.whole_fits.fits_in_flight import FitsInFlight
from dhpo.whole_fits.outcomes import Outcomes, reraise
from dhpo.wording import counted, were_done

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["FitExecutor"]

logger = logging.getLogger(__name__)

# Fits shorter than this share tasks that take so many times as long: a task costs Dask some 2 ms.
_SHORT_FIT_SECONDS = 0.02
_SHORT_FITS_TOGETHER = 5


class FitExecutor:
    """Runs one search by whole fits on one cluster.

    Parameters
    ----------
    client : distributed.Client
    search : FitJob
    history : History
        Grows while the search runs.
    observers : Observers
    journal : Journal, optional
        Open, and of this very search. It is closed at the end.

    Attributes
    ----------
    outcomes : Outcomes
        What came of the fits.
    best_index : int or None
        The row of `outcomes.results` that is the best.
    best_model : estimator or None
        Fitted on all rows, where `refit` says so.
    refit_time : float
        Seconds.
    """

    def __init__(
        self, client: Client, search: FitJob, history: History, observers: Observers, journal: Journal | None = None
    ) -> None:
        self.outcomes = Outcomes(search)
        self.best_index: int | None = None
        self.best_model: Any = None
        self.refit_time = 0.0
        self._client = client
        self._search = search
        self._history = history
        self._observers = observers
        self._workers = Workers(client)
        self._recorder = FitRecorder(history, observers, journal, self.stop)
        self._courses = CandidateCourses(search.candidates, self.outcomes, self._recorder)
        self._workspace = Workspace() if journal is None else Workspace(journal.folder, journal.models)
        self._in_flight = FitsInFlight(client, self._workers, self._workspace.run, self._not_done)
        self._for_any = AnyWorkerClient(client, self._workers)
        self._again: set[tuple[int, int]] = set()
        self._stopping = Stopping()
        self._source: Any = None
        self._watch: Watch | None = None

    def now(self) -> float:
        """Seconds since the search began, in whatever process."""
        return self._recorder.now()

    def so_far(self, without_journal: str = "") -> str:
        """What was done, and how the search goes on where it ends early; where that cannot be, what is given."""
        return were_done(self.outcomes.n_fits, "fit") + (self._recorder.way_on or without_journal)

    def stop(self, at_once: bool = False) -> None:
        """End the search soon; to be called in the thread of the event loop.

        Parameters
        ----------
        at_once : bool, default False
            Whether to leave out the last fit of the best on all rows, too.
        """
        self._stopping.request(at_once)

    async def run(self) -> None:
        """Run the search to its end.

        Raises
        ------
        ValueError
            If all fits failed, or the data does not fit a worker.
        SearchFailed
            If more than `max_failures` candidates failed.
        WorkersLost
            If there was no worker for `workers_timeout` seconds.
        Exception
            What a fit raised, if `error_score` is "raise"; what the last fit of the best on all rows raised.
        """
        reason, error = "failed", ""
        with self._stopping.watched(self._search.limits.time_budget) as (soon, at_once):
            try:
                await self._prepare(soon)
                await self._fit_all(soon)
                if self._stopping.requested:
                    await self._cancel()
                await self._finish(at_once)
                reason = self._stopping.reason
            except BaseException as raised:
                if not (isinstance(raised, asyncio.CancelledError) and self._stopping.requested):
                    error = in_short(raised)
                    raise
                reason = self._stopping.reason
            finally:
                too_late = self._nothing_scored(reason)
                await self._end(reason, error if too_late is None else in_short(too_late))
        if too_late is not None:
            raise too_late

    def _nothing_scored(self, reason: str) -> SearchFailed | None:
        if self._history.best is not None or reason != "time budget":
            return None
        return SearchFailed(
            f"no candidate was scored before time_budget={self._search.limits.time_budget:g} s was over."
        )

    async def _end(self, reason: str, error: str) -> None:
        try:
            await self._cancel()
            if self._watch is not None:
                self._watch.close()
            self._recorder.ended(reason, error)
            self._observers.stop()
            await self._recorder.commit()
        finally:
            await self._forget()
            await asyncio.to_thread(self._workspace.remove)  # no deadline: what is left would never be removed
            self._recorder.close()

    async def _prepare(self, stopping: asyncio.Task[Any]) -> None:
        search = self._search
        watch = self._watch = Watch(self._client, self._workers, search.limits.workers_timeout, self.so_far)
        self._recorder.replay(self.outcomes, search.candidates)
        self._recorder.reached("starting workers")
        await watch.wait_for_workers(stopping)
        if self._stopping.requested:
            return
        memory = min(self._workers.memory_limit(address) for address in self._workers.addresses)
        data = search.data
        if data is None:
            if search.lazy is None:
                raise RuntimeError("a search needs data, or where to collect it from")
            self._recorder.reached("collecting the data")
            collecting = collect(self._for_any, search.lazy, memory)
            during = watch.during(collecting, stopping, "collecting the data")
            X, y, params = await self._recorder.during(during)
            # The user's splitter, and later his `refit`, take the time that they take.
            data = await in_thread(search.make_data, X, y, params)
        else:
            refuse_what_does_not_fit(data, memory)
        self.outcomes.n_splits = len(data.splits)
        plan = Plan((BracketPlan(0, (Rung(len(search.candidates), len(data.splits)),)),))
        self._observers.start(
            ObservedSearch(
                plan, self._history, self._client, from_any_thread(self._client, self.stop), self._recorder.now
            )
        )
        digest = await self._recorder.check_data(data, with_digest=search.earlier is not None)
        if self._history.plan is None:
            self._recorder.planned(plan, search.title, search.ranges)
        if search.earlier is not None:
            self._courses.known = self._recorder.start_from(search.earlier, search.candidates, digest)
        error_score = "raise" if search.raises else search.error_score
        job = FitContext(search.estimator, data, search.scoring, error_score, search.return_train_score, search.config)
        run = self._workspace.run
        hand_over(run, job)
        sharing = self._workers.share_folder(self._workspace.token)
        shared = await watch.during(sharing, stopping, "finding out what workers share")
        pickled: bytes = await in_thread(cloudpickle.dumps, job, 5)
        if shared:
            path = self._workspace.scratch / "job.pickle"
            with says_where(path.parent, f"{TEMPORARY}, or by {JOURNAL}"):
                await asyncio.to_thread(path.write_bytes, pickled)
            self._source = str(path)
        else:
            # Once over the network to each worker, and from worker to worker.
            scattering = self._client.scatter(pickled, broadcast=True, hash=False)
            self._source = await watch.during(scattering, stopping, "sending the data to the workers")
        self._recorder.reached("training")

    @property
    def _watching(self) -> Watch:
        if self._watch is None:
            raise RuntimeError("the search has not begun")
        return self._watch

    async def _fit_all(self, stopping: asyncio.Task[Any]) -> None:
        self._courses.report_complete()  # a journal may end between the last fit of a candidate and its report
        waiting: deque[CandidateSplit] = deque()
        returned: list[tuple[list[CandidateSplit], list[FitOutcome] | BaseException]] = []
        fits, candidates, courses = self._in_flight, self._search.candidates, self._courses
        while (waiting or returned or courses.n_queued < len(candidates) or fits) and not self._stopping.requested:
            if self._client.status == "running":
                self._submit(waiting)
            candidates.ask_ahead(courses.n_queued, self._workers.n_threads, self._candidate_seconds)
            await fits.wait(filter(None, (stopping, candidates.task)))
            returned.extend(fits.returned())
            courses.take_asked()
            if candidates.task is None:  # else the sampler would be told of reports while it is asked
                waiting.extendleft(reversed(self._taken_in(returned)))
            fits.give_up_copies()
            await self._recorder.commit()
            await self._watching.look()
            waiting.extendleft(reversed(fits.stranded()))
            waiting.extendleft(reversed(await fits.forgotten()))
            if not waiting and courses.n_queued == len(candidates):
                waiting.extend(await fits.works_of_silent())
            self._search.limits.check_failures(self._history, "candidate")
        await candidates.finish_asking()
        courses.take_asked()
        self._taken_in(returned)

    def _taken_in(
        self, returned: list[tuple[list[CandidateSplit], list[FitOutcome] | BaseException]]
    ) -> list[CandidateSplit]:
        """Take all outcomes in, and return the works that are still to do."""
        left = [work for works, result in returned for work in self._came_back(works, result)]
        returned.clear()
        return left

    @property
    def _candidate_seconds(self) -> float | None:
        """What a candidate takes on all its splits."""
        seconds = self.outcomes.mean_seconds
        return None if seconds is None else seconds * self.outcomes.n_splits

    def _submit(self, waiting: deque[CandidateSplit]) -> None:
        # One task more than threads for each worker hides the way of its result to us; a sampler that learns would know
        # of so many scores less.
        window = self._workers.n_threads + (0 if self._search.candidates.sampler else len(self._workers))
        if self._in_flight.nobody_answers:
            return
        while len(self._in_flight) < window and self._courses.queue(waiting):
            if (waiting[0].candidate, waiting[0].split) in self._again:
                if self._in_flight:
                    return  # alone, so that no other is taken for what kills workers
                window = 1
            works = [waiting.popleft() for _ in range(min(self._together(len(waiting)), len(waiting)))]
            for work in works:
                self._courses.begin(work.candidate)
            self._in_flight.submit(works, self._source, _SHORT_FIT_SECONDS * _SHORT_FITS_TOGETHER)

    def _together(self, n_waiting: int) -> int:
        """How many fits go into the next task."""
        seconds = self.outcomes.mean_seconds
        if seconds is None:
            return 1
        if seconds > _SHORT_FIT_SECONDS or self._again:
            return 1
        share = math.ceil(n_waiting / (4 * max(self._workers.n_threads, 1)))
        return max(1, min(int(_SHORT_FIT_SECONDS * _SHORT_FITS_TOGETHER / max(seconds, 1e-4)), share))

    def _came_back(self, works: list[CandidateSplit], result: list[FitOutcome] | BaseException) -> list[CandidateSplit]:
        """Take the outcomes in, and return the works that are still to do."""
        cancelled = isinstance(result, asyncio.CancelledError | concurrent.futures.CancelledError)
        self._watching.came_back(cancelled)
        if cancelled:
            return self._not_done(works)  # gone with the scheduler
        if isinstance(result, BaseException):
            logger.warning("a task of %s failed: %r", counted(len(works), "fit"), result)
            once_more = [work for work in works if (work.candidate, work.split) not in self._again]
            self._again.update((work.candidate, work.split) for work in once_more)
            text = f"{type(result).__name__}: {result}"
            failed = [work for work in works if work not in once_more]
            self._take([FitOutcome(work.candidate, work.split, SplitScores({}, error=text)) for work in failed])
            return self._not_done(once_more)
        self._take(result)
        return self._not_done(works[len(result) :])

    def _not_done(self, works: Sequence[CandidateSplit]) -> list[CandidateSplit]:
        return [work for work in works if not self.outcomes.is_done(work.candidate, work.split)]

    def _take(self, outcomes: list[FitOutcome]) -> None:
        outcomes = [outcome for outcome in outcomes if not self.outcomes.is_done(outcome.candidate, outcome.split)]
        if not outcomes:
            return
        for outcome in outcomes:
            self._again.discard((outcome.candidate, outcome.split))
            self.outcomes.take(outcome)
            failures = tuple(outcome.failures)
            self._recorder.append(
                FitDone(
                    outcome.candidate, outcome.split, outcome.scores, self._recorder.now(), outcome.several, failures
                )
            )
        self._recorder.append(
            StepDone(
                {outcome.candidate: self.outcomes.n_done(outcome.candidate) for outcome in outcomes},
                StepStats(
                    calls=len(outcomes),
                    fit_seconds=sum(o.scores.fit_time for o in outcomes),
                    score_seconds=sum(o.scores.score_time for o in outcomes),
                ),
                self._recorder.now(),
                worker=outcomes[0].worker,
            )
        )
        self._courses.report_complete()

    async def _finish(self, stopping: asyncio.Task[Any]) -> None:
        """Find the best of the candidates that came to their end, and fit it on all rows."""
        search, outcomes = self._search, self.outcomes
        results = outcomes.conclude()
        if results is None or (not search.refit and outcomes.several):
            return
        best: int = await in_thread(best_index, results, search.refit, outcomes.deciding_metric)
        self.best_index = best
        if not search.refit or self._stopping.requested_at_once:
            return
        candidate = outcomes.complete[best]
        stored = self._recorder.kept_model(candidate)
        if stored is not None:
            self.best_model, self.refit_time = stored
            return
        doing = "fitting the best on all rows"
        self._recorder.reached("last training")
        task = self._for_any.submit(
            refit, self._workspace.run, self._source, results["params"][best], retries=2, pure=False
        )
        fitting = self._watching.during(gather(self._for_any, [task], doing, 0), stopping, doing)
        (fitted,) = await self._recorder.during(fitting)
        if fitted.raised is not None:
            reraise(fitted.raised)
        self.best_model, self.refit_time = await in_thread(cloudpickle.loads, fitted.model), fitted.seconds
        await self._recorder.keep_model(candidate, outcomes.n_splits, fitted.model, fitted.seconds)

    async def _cancel(self) -> None:
        self._workers.close()
        await self._in_flight.cancel()

    async def _forget(self) -> None:
        self._source = None
        forget_job(self._workspace.run)
        if self._client.status != "running":
            return
        try:
            # A worker that does not answer reads it when it does.
            asking = self._client.run(forget_job, self._workspace.run, on_error="ignore")
            await asyncio.wait_for(asking, CANCEL_SECONDS)
        except Exception:  # the cluster may be gone, which frees its memory as well
            logger.debug("could not free the memory of the workers", exc_info=True)
