"""The steps that are on the cluster now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from dask.typing import Key
from distributed import Client
from distributed.scheduler import KilledWorker

from dhpo.cluster.stopping import CANCEL_SECONDS, cancel_all
from dhpo.cluster.tasks import bring_home
from dhpo.cluster.workers import Workers
from dhpo.driver.sent_step import SentStep, StepLost
from dhpo.driver.step_planning import Assignment, UnderWay
from dhpo.worker.breadcrumbs import Crumb, Deed, read_crumb
from dhpo.worker.isolated_step import run_quarantined
from dhpo.worker.messages import Step, StepResult
from dhpo.worker.state import forget_run
from dhpo.worker.step import run_step
from dhpo.worker.timeouts import is_timeout

__all__ = ["InFlight"]

logger = logging.getLogger(__name__)

# For a worker to say what it does.
_ANSWER_SECONDS = 0.2
# Seconds for a worker to be restarted.
_RESTART_SECONDS = 30.0


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

    def __init__(self, client: Client, workers: Workers, run: str, context: bytes, crumbs_shared: bool) -> None:
        self._client = client
        self._workers = workers
        self._run = run
        self._context = context
        self._crumbs_shared = crumbs_shared
        self._steps: dict[asyncio.Task[StepResult], SentStep] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._restarts: set[asyncio.Task[Any]] = set()
        self._silenced: list[tuple[SentStep, StepLost]] = []
        self.n_sent = 0

    @property
    def under_way(self) -> list[UnderWay]:
        """What the cohorts of the next steps have to know of these."""
        steps = {sent.number: sent for sent in self._steps.values()}
        return [UnderWay(s.start, len(s.assignment.models), s.assignment.run_end) for s in steps.values()]

    def submit(
        self, name: str, assignment: Assignment, step: Step, futures: Mapping[Key, Any], idle_since: float
    ) -> None:
        """Send a step on its way.

        Parameters
        ----------
        name : str
            See `dhpo.driver.step_name`.
        assignment : Assignment
        step : Step
        futures : mapping of key to Future
            Data on the cluster that its blocks need.
        idle_since : float
            Since when the thread may have had nothing to do, by the clock of the search.
        """
        self._send(name, assignment, step, futures, self.n_sent, idle_since)

    def _send(
        self, name: str, assignment: Assignment, step: Step, futures: Mapping[Key, Any], number: int, idle_since: float
    ) -> None:
        future = self._client.submit(
            run_quarantined if assignment.quarantined else run_step,
            self._run,
            self._context,
            step,
            list(futures),
            list(futures.values()),
            key=f"{name}-{self._run}-{self.n_sent}",
            # Where the worker dies, we say what is run again, and where: Dask would run the same step, and with it the
            # model that has ended the worker.
            workers=[assignment.worker],
            allow_other_workers=False,
            priority=assignment.rung,
            pure=False,
        )
        self.n_sent += 1
        self._workers.occupy(assignment.worker)
        task = asyncio.create_task(self._result_of(future))
        now = asyncio.get_running_loop().time()
        self._steps[task] = SentStep(name, assignment, step, future, None, now, number, dict(futures), idle_since)

    def copy_silent(self, seconds: float, crumb: Callable[[int], str]) -> None:
        """Send the steps of workers that give no sign of life to free ones, too: what comes back first counts.

        A step gives the same bits wherever it runs. It has one copy at most: where it is the step itself that silences
        its workers, it is not to silence all of them.

        Parameters
        ----------
        seconds : float
            For workers that have been silent for longer than this.
        crumb : callable
            Returns the file for the breadcrumbs of a step, by its number.
        """
        for sent in list(self._steps.values()):
            worker = sent.assignment.worker
            free = [address for address in self._workers.free if address != worker]
            if not free:
                return
            if sent.suspected or self._others(sent):
                continue
            if self._workers.silent_for(worker) > seconds:
                logger.info(
                    "%s gives no sign of life; its step of %d models goes to %s, too",
                    worker,
                    len(sent.step.works),
                    free[0],
                )
                step = replace(sent.step, crumb=crumb(self.n_sent), memory_limit=self._workers.memory_limit(free[0]))
                again = replace(sent.assignment, worker=free[0])
                self._send(sent.name, again, step, sent.futures, sent.number, sent.idle_since)

    def _others(self, sent: SentStep) -> list[asyncio.Task[StepResult]]:
        """The copies of a step, which may be what it is a copy of."""
        return [task for task, other in self._steps.items() if other.number == sent.number and other is not sent]

    async def _result_of(self, future: Any) -> StepResult:
        # No deadline: nobody knows how long a call takes. The loop that looks at it gives up what will not come back.
        result: StepResult = await bring_home(self._client, future)
        return result

    async def wait(self, signals: Iterable[asyncio.Future[Any]], timeout: float) -> None:
        """Wait for a step to come back, for a signal, or for the time to pass."""
        await asyncio.wait({*self._steps, *signals}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    def returned(self) -> Iterator[tuple[SentStep, StepResult | BaseException]]:
        """The steps that have come back, with what came of them."""
        for task in [task for task in self._steps if task.done()]:
            sent = self._steps.pop(task, None)
            if sent is None:  # a copy of it came back just before
                continue
            self._workers.release(sent.assignment.worker)
            try:
                result: StepResult | BaseException = task.result()
            except KilledWorker:
                result = StepLost(None)
            except (Exception, asyncio.CancelledError) as error:
                result = error
            if isinstance(result, StepResult) and result.died is not None:
                result = StepLost(result.died)
            elif isinstance(result, StepResult) and sent.was_silent:
                late = next((o for o in result.outcomes if is_timeout(o.error)), None)
                if late is not None:  # by the time, maybe, that its worker was frozen for
                    result = StepLost(Crumb(late.model, late.state.calls, Deed.TRAINING, turn=0))
            others = self._others(sent)
            if isinstance(result, StepResult):
                for other in others:
                    self._give_up(other)
            elif others:
                logger.info("one of two runs of a step is lost: %r", result)
                continue
            yield sent, result

    async def lost(self) -> list[tuple[SentStep, StepLost]]:
        """Give up the steps whose workers are gone."""
        found, self._silenced = self._silenced, []
        for task, sent in list(self._steps.items()):
            if sent.assignment.worker not in self._workers.present and not task.done():
                self._give_up(task)
                if self._others(sent):
                    continue
                crumb = await asyncio.to_thread(read_crumb, sent.step.crumb) if self._crumbs_shared else None
                found.append((sent, StepLost(crumb)))
        return found

    async def stranded(self) -> list[SentStep]:
        """Give up the steps that have not begun on workers that begin nothing."""
        found = []
        for task, sent in list(self._steps.items()):
            paused = sent.assignment.worker in self._workers.paused and not task.done()
            if paused and await self._crumb(sent) is None and not task.done() and task in self._steps:
                self._give_up(task)
                if not self._others(sent):
                    found.append(sent)
        return found

    async def hanging(self, seconds_left: Mapping[int, float]) -> list[tuple[SentStep, int, str]]:
        """Give up the steps in which one model has been at the same call for too long, and restart their workers.

        Parameters
        ----------
        seconds_left : mapping of int to float
            Seconds that each model under way may still take.

        Returns
        -------
        list of (SentStep, int, str)
            Each with its model, and what that was doing.
        """
        now, found = asyncio.get_running_loop().time(), []
        for task, sent in list(self._steps.items()):
            if task.done():
                continue
            silent = self._workers.silent_for(sent.assignment.worker) > 0
            if silent != sent.silent:
                # The time that a worker is frozen for is no time of the model.
                sent.silent, sent.was_silent, sent.since = silent, True, now
            crumb = sent.crumb if silent and not self._crumbs_shared else await self._crumb(sent)
            if task.done() or task not in self._steps:
                continue
            if crumb != sent.crumb:
                sent.crumb, sent.since = crumb, now
            elif crumb is not None and crumb.model is not None:
                over = sent.since + seconds_left[crumb.model]
                if now < over or not (silent or self._workers.was_alive(sent.assignment.worker, over)):
                    continue  # it may be the worker that hangs
                self._give_up(task)
                self._restart(sent.assignment.worker)
                if not silent:
                    for other in self._others(sent):
                        self._give_up(other)
                    found.append((sent, crumb.model, crumb.doing))
                elif others := self._others(sent):
                    for other in others:
                        self._steps[other].suspected = True
                else:
                    # The model may have silenced it, or not: as where a worker dies.
                    self._silenced.append((sent, StepLost(crumb)))
        return found

    async def _crumb(self, sent: SentStep) -> Crumb | None:
        if self._crumbs_shared:
            return await asyncio.to_thread(read_crumb, sent.step.crumb)  # from the disk that all models lie on
        if sent.asking is None:
            sent.asking = asyncio.create_task(self._ask(sent))
            self._background.add(sent.asking)
            sent.asking.add_done_callback(self._background.discard)
        # Briefly: the other workers do not wait for one that takes long to answer; it is looked at again in a moment.
        await asyncio.wait({sent.asking}, timeout=_ANSWER_SECONDS)
        if not sent.asking.done():
            return sent.crumb
        asking, sent.asking = sent.asking, None
        return asking.result()

    async def _ask(self, sent: SentStep) -> Crumb | None:
        worker = sent.assignment.worker
        asking = self._client.run(read_crumb, sent.step.crumb, workers=[worker], on_error="ignore")
        try:
            crumb: Crumb | None = (await asyncio.wait_for(asking, CANCEL_SECONDS)).get(worker)
        except Exception:
            return sent.crumb
        return crumb

    def _give_up(self, task: asyncio.Task[StepResult]) -> None:
        sent = self._steps.pop(task)
        self._workers.release(sent.assignment.worker)
        # Not the task: what it awaits inside of Dask would complain of an exception that nobody retrieves.
        self._background.add(task)
        task.add_done_callback(self._forget_given_up)
        self._in_background(self._client.cancel([sent.future], asynchronous=True, force=True), self._background)

    def _forget_given_up(self, task: asyncio.Task[StepResult]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.exception()  # seen

    def _restart(self, worker: str) -> None:
        """End a worker with a step that cannot be interrupted; nobody gives it work until it is back, or for ever."""
        self._workers.exclude(worker)
        restarting = self._client.restart_workers([worker], timeout=_RESTART_SECONDS, raise_for_error=False)
        self._in_background(restarting, self._restarts)

    def _in_background(self, coroutine: Any, tasks: set[asyncio.Task[Any]]) -> None:
        async def run() -> None:
            try:
                await coroutine
            except Exception:
                logger.warning("a request to the scheduler failed", exc_info=True)

        task = asyncio.create_task(run())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def give_up_all(self) -> list[SentStep]:
        """Give up all steps, and go on."""
        found = {sent.number: sent for sent in self._steps.values()}
        for task in list(self._steps):
            self._give_up(task)
        return list(found.values())

    async def cancel(self) -> None:
        """Give up all steps."""
        await cancel_all(self._client, {task: sent.future for task, sent in self._steps.items()})
        if self._client.status == "running":
            for tasks, seconds in ((self._background, CANCEL_SECONDS), (self._restarts, _RESTART_SECONDS)):
                if tasks:
                    await asyncio.wait(tasks, timeout=seconds)
        for task in self._background | self._restarts:
            task.cancel()

    async def forget(self) -> None:
        """Free the memory that workers hold for the search."""
        # Steps under way end at their next call, before the folder that they write to is removed.
        if self._client.status != "running":
            return
        try:
            await asyncio.wait_for(self._client.run(forget_run, self._run, on_error="ignore"), CANCEL_SECONDS)
        except Exception:  # the cluster may be gone, which frees its memory as well
            logger.debug("could not free the memory of the workers", exc_info=True)
