"""Turns the decisions of a schedule into Dask tasks, and their results into reports.

The only loop over futures. Everything that happens is appended to the history; everything that is decided is decided by
the schedule (what to train), the sampler (with which parameters) and `dhpo.cohorts` (where, and with whom).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cloudpickle
from dask.typing import Key

from dhpo.cluster import Workers
from dhpo.cohorts import Assignment, UnderWay, plan_steps
from dhpo.errors import SearchFailed, WorkersLost
from dhpo.events import DataPrepared, Event, StepDone, Stopped
from dhpo.folds import REFIT
from dhpo.history import History
from dhpo.job import Job, has_optional_classes
from dhpo.ledger import Ledger
from dhpo.models import KeptModels
from dhpo.observers.base import Observers
from dhpo.preparation import Data, look_at_data
from dhpo.scoring import make_block_scorer
from dhpo.seeds import seed_for
from dhpo.steps import Context, Step, StepResult
from dhpo.store import loads_model
from dhpo.training import run_step
from dhpo.worker import forget_run
from dhpo.workspace import Workspace
from dhpo.wrapped import unwrap

__all__ = ["Executor"]

logger = logging.getLogger(__name__)

# Seconds between two looks at who is in the cluster.
_REFRESH_SECONDS = 1.0
# Seconds for cancelled steps to be acknowledged.
_CANCEL_SECONDS = 5.0


class Executor:
    """Runs one search on one cluster.

    Parameters
    ----------
    client : distributed.Client
    job : Job
    history : History
        Grows while the search runs.
    observers : Observers

    Attributes
    ----------
    best_model : estimator or None
        The model of the best report, or one like it trained on all rows, once the search is over.
    """

    def __init__(self, client: Any, job: Job, history: History, observers: Observers) -> None:
        self.best_model: Any = None
        self._client = client
        self.job = job
        self._history = history
        self._observers = observers
        self._workers = Workers(client)
        self._workspace = Workspace()
        self._models = KeptModels(self._workspace.models)
        self._ledger = Ledger(job, self._models, self._append, self._now)
        self._steps: dict[asyncio.Task[StepResult], _Sent] = {}
        self._n_steps = 0
        self._refreshed = self._workers_seen = 0.0
        self._began = time.perf_counter()
        self._stop = asyncio.Event()
        self._shared = False
        self._gather = False
        self._context = b""
        self._prepared: Data | None = None

    def stop(self) -> None:
        """End the search as soon as possible; to be called in the thread of the event loop."""
        self._stop.set()

    async def run(self) -> None:
        """Run the search to its end.

        Raises
        ------
        SearchFailed
            If no trial has a finite score at the end, or the best cannot be trained on all rows.
        WorkersLost
            If there was no worker for `workers_timeout` seconds.
        """
        plan = self.job.schedule.plan()
        self._observers.start(plan, self._history, self._client.dashboard_link)
        reason = "failed"
        self._stopping = asyncio.create_task(self._stop.wait())
        try:
            await self._prepare(plan.max_resource)
            await self._until(lambda: self.job.schedule.done)
            await self._refit()
            reason = "stopped" if self._stop.is_set() else "done"
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise
            reason = "stopped"
        finally:
            self._stopping.cancel()
            try:
                await self._cancel_steps()
                self._append(Stopped(reason, self._now()))
                self._observers.stop()
                self._take_best_model()
            finally:
                await self._forget()
                await asyncio.to_thread(self._workspace.remove)
                self._prepared = None
        if self._history.best is None and reason == "done":
            error = self._history.first_error or "every score was nan or infinite"
            raise SearchFailed(
                f"none of the {len(self._history.trials)} trials was scored. The first failure:\n{error}"
            )

    async def _prepare(self, max_resource: int) -> None:
        job = self.job
        await self._wait_for_workers()
        self._shared = await self._workers.share_folder(self._workspace.token)
        if not self._shared:
            logger.info("workers and client share no folder: models travel with the tasks")
        looking = asyncio.create_task(
            look_at_data(
                self._client,
                self._workers,
                self._workspace,
                job.data,
                order_entropy=seed_for(job.entropy, 0, "order"),
                max_resource=max_resource,
                shared=self._shared,
            )
        )
        try:
            while not looking.done() and not self._stop.is_set():
                await asyncio.wait(
                    {looking, self._stopping}, timeout=_REFRESH_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                await self._check_workers()
        finally:
            looking.cancel()
        self._prepared = data = await looking
        fit_kwargs = dict(job.fit_kwargs)
        if job.data.with_classes:
            fit_kwargs["classes"] = data.classes
        scorers = {
            name: make_block_scorer(unwrap(job.estimator), scoring, fit_kwargs.get("classes"))
            for name, scoring in job.metrics.scoring.items()
        }
        context = Context(
            run=self._workspace.run,
            estimator=job.estimator,
            fit_kwargs=fit_kwargs,
            classes_once=has_optional_classes(job.estimator),
            scorer=scorers.pop(job.metrics.deciding),
            order=data.order,
            split=data.split,
            entropy=job.entropy,
            store=self._workspace.models if self._shared else None,
            config=job.config,
            other_scorers=scorers,
        )
        self._context = cloudpickle.dumps(context, protocol=5)
        self._gather = not self._workers.cache_holds(data.nbytes)
        self._append(
            DataPrepared(
                n_blocks=data.order.n_blocks,
                n_training=sum(f.n_training for f in data.facts),
                n_validation=sum(f.n_validation for f in data.facts),
                nbytes=data.nbytes,
                materialised=sum(f.materialised for f in data.facts),
                time=self._now(),
            )
        )

    async def _wait_for_workers(self) -> None:
        await self._check_workers(at_once=True)
        while not len(self._workers) and not self._stop.is_set():
            await asyncio.wait({self._stopping}, timeout=_REFRESH_SECONDS / 4)
            await self._check_workers(at_once=True)

    async def _check_workers(self, at_once: bool = False) -> None:
        """See who is there, now and then; raise WorkersLost when nobody is for too long."""
        now = self._now()
        if now - self._refreshed < _REFRESH_SECONDS and not at_once:
            return
        try:
            await self._workers.refresh()
        except OSError:
            logger.info("could not ask the scheduler for its workers; trying again", exc_info=True)
        self._refreshed = now
        if len(self._workers):
            self._workers_seen = now
        elif now - self._workers_seen > self.job.workers_timeout:
            raise WorkersLost(
                f"{self._client.scheduler.address} has had no running worker for {self.job.workers_timeout:g} s; "
                f"{self._history.partial_fit_calls} partial_fit calls were done. Workers that are paused, because they "
                "hold more than 0.8 of their memory limit, do not count: give them more memory, or the data smaller "
                "chunks. The logs of the cluster tell more."
            )

    async def _refit(self) -> None:
        """Train a model like the best on all rows, where all others were trained on folds."""
        best = self._history.best
        if not self.job.data.n_folds or not self.job.refit or best is None or self._stop.is_set():
            return
        self._ledger.begin_refit(best.trial, best.report.resource)
        await self._until(lambda: self._ledger.refitted() is not None)
        trained = self._ledger.refitted()
        if trained is None:
            return
        if trained.error is not None:
            raise SearchFailed(f"trial {best.trial.number} is the best, and failed on all rows:\n{trained.error}")
        checkpoint = self._models.latest(REFIT)
        if checkpoint is not None:
            self.best_model = loads_model(self._models.read(checkpoint))

    async def _until(self, over: Callable[[], bool]) -> None:
        while True:
            self._ledger.take_decisions()
            if over() or self._stop.is_set():
                return
            self._submit_steps()
            await asyncio.wait(
                {*self._steps, self._stopping}, timeout=_REFRESH_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            for task in [task for task in self._steps if task.done()]:
                self._step_came_back(task, self._steps.pop(task))
            await self._check_workers()

    def _submit_steps(self) -> None:
        free = self._workers.free
        if not free:
            return
        under_way = [
            UnderWay(sent.start, len(sent.assignment.trials), sent.assignment.run_end) for sent in self._steps.values()
        ]
        for assignment in plan_steps(
            list(self._ledger.ready()),
            free,
            self._workers.n_threads,
            under_way,
            self._ledger.costs,
            seconds=self.job.step_seconds,
            gather=self._gather,
        ):
            self._submit(assignment)

    def _submit(self, assignment: Assignment) -> None:
        data = self._data
        works = [self._ledger.work(number, with_model=not self._shared) for number in assignment.trials]
        start = min(work.start for work in works)
        blocks = {data.order.block_at(call) for call in range(start, assignment.until)}
        may_score = any(work.target <= max(assignment.until, work.start) for work in works)
        step = Step(
            works=works,
            until=assignment.until,
            blocks={block: data.specs[block] for block in blocks},
            validation=data.validation if may_score else (),
            seconds=self.job.step_seconds,
            memory_limit=self._workers.memory_limit(assignment.worker),
        )
        futures: dict[Key, Any] = {key: data.futures[key] for b in blocks for key in data.specs[b].supplied}
        if may_score:
            futures.update(data.validation_futures)
        kind = "train" if blocks else "score"
        future = self._client.submit(
            run_step,
            self._workspace.run,
            self._context,
            step,
            list(futures),
            list(futures.values()),
            key=f"{kind}-{self._workspace.run}-{self._n_steps}",
            # Loosely, so that Dask can run it elsewhere when the worker is gone.
            workers=self._workers.addresses if self._workers.some_see_no_folder else [assignment.worker],
            allow_other_workers=not self._workers.some_see_no_folder,
            retries=2,
            priority=assignment.rung,
            pure=False,
        )
        self._n_steps += 1
        self._workers.occupy(assignment.worker)
        task = asyncio.create_task(self._result_of(future))
        self._steps[task] = _Sent(assignment, start, future)
        self._ledger.sent(assignment)

    @property
    def _data(self) -> Data:
        if self._prepared is None:
            raise RuntimeError("the data was not looked at yet")
        return self._prepared

    async def _result_of(self, future: Any) -> StepResult:
        result: StepResult = (await self._client.gather([future], asynchronous=True))[0]
        return result

    def _step_came_back(self, task: asyncio.Task[StepResult], sent: _Sent) -> None:
        self._workers.release(sent.assignment.worker)
        try:
            result = task.result()
        except (Exception, asyncio.CancelledError) as error:
            logger.warning("a step of %d trials failed: %r", len(sent.assignment.trials), error)
            self._ledger.step_failed(sent.assignment, error)
            return
        for outcome in result.outcomes:
            self._ledger.advanced(outcome, sent.assignment.worker)
        progress = dict(self._ledger.progress(o) for o in result.outcomes if o.trial != REFIT)
        self._append(StepDone(progress, result.stats, self._now()))
        for outcome in result.outcomes:
            self._ledger.settled(outcome)

    def _take_best_model(self) -> None:
        best = self._history.best
        if best is not None and not self.job.data.n_folds:
            self.best_model = loads_model(self._models.read(self._models.scored(best.trial.number)))

    async def _cancel_steps(self) -> None:
        if not self._steps:
            return
        try:
            await self._client.cancel([sent.future for sent in self._steps.values()], asynchronous=True, force=True)
        except Exception:
            logger.debug("could not cancel steps", exc_info=True)
        await asyncio.wait(self._steps, timeout=_CANCEL_SECONDS)
        for task in self._steps:
            if task.done() and not task.cancelled():
                task.exception()  # seen, so that asyncio does not warn of it
            task.cancel()

    async def _forget(self) -> None:
        # Steps under way end at their next call, before the folder that they write to is removed.
        try:
            await self._client.run(forget_run, self._workspace.run, on_error="ignore")
        except Exception:  # the cluster may be gone, which frees its memory as well
            logger.debug("could not free the memory of the workers", exc_info=True)

    def _append(self, event: Event) -> None:
        self._history.append(event)
        self._observers.event(event)

    def _now(self) -> float:
        return time.perf_counter() - self._began


@dataclass(frozen=True, slots=True)
class _Sent:
    assignment: Assignment
    start: int
    future: Any
