"""Turns the decisions of a schedule into Dask tasks, and their results into reports.

The only loop over futures. Everything that happens is appended to the history, and to the journal where there is one;
everything that is decided is decided by the schedule (what to train), the sampler (with which parameters) and
`dhpo.cohorts` (where, and with whom).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import cloudpickle
from dask.typing import Key

from dhpo.cluster import Workers
from dhpo.cohorts import Assignment, plan_steps
from dhpo.errors import JournalError, SearchFailed
from dhpo.events import Checkpoint, DataPrepared, Event, Refitted, StepDone, Stopped
from dhpo.folds import is_refit, refit_number
from dhpo.history import History
from dhpo.inflight import InFlight, Sent
from dhpo.job import Job, has_optional_classes
from dhpo.journal import Journal
from dhpo.ledger import Ledger
from dhpo.models import KeptModels
from dhpo.observers.base import Observers
from dhpo.preparation import Data, look_at_data
from dhpo.scoring import make_block_scorer
from dhpo.seeds import seed_for
from dhpo.steps import Context, Step, StepResult
from dhpo.store import ModelLost, loads_model
from dhpo.watch import REFRESH_SECONDS, Watch
from dhpo.workspace import Workspace
from dhpo.wrapped import unwrap

__all__ = ["Executor"]

logger = logging.getLogger(__name__)


class Executor:
    """Runs one search on one cluster.

    Parameters
    ----------
    client : distributed.Client
    job : Job
    history : History
        Grows while the search runs.
    observers : Observers
    journal : Journal, optional
        Open, and of this very search. It is closed at the end.

    Attributes
    ----------
    best_model : estimator or None
        The model of the best report, or one like it trained on all rows, once the search is over.
    """

    def __init__(
        self, client: Any, job: Job, history: History, observers: Observers, journal: Journal | None = None
    ) -> None:
        self.best_model: Any = None
        self._client = client
        self.job = job
        self._history = history
        self._observers = observers
        self._journal = journal
        self._workers = Workers(client)
        self._workspace = Workspace() if journal is None else Workspace(journal.folder, journal.models)
        self._models = KeptModels(self._workspace.models, keep_all=journal is not None)
        self._ledger = Ledger(job, self._models, self._append, self._now)
        before = journal.events[-1].time if journal is not None and journal.events else 0.0
        self._began = time.perf_counter() - before
        self._stop = asyncio.Event()
        self._stop_at_once = asyncio.Event()
        self._store_shared = False
        self._gather = False
        self._prepared: Data | None = None
        self._steps: InFlight | None = None
        self._refitted: dict[tuple[int, int], Checkpoint] = {}

    def stop(self, at_once: bool = False) -> None:
        """End the search as soon as possible; to be called in the thread of the event loop.

        Parameters
        ----------
        at_once : bool, default False
            Whether to leave out the training of the best on all rows, too, where there are folds.
        """
        self._stop.set()
        if at_once:
            self._stop_at_once.set()

    async def run(self) -> None:
        """Run the search to its end.

        Raises
        ------
        SearchFailed
            If no trial has a finite score at the end, or the best cannot be trained on all rows.
        WorkersLost
            If there was no worker for `workers_timeout` seconds.
        JournalError
            If the journal is of a search that would have decided something else, or on other data.
        """
        plan = self.job.schedule.plan()
        self._observers.start(plan, self._history, self._client.dashboard_link)
        reason = "failed"
        self._stopping = asyncio.create_task(self._stop.wait())
        self._stopping_at_once = asyncio.create_task(self._stop_at_once.wait())
        try:
            self._replay()
            await self._prepare(plan.max_resource)
            await self._until(lambda: self.job.schedule.done, self._stopping)
            await self._refit()
            reason = "stopped" if self._stop.is_set() else "done"
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise
            reason = "stopped"
        finally:
            await self._end(reason)
        if self._history.best is None and reason == "done":
            error = self._history.first_error or "every score was nan or infinite"
            raise SearchFailed(
                f"none of the {len(self._history.trials)} trials was scored. The first failure:\n{error}"
            )

    async def _end(self, reason: str) -> None:
        self._stopping.cancel()
        self._stopping_at_once.cancel()
        try:
            if self._steps is not None:
                await self._steps.cancel()
            self._append(Stopped(reason, self._now()))
            self._observers.stop()
            self._has_best_model()
            await self._commit()
        finally:
            try:
                if self._steps is not None:
                    await self._steps.forget()
                await asyncio.to_thread(self._workspace.remove)
            finally:
                self._prepared = None
                if self._journal is not None:
                    self._journal.close()

    def _replay(self) -> None:
        """Bring everything to where an earlier process had brought it."""
        if self._journal is None:
            return
        for event in self._journal.events:
            self._history.append(event)
            self._ledger.replay(event)
            self._observers.event(event)
            if isinstance(event, Refitted):
                self._refitted[event.trial, event.checkpoint.calls] = event.checkpoint
        self._ledger.forget_lost_models()
        self._models.tidy_all()

    async def _prepare(self, max_resource: int) -> None:
        job = self.job
        self._watch = Watch(self._client, self._workers, job.workers_timeout, self._so_far)
        await self._watch.wait_for_workers(self._stopping)
        shared = await self._workers.share_folder(self._workspace.token)
        # Workers are given no keys to the object store of a journal: the driver alone reads and writes models there.
        self._store_shared = shared and self._workspace.models.is_local
        if not self._store_shared:
            logger.info("workers do not see the store: models travel with the tasks")
        looking = asyncio.create_task(
            look_at_data(
                self._client,
                self._workers,
                self._workspace,
                job.data,
                order_entropy=seed_for(job.entropy, 0, "order"),
                max_resource=max_resource,
                shared=shared,
            )
        )
        try:
            while not looking.done() and not self._stop.is_set():
                await asyncio.wait(
                    {looking, self._stopping}, timeout=REFRESH_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                await self._watch.look()
        finally:
            looking.cancel()
        self._prepared = data = await looking
        self._gather = not self._workers.cache_holds(data.nbytes)
        self._take_note_of(data)
        context = cloudpickle.dumps(self._context(data), protocol=5)
        self._steps = InFlight(self._client, self._workers, self._workspace.run, context)

    def _context(self, data: Data) -> Context:
        """What all steps have in common."""
        job = self.job
        fit_kwargs = dict(job.fit_kwargs)
        if job.data.with_classes:
            fit_kwargs["classes"] = data.classes
        scorers = {
            name: make_block_scorer(unwrap(job.estimator), scoring, fit_kwargs.get("classes"))
            for name, scoring in job.metrics.scoring.items()
        }
        return Context(
            run=self._workspace.run,
            estimator=job.estimator,
            fit_kwargs=fit_kwargs,
            classes_once=has_optional_classes(job.estimator),
            scorer=scorers.pop(job.metrics.deciding),
            order=data.order,
            split=data.split,
            entropy=job.entropy,
            store=self._workspace.models if self._store_shared else None,
            config=job.config,
            other_scorers=scorers,
        )

    def _take_note_of(self, data: Data) -> None:
        """Record what the data is, or check that it is what was recorded."""
        before = next((e for e in self._history.events if isinstance(e, DataPrepared)), None)
        now = DataPrepared(
            n_blocks=data.order.n_blocks,
            n_training=sum(f.n_training for f in data.facts),
            n_validation=sum(f.n_validation for f in data.facts),
            nbytes=data.nbytes,
            materialised=sum(f.materialised for f in data.facts),
            time=self._now(),
            digest=data.digest,
        )
        if before is None:
            self._append(now)
            return
        for name in ("n_blocks", "n_training", "n_validation", "digest"):
            if getattr(before, name) != getattr(now, name):
                raise JournalError(
                    f"the journal is of a search on other data: {name} was {getattr(before, name)}, and is "
                    f"{getattr(now, name)}. Use another journal, or the data that the search was begun with."
                )

    def _so_far(self) -> str:
        return f"{self._history.partial_fit_calls} partial_fit calls were done."

    async def _refit(self) -> None:
        """Train a model like the best on all rows, where all others were trained on folds, or anew if it is lost."""
        best = self._history.best
        if best is None or self._stop_at_once.is_set() or self._has_best_model():
            return
        if self.job.data.n_folds and not self.job.refit:
            return
        self._ledger.begin_refit(best.trial, best.report.resource)
        await self._until(lambda: self._ledger.refitted(best.trial) is not None, self._stopping_at_once)
        trained = self._ledger.refitted(best.trial)
        if trained is None:
            return
        if trained.error is not None:
            raise SearchFailed(f"trial {best.trial.number} is the best, and failed on all rows:\n{trained.error}")
        checkpoint = self._models.latest(refit_number(best.trial.number))
        if checkpoint is not None:
            self._refitted[best.trial.number, checkpoint.calls] = checkpoint
            self._append(Refitted(best.trial.number, checkpoint, self._now()))

    def _has_best_model(self) -> bool:
        """Read the best model, if there is one."""
        best = self._history.best
        if best is None or self.best_model is not None:
            return self.best_model is not None
        try:
            refitted = self._refitted.get((best.trial.number, best.report.resource))
            if refitted is not None:
                self.best_model = loads_model(self._models.read(refitted))
            elif not self.job.data.n_folds:
                self.best_model = loads_model(self._models.read(self._models.scored(best.trial.number)))
        except (ModelLost, KeyError):
            logger.warning("the model of trial %d, the best, is lost", best.trial.number, exc_info=True)
        return self.best_model is not None

    async def _until(self, over: Callable[[], bool], signal: asyncio.Task[Any]) -> None:
        steps = self._running_steps
        while True:
            self._ledger.take_decisions()
            if over() or signal.done():
                return
            self._submit_steps()
            await self._commit()
            await steps.wait(signal, REFRESH_SECONDS)
            for sent, result in steps.returned():
                self._step_came_back(sent, result)
            await self._watch.look()

    async def _commit(self) -> None:
        """What was paid for is safe from here on, and what it replaces can go."""
        if self._journal is not None:
            await asyncio.to_thread(self._journal.commit)
        self._models.tidy()

    def _submit_steps(self) -> None:
        free = self._workers.free
        if not free:
            return
        for assignment in plan_steps(
            list(self._ledger.ready()),
            free,
            self._workers.n_threads,
            self._running_steps.under_way,
            self._ledger.costs,
            seconds=self.job.step_seconds,
            gather=self._gather,
        ):
            self._submit(assignment)

    def _submit(self, assignment: Assignment) -> None:
        data = self._data
        works = [self._ledger.work(number, with_model=not self._store_shared) for number in assignment.trials]
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
        self._running_steps.submit(assignment, step, futures)
        self._ledger.sent(assignment)

    @property
    def _data(self) -> Data:
        if self._prepared is None:
            raise RuntimeError("the data was not looked at yet")
        return self._prepared

    @property
    def _running_steps(self) -> InFlight:
        if self._steps is None:
            raise RuntimeError("the data was not looked at yet")
        return self._steps

    def _step_came_back(self, sent: Sent, result: StepResult | BaseException) -> None:
        if isinstance(result, BaseException):
            logger.warning("a step of %d trials failed: %r", len(sent.assignment.trials), result)
            self._ledger.step_failed(sent.assignment, result)
            return
        states = [self._ledger.advanced(outcome, sent.assignment.worker) for outcome in result.outcomes]
        progress = dict(self._ledger.progress(o) for o in result.outcomes if not is_refit(o.trial))
        self._append(StepDone(progress, result.stats, self._now(), tuple(states)))
        for outcome in result.outcomes:
            if not outcome.lost:
                self._ledger.settled(outcome)

    def _append(self, event: Event) -> None:
        self._history.append(event)
        if self._journal is not None:
            self._journal.append(event)
        self._observers.event(event)

    def _now(self) -> float:
        return time.perf_counter() - self._began
