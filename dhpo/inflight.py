"""The steps that are on the cluster now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dask.typing import Key

from dhpo.cluster import Workers
from dhpo.cohorts import Assignment, UnderWay
from dhpo.steps import Step, StepResult
from dhpo.training import run_step
from dhpo.worker import forget_run

__all__ = ["InFlight", "Sent"]

logger = logging.getLogger(__name__)

# Seconds for cancelled steps to be acknowledged.
_CANCEL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A step that was submitted.

    Parameters
    ----------
    assignment : Assignment
    start : int
        Calls of the model of it that was furthest behind.
    future : distributed.Future
    """

    assignment: Assignment
    start: int
    future: Any


class InFlight:
    """Submits steps and tells which have come back.

    Parameters
    ----------
    client : distributed.Client
    workers : Workers
    run : str
        Name of the search.
    context : bytes
        The pickled `Context`.
    """

    def __init__(self, client: Any, workers: Workers, run: str, context: bytes) -> None:
        self._client = client
        self._workers = workers
        self._run = run
        self._context = context
        self._steps: dict[asyncio.Task[StepResult], Sent] = {}
        self._n_steps = 0

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def under_way(self) -> list[UnderWay]:
        """What the cohorts of the next steps have to know of these."""
        return [UnderWay(s.start, len(s.assignment.trials), s.assignment.run_end) for s in self._steps.values()]

    def submit(self, assignment: Assignment, step: Step, futures: Mapping[Key, Any]) -> None:
        """Send a step on its way.

        Parameters
        ----------
        assignment : Assignment
        step : Step
        futures : mapping of key to Future
            Data on the cluster that its blocks need.
        """
        kind = "train" if step.blocks else "score"
        future = self._client.submit(
            run_step,
            self._run,
            self._context,
            step,
            list(futures),
            list(futures.values()),
            key=f"{kind}-{self._run}-{self._n_steps}",
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
        self._steps[task] = Sent(assignment, min(work.start for work in step.works), future)

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
                yield sent, task.result()
            except (Exception, asyncio.CancelledError) as error:
                yield sent, error

    async def cancel(self) -> None:
        """Give up all steps."""
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

    async def forget(self) -> None:
        """Free the memory that workers hold for the search."""
        # Steps under way end at their next call, before the folder that they write to is removed.
        try:
            await self._client.run(forget_run, self._run, on_error="ignore")
        except Exception:  # the cluster may be gone, which frees its memory as well
            logger.debug("could not free the memory of the workers", exc_info=True)
