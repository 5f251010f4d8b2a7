"""Turns the decisions of a schedule into Dask tasks, and their results into reports.

The only loop over futures. Everything that happens is appended to the history; everything that is decided is decided by
the schedule (what to train), the sampler (with which parameters) and `dhpo.cohorts` (where, and with whom).
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

import cloudpickle
from dask.typing import Key

from dhpo.cluster import Workers
from dhpo.cohorts import Assignment, Costs, Ready, plan_steps
from dhpo.data.order import PassOrder
from dhpo.errors import SearchFailed, WorkersLost
from dhpo.history import DataPrepared, Dropped, Event, History, Reported, StepDone, Stopped, TrialStarted
from dhpo.models import KeptModels
from dhpo.observers.base import Observers
from dhpo.preparation import Data, DataPlan, look_at_data
from dhpo.samplers.base import Sampler
from dhpo.schedules.base import Schedule
from dhpo.scoring import make_block_scorer
from dhpo.seeds import seed_for
from dhpo.steps import Context, Outcome, Step, StepResult, Work
from dhpo.store import loads_model
from dhpo.training import run_step
from dhpo.trial import Drop, Report, Train, Trial
from dhpo.worker import forget_run
from dhpo.workspace import Workspace

__all__ = ["Executor", "Job"]

logger = logging.getLogger(__name__)

# Seconds between two looks at who is in the cluster.
_REFRESH_SECONDS = 1.0
# Seconds for cancelled steps to be acknowledged.
_CANCEL_SECONDS = 5.0
# Share of a worker's memory that cached blocks may fill, with all else that the process holds (see BlockCache).
_CACHE_SHARE = 0.6
_RESIDENT_BYTES_OF_A_WORKER = 250_000_000


@dataclass(frozen=True)
class Job:
    """All that a search is, besides its cluster.

    Parameters
    ----------
    estimator : estimator
        Never changed; cloned for each trial.
    schedule : Schedule
    sampler : Sampler
    scoring : str, callable or None
    data : DataPlan
    fit_kwargs : dict
        Extra arguments of `partial_fit`.
    entropy : int
        Seed of the estimators, the passes and the split.
    step_seconds : float, default 2.0
        How long a Dask task should last.
    workers_timeout : float, default 60.0
        Seconds without any worker after which the search gives up.
    """

    estimator: Any
    schedule: Schedule
    sampler: Sampler
    scoring: Any
    data: DataPlan
    fit_kwargs: dict[str, Any]
    entropy: int
    step_seconds: float = 2.0
    workers_timeout: float = 60.0


@dataclass
class _Active:
    """A trial that the schedule wants trained."""

    trial: Trial
    target: int = 0
    rung: int = 0
    calls: int = 0
    started_run: int = 0
    home: str | None = None
    under_way: bool = False
    waiting: bool = True
    failed_steps: int = 0
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    last: Report | None = None


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
        The model of the best report, once the search is over.
    """

    def __init__(self, client: Any, job: Job, history: History, observers: Observers) -> None:
        self.best_model: Any = None
        self._client = client
        self._job = job
        self._history = history
        self._observers = observers
        self._workers = Workers(client)
        self._workspace = Workspace()
        self._models = KeptModels(self._workspace.models)
        self._costs = Costs()
        self._active: dict[int, _Active] = {}
        self._steps: dict[asyncio.Task[StepResult], _Sent] = {}
        self._n_steps = 0
        self._began = time.perf_counter()
        self._stop = asyncio.Event()
        self._shared = False
        self._gather = False
        self._context = b""
        self._seeds = [
            name
            for name, value in job.estimator.get_params(deep=True).items()
            if value is None and (name == "random_state" or name.endswith("__random_state"))
        ]

    # -- the outside
    # ----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the search as soon as possible; to be called in the thread of the event loop."""
        self._stop.set()

    async def run(self) -> None:
        """Run the search to its end.

        Raises
        ------
        SearchFailed
            If no trial has a finite score at the end.
        WorkersLost
            If there was no worker for `workers_timeout` seconds.
        """
        plan = self._job.schedule.plan()
        self._observers.start(plan, self._history, self._client.dashboard_link)
        reason = "failed"
        try:
            await self._prepare(plan.max_resource)
            await self._until_done()
            reason = "stopped" if self._stop.is_set() else "done"
        finally:
            await self._cancel_steps()
            self._append(Stopped(reason, self._now()))
            self._observers.stop()
            self._take_best_model()
            await self._forget()
            self._workspace.remove()
        if self._history.best is None and reason == "done":
            error = self._history.first_error or "every score was nan or infinite"
            raise SearchFailed(
                f"none of the {len(self._history.trials)} trials was scored. The first failure:\n{error}"
            )

    # -- before
    # ---------------------------------------------------------------------------------------------------------

    async def _prepare(self, max_resource: int) -> None:
        job = self._job
        await self._wait_for_workers()
        self._shared = await self._workers.share_folder(self._workspace.token)
        if not self._shared:
            logger.info("workers and client share no folder: models travel with the tasks")
        order_entropy = seed_for(job.entropy, 0, "order")
        data = await look_at_data(
            self._client,
            self._workers,
            self._workspace,
            job.data,
            order_entropy,
            max_resource=max_resource,
            shared=self._shared,
        )
        self._prepared: Data = data
        fit_kwargs = dict(job.fit_kwargs)
        if job.data.with_classes:
            fit_kwargs["classes"] = data.classes
        context = Context(
            run=self._workspace.run,
            estimator=job.estimator,
            fit_kwargs=fit_kwargs,
            scorer=make_block_scorer(job.estimator, job.scoring, fit_kwargs.get("classes")),
            order=PassOrder(len(data.specs), order_entropy),
            split=data.split,
            store=self._workspace.models if self._shared else None,
        )
        self._order = context.order
        self._context = cloudpickle.dumps(context, protocol=5)
        limits = [self._workers.memory_limit(address) for address in set(self._workers.free)]
        room = min(limits, default=0) * _CACHE_SHARE - _RESIDENT_BYTES_OF_A_WORKER
        self._gather = data.nbytes > room
        self._append(
            DataPrepared(
                n_blocks=len(data.specs),
                n_training=sum(f.n_training for f in data.facts),
                n_validation=sum(f.n_validation for f in data.facts),
                nbytes=data.nbytes,
                materialised=sum(f.materialised for f in data.facts),
                time=self._now(),
            )
        )

    async def _wait_for_workers(self) -> None:
        deadline = self._now() + self._job.workers_timeout
        await self._workers.refresh()
        while not len(self._workers):
            if self._now() > deadline:
                raise WorkersLost(
                    f"no worker joined {self._client.scheduler.address} within "
                    f"{self._job.workers_timeout:g} s. Start workers, "
                    "or see why they do not come: the logs of the cluster say."
                )
            await asyncio.sleep(_REFRESH_SECONDS / 4)
            await self._workers.refresh()

    # -- the loop
    # -------------------------------------------------------------------------------------------------------

    async def _until_done(self) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        refreshed = workers_seen = self._now()
        try:
            while True:
                self._take_decisions()
                if self._job.schedule.done or stopping.done():
                    return
                self._submit_steps()
                await asyncio.wait(
                    {*self._steps, stopping}, timeout=_REFRESH_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                for task in [task for task in self._steps if task.done()]:
                    self._step_came_back(task, self._steps.pop(task))
                if self._now() - refreshed > _REFRESH_SECONDS:
                    await self._workers.refresh()
                    refreshed = self._now()
                    if len(self._workers):
                        workers_seen = refreshed
                    elif refreshed - workers_seen > self._job.workers_timeout:
                        raise WorkersLost(
                            f"all workers are gone since {self._job.workers_timeout:g} s; "
                            f"{self._history.partial_fit_calls} partial_fit calls were done."
                        )
        finally:
            stopping.cancel()

    def _take_decisions(self) -> None:
        while (decision := self._job.schedule.ask()) is not None:
            match decision:
                case Train(number, resource, bracket, rung):
                    active = self._active.get(number) or self._start_trial(number, bracket)
                    active.target, active.rung = resource, rung
                    active.started_run, active.waiting = active.calls, True
                case Drop(number):
                    self._append(Dropped(decision, self._now()))
                    self._models.ended(number, self._active.pop(number).last)

    def _start_trial(self, number: int, bracket: int) -> _Active:
        trial = Trial(number, self._job.sampler.ask(number), bracket)
        self._append(TrialStarted(trial, self._now()))
        active = self._active[number] = _Active(trial)
        return active

    def _submit_steps(self) -> None:
        free = self._workers.free
        if not free:
            return
        ready = [
            Ready(n, a.calls, a.target, a.rung, a.home, a.failed_steps > 0, a.started_run)
            for n, a in self._active.items()
            if a.waiting and not a.under_way
        ]
        under_way = [sent.start for sent in self._steps.values()]
        for assignment in plan_steps(
            ready,
            free,
            self._workers.n_threads,
            under_way,
            self._costs,
            seconds=self._job.step_seconds,
            gather=self._gather,
        ):
            self._submit(assignment)

    def _submit(self, assignment: Assignment) -> None:
        data = self._prepared
        works = [self._work(number) for number in assignment.trials]
        start = min(work.start for work in works)
        blocks = {self._order.block_at(call) for call in range(start, assignment.until)}
        may_score = any(work.target <= max(assignment.until, work.start) for work in works)
        step = Step(
            works=works,
            until=assignment.until,
            blocks={block: data.specs[block] for block in blocks},
            validation=data.validation if may_score else (),
            seconds=self._job.step_seconds,
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
            workers=[assignment.worker],
            allow_other_workers=True,
            priority=assignment.rung,
            pure=False,
        )
        self._n_steps += 1
        self._workers.occupy(assignment.worker)
        task = asyncio.create_task(self._result_of(future))
        self._steps[task] = _Sent(assignment, start, future)
        for number in assignment.trials:
            self._active[number].under_way = True

    async def _result_of(self, future: Any) -> StepResult:
        result: StepResult = (await self._client.gather([future], asynchronous=True))[0]
        return result

    def _work(self, number: int) -> Work:
        active = self._active[number]
        checkpoint = self._models.latest(number)
        params = dict(active.trial.params)
        for name in self._seeds:
            params.setdefault(name, seed_for(self._job.entropy, number, name))
        model = None if self._shared or checkpoint is None else self._models.read(checkpoint)
        return Work(number, params, active.calls, active.target, checkpoint, model)

    # -- what comes back
    # ------------------------------------------------------------------------------------------------

    def _step_came_back(self, task: asyncio.Task[StepResult], sent: _Sent) -> None:
        self._workers.release(sent.assignment.worker)
        for number in sent.assignment.trials:
            self._active[number].under_way = False
        try:
            result = task.result()
        except (Exception, asyncio.CancelledError) as error:
            self._step_failed(sent.assignment, error)
            return
        for outcome in result.outcomes:
            active = self._active[outcome.trial]
            self._costs.measured(
                outcome.trial,
                outcome.calls - active.calls,
                outcome.fit_seconds,
                outcome.score is not None,
                outcome.score_seconds,
            )
            self._keep(outcome, active)
            active.calls, active.home = outcome.calls, sent.assignment.worker
            active.fit_seconds += outcome.fit_seconds
            active.score_seconds += outcome.score_seconds
        self._append(StepDone({o.trial: o.calls for o in result.outcomes}, result.stats, self._now()))
        for outcome in result.outcomes:
            if outcome.error is not None or outcome.score is not None:
                score = float("nan") if outcome.error is not None or outcome.score is None else outcome.score
                self._report(outcome.trial, score, outcome.error)

    def _keep(self, outcome: Outcome, active: _Active) -> None:
        if outcome.error is not None or outcome.calls == active.calls:
            return
        checkpoint = outcome.checkpoint
        if outcome.model is not None:
            checkpoint = self._models.write(outcome.trial, outcome.calls, outcome.model)
        if checkpoint is not None:
            self._models.trained(checkpoint)

    def _step_failed(self, assignment: Assignment, error: BaseException) -> None:
        """A whole step failed, as when its worker died again and again: each of its trials is run once more, alone."""
        logger.warning("a step of %d trials failed: %r", len(assignment.trials), error)
        for number in assignment.trials:
            active = self._active[number]
            active.failed_steps += 1
            if active.failed_steps > 1:
                self._report(number, float("nan"), f"{type(error).__name__}: {error}")

    def _report(self, number: int, score: float, error: str | None) -> None:
        active = self._active[number]
        report = Report(number, active.calls, score, active.fit_seconds, active.score_seconds, error)
        active.last, active.waiting = report, False
        active.fit_seconds = active.score_seconds = 0.0
        active.failed_steps = 0
        self._models.reported(report)
        self._append(Reported(report, self._now()))
        self._job.sampler.tell(report)
        self._job.schedule.tell(report)

    # -- small things
    # ---------------------------------------------------------------------------------------------------

    def _take_best_model(self) -> None:
        best = self._history.best
        if best is not None:
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
