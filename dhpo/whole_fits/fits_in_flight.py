"""Fits that were sent to the cluster, and have not come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dhpo.cluster.lost_tasks import ForgottenTasks
from dhpo.cluster.stopping import cancel_all
from dhpo.cluster.tasks import bring_home
from dhpo.cluster.watchdog import REFRESH_SECONDS
from dhpo.cluster.workers import Workers
from dhpo.whole_fits.fit_job import CandidateSplit
from dhpo.whole_fits.fits import FitOutcome, fit_several
from dhpo.whole_fits.fits_elsewhere import Elsewhere, SentFits

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["FitsInFlight"]


class FitsInFlight:
    """Submits tasks of fits, and finds those that will not come back by themselves.

    Parameters
    ----------
    client : distributed.Client
    workers : Workers
    run : str
        Name of the search.
    not_done : callable
        Returns those of some works whose outcomes are not known yet.
    """

    def __init__(
        self,
        client: Client,
        workers: Workers,
        run: str,
        not_done: Callable[[Sequence[CandidateSplit]], list[CandidateSplit]],
    ) -> None:
        self._client = client
        self._workers = workers
        self._run = run
        self._not_done = not_done
        self._running: dict[asyncio.Task[list[FitOutcome]], SentFits] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._elsewhere = Elsewhere(client, workers)
        self._forgotten: ForgottenTasks | None = None
        self._n_sent = 0

    def __len__(self) -> int:
        return len(self._running)

    @property
    def nobody_answers(self) -> bool:
        """Whether no worker gives a sign of life."""
        return self._elsewhere.all_silent

    def submit(self, works: list[CandidateSplit], source: Any, seconds: float) -> None:
        """Send some fits as one task.

        Parameters
        ----------
        works : list of CandidateSplit
        source : str or Future
            Where workers find what all fits have in common.
        seconds : float
            After which the task gives back what it has not begun.
        """
        where = self._workers.anywhere()
        future = self._client.submit(
            fit_several,
            self._run,
            source,
            works,
            seconds,
            key=f"fit-{self._run}-{self._n_sent}",
            priority=-self._n_sent,
            retries=2,
            pure=False,
            **where,
        )
        self._n_sent += 1
        self._running[asyncio.create_task(self._result_of(future))] = SentFits(future, works, where)

    async def _result_of(self, future: Any) -> list[FitOutcome]:
        # No deadline: nobody knows how long a fit takes. The watch tells when the cluster is gone.
        result: list[FitOutcome] = await bring_home(self._client, future)
        return result

    async def wait(self, signals: Iterable[asyncio.Future[Any]]) -> None:
        """Wait for a task to come back, for a signal, or for a moment."""
        await asyncio.wait({*self._running, *signals}, timeout=REFRESH_SECONDS, return_when=asyncio.FIRST_COMPLETED)

    def returned(self) -> Iterator[tuple[list[CandidateSplit], list[FitOutcome] | BaseException]]:
        """The fits of the tasks that have come back, with what came of them."""
        for task in [task for task in self._running if task.done()]:
            works = self._running.pop(task).works
            try:
                result: list[FitOutcome] | BaseException = task.result()
            except (Exception, asyncio.CancelledError) as error:
                result = error
            yield works, result

    def give_up_copies(self) -> None:
        """Wait no longer for tasks of which all fits came back by others."""
        for task in [task for task, sent in self._running.items() if not self._not_done(sent.works)]:
            self._give_up(task)

    def stranded(self) -> list[CandidateSplit]:
        """Give up tasks that wait for workers that are gone, and return the works that are still to do."""
        return self._given_up([task for task, sent in self._running.items() if self._workers.is_stranded(sent.where)])

    async def forgotten(self) -> list[CandidateSplit]:
        """Give up tasks that the scheduler has forgotten, and return the works that are still to do."""
        if self.nobody_answers:
            return []
        if self._forgotten is None:
            self._forgotten = ForgottenTasks(self._client)
        keys = await self._forgotten.among([sent.future for sent in self._running.values()])
        return self._given_up([task for task, sent in self._running.items() if sent.future.key in keys])

    async def works_of_silent(self) -> list[CandidateSplit]:
        """What silent workers have in hand, once; see `Elsewhere`."""
        return await self._elsewhere.works_of_silent(self._running.values())

    def _given_up(self, tasks: Sequence[asyncio.Task[Any]]) -> list[CandidateSplit]:
        return self._not_done([work for task in tasks for work in self._give_up(task)])

    def _give_up(self, task: asyncio.Task[Any]) -> list[CandidateSplit]:
        sent = self._running.pop(task)
        cancelling = asyncio.create_task(cancel_all(self._client, {task: sent.future}))
        self._background.add(cancelling)
        cancelling.add_done_callback(self._background.discard)
        return sent.works

    async def cancel(self) -> None:
        """Give up all tasks."""
        await cancel_all(self._client, {task: sent.future for task, sent in self._running.items()})
        self._running.clear()
        if self._background:  # each has a deadline of its own
            await asyncio.wait(self._background)
        self._elsewhere.close()
