"""The steps that are on the cluster now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dask.typing import Key
from distributed.scheduler import KilledWorker

from dhpo.cluster import Workers
from dhpo.cohorts import Assignment, UnderWay
from dhpo.crumbs import Crumb, read_crumb
from dhpo.quarantine import run_quarantined
from dhpo.steps import Step, StepResult
from dhpo.stopping import CANCEL_SECONDS, cancel_all
from dhpo.training import run_step
from dhpo.worker import forget_run

__all__ = ["InFlight", "Sent", "StepLost"]

logger = logging.getLogger(__name__)

# Seconds for a worker to be restarted.
_RESTART_SECONDS = 30.0


class StepLost(Exception):
    """The worker of a step is gone.

    Parameters
    ----------
    crumb : Crumb or None
        What the step was about to do; None if nobody knows.
    """

    def __init__(self, crumb: Crumb | None) -> None:
        super().__init__(f"the worker of a step is gone; it was about to: {crumb}")
        self.crumb = crumb


@dataclass(slots=True)
class Sent:
    """A step that was submitted.

    Parameters
    ----------
    assignment : Assignment
    step : Step
    future : distributed.Future
    crumb : Crumb or None
        What it was last seen to do.
    since : float
        When it was first seen to do that.
    idle_since : float
        Since when its thread may have had nothing to do.
    """

    assignment: Assignment
    step: Step
    future: Any
    crumb: Crumb | None
    since: float
    idle_since: float

    @property
    def start(self) -> int:
        """Calls of the model that was furthest behind."""
        return min(work.start for work in self.step.works)


class InFlight:
    """Submits steps and tells which have come back, are lost or hang.

    Parameters
    ----------
    client : distributed.Client
    workers : Workers
    run : str
        Name of the search.
    context : bytes
        The pickled `Context`.
    crumbs_shared : bool
        Whether the driver sees the files of breadcrumbs.
    """

    def __init__(self, client: Any, workers: Workers, run: str, context: bytes, crumbs_shared: bool) -> None:
        self._client = client
        self._workers = workers
        self._run = run
        self._context = context
        self._crumbs_shared = crumbs_shared
        self._steps: dict[asyncio.Task[StepResult], Sent] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self.n_sent = 0

    @property
    def under_way(self) -> list[UnderWay]:
        """What the cohorts of the next steps have to know of these."""
        return [UnderWay(s.start, len(s.assignment.trials), s.assignment.run_end) for s in self._steps.values()]

    def submit(self, assignment: Assignment, step: Step, futures: Mapping[Key, Any], idle_since: float) -> None:
        """Send a step on its way.

        Parameters
        ----------
        assignment : Assignment
        step : Step
        futures : mapping of key to Future
            Data on the cluster that its blocks need.
        idle_since : float
            Since when the thread may have had nothing to do, by the clock of the search.
        """
        kind = "train" if step.blocks else "score"
        future = self._client.submit(
            run_quarantined if assignment.quarantined else run_step,
            self._run,
            self._context,
            step,
            list(futures),
            list(futures.values()),
            key=f"{kind}-{self._run}-{self.n_sent}",
            # Where the worker dies, we say what is run again, and where: Dask would run the same step, killer and all.
            workers=[assignment.worker],
            allow_other_workers=False,
            priority=assignment.rung,
            pure=False,
        )
        self.n_sent += 1
        self._workers.occupy(assignment.worker)
        task = asyncio.create_task(self._result_of(future))
        self._steps[task] = Sent(assignment, step, future, None, asyncio.get_running_loop().time(), idle_since)

    async def _result_of(self, future: Any) -> StepResult:
        result: StepResult = (await self._client.gather([future], asynchronous=True))[0]
        return result

    async def wait(self, signal: asyncio.Task[Any], timeout: float) -> None:
        """Wait for a step to come back, for the signal, or for the time to pass."""
        await asyncio.wait({*self._steps, signal}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    def returned(self) -> Iterator[tuple[Sent, StepResult | BaseException]]:
        """The steps that have come back, with what came of them."""
        for task in [task for task in self._steps if task.done()]:
            sent = self._steps.pop(task)
            self._workers.release(sent.assignment.worker)
            try:
                result = task.result()
            except KilledWorker:
                yield sent, StepLost(None)
            except (Exception, asyncio.CancelledError) as error:
                yield sent, error
            else:
                yield sent, StepLost(result.died) if result.died is not None else result

    async def lost(self) -> list[tuple[Sent, StepLost]]:
        """Give up the steps whose workers are gone."""
        found = []
        for task, sent in list(self._steps.items()):
            if sent.assignment.worker not in self._workers.present and not task.done():
                self._give_up(task)
                crumb = await asyncio.to_thread(read_crumb, sent.step.crumb) if self._crumbs_shared else None
                found.append((sent, StepLost(crumb)))
        return found

    async def stranded(self) -> list[Sent]:
        """Give up the steps that have not begun on workers that begin nothing."""
        found = []
        for task, sent in list(self._steps.items()):
            paused = sent.assignment.worker in self._workers.paused and not task.done()
            if paused and await self._crumb(sent) is None and not task.done():
                self._give_up(task)
                found.append(sent)
        return found

    async def hanging(self, seconds_left: Mapping[int, float]) -> list[tuple[Sent, int, str]]:
        """Give up the steps in which one model has been at the same call for too long, and restart their workers.

        Parameters
        ----------
        seconds_left : mapping of int to float
            Seconds that each model under way may still take.

        Returns
        -------
        list of (Sent, int, str)
            Each with its model, and what that was doing.
        """
        now, found = asyncio.get_running_loop().time(), []
        for task, sent in list(self._steps.items()):
            if task.done():
                continue
            crumb = await self._crumb(sent)
            if crumb != sent.crumb:
                sent.crumb, sent.since = crumb, now
            elif crumb is not None and crumb.model is not None and now - sent.since > seconds_left[crumb.model]:
                self._give_up(task)
                self._restart(sent.assignment.worker)
                found.append((sent, crumb.model, crumb.doing))
        return found

    async def _crumb(self, sent: Sent) -> Crumb | None:
        if self._crumbs_shared:
            return await asyncio.to_thread(read_crumb, sent.step.crumb)
        worker = sent.assignment.worker
        asking = self._client.run(read_crumb, sent.step.crumb, workers=[worker], on_error="ignore")
        try:
            answers = await asyncio.wait_for(asking, CANCEL_SECONDS)
        except (OSError, TimeoutError):
            return sent.crumb
        crumb: Crumb | None = answers.get(worker)
        return crumb

    def _give_up(self, task: asyncio.Task[StepResult]) -> None:
        sent = self._steps.pop(task)
        self._workers.release(sent.assignment.worker)
        # Not the task: what it awaits inside of Dask would complain of an exception that nobody retrieves.
        self._background.add(task)
        task.add_done_callback(self._forget_given_up)
        self._in_background(self._client.cancel([sent.future], asynchronous=True, force=True))

    def _forget_given_up(self, task: asyncio.Task[StepResult]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.exception()  # seen

    def _restart(self, worker: str) -> None:
        """End a worker with a step that cannot be interrupted; nobody gives it work until it is back, or for ever."""
        self._workers.exclude(worker)
        self._in_background(self._client.restart_workers([worker], timeout=_RESTART_SECONDS, raise_for_error=False))

    def _in_background(self, coroutine: Any) -> None:
        async def run() -> None:
            try:
                await coroutine
            except Exception:
                logger.warning("a request to the scheduler failed", exc_info=True)

        task = asyncio.create_task(run())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def cancel(self) -> None:
        """Give up all steps."""
        await cancel_all(self._client, {task: sent.future for task, sent in self._steps.items()})
        if self._background:
            await asyncio.wait(self._background, timeout=_RESTART_SECONDS)
        for task in self._background:
            task.cancel()

    async def forget(self) -> None:
        """Free the memory that workers hold for the search."""
        # Steps under way end at their next call, before the folder that they write to is removed.
        try:
            await asyncio.wait_for(self._client.run(forget_run, self._run, on_error="ignore"), CANCEL_SECONDS)
        except Exception:  # the cluster may be gone, which frees its memory as well
            logger.debug("could not free the memory of the workers", exc_info=True)
