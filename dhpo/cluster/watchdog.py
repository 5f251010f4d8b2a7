"""Looks after the cluster while a search runs, and says when nobody is left to run it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Callable, Coroutine, Set
from typing import TYPE_CHECKING, Any, TypeVar

from dhpo.cluster.workers import Workers
from dhpo.data.memory import PAUSED_SHARE
from dhpo.errors import WorkersLost
from dhpo.worker.state import give_back

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["REFRESH_SECONDS", "Watch"]

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 0.5
"""Between two looks at who is in the cluster."""

# Workers that do nothing and hold too much will not hold less after this.
_OVERFULL_SECONDS = 5.0
_RELIEF_SECONDS = 30.0
# A restart of the cluster cancels what is under way, once. So many tasks in a row, for as long as nobody may be there,
# are cancelled by something else, and will be when they are sent once more.
_MOST_CANCELLED = 100

_T = TypeVar("_T")


class Watch:
    """Knows who is in the cluster, and since when nobody is.

    Parameters
    ----------
    client : distributed.Client
    workers : Workers
    timeout : float
        Seconds without any worker, or without the scheduler, after which the search gives up.
    done : callable
        Says in words what was done so far.
    """

    def __init__(self, client: Client, workers: Workers, timeout: float, done: Callable[[], str]) -> None:
        self._client = client
        self._workers = workers
        scheduler: Any = client.scheduler
        self._address: str = scheduler.address
        self._timeout = timeout
        self._done = done
        self._asking: asyncio.Task[None] | None = None
        self._paused: Set[str] = frozenset()
        self._relieving: set[asyncio.Task[Any]] = set()
        self._unanswered = 0.0  # seconds
        self._cancelled, self._cancelled_since = 0, 0.0
        self._looked = self._seen = self._hopeful = asyncio.get_running_loop().time()

    async def wait_for_workers(self, stopping: asyncio.Task[Any]) -> None:
        """Return as soon as there is a worker, or the search is to stop.

        Raises
        ------
        WorkersLost
            As `look`, and without its patience where all workers hold too much memory to begin anything.
        """
        await self.look(at_once=True)
        while not len(self._workers) and not stopping.done():
            await asyncio.wait({stopping}, timeout=REFRESH_SECONDS / 2)
            await self.look(at_once=True)
            self._check_memory()

    async def during(self, work: Coroutine[Any, Any, _T], stopping: asyncio.Task[Any], doing: str) -> _T:
        """Await something on the cluster, and look after the cluster meanwhile.

        Parameters
        ----------
        work : coroutine
        stopping : asyncio.Task
        doing : str
            What it does, for the error.

        Raises
        ------
        asyncio.CancelledError
            If the search is stopped meanwhile.
        WorkersLost
            As `wait_for_workers`, and if what was asked for is gone with the scheduler.
        """
        task = asyncio.create_task(work)
        try:
            while not task.done() and not stopping.done():
                await asyncio.wait({task, stopping}, timeout=REFRESH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                await self.look()
                self._check_memory()
        finally:
            task.cancel()
        try:
            return await task  # done, or cancelled
        except (Exception, asyncio.CancelledError) as error:
            if stopping.done():
                raise asyncio.CancelledError from error
            if self._client.status == "running" and not _is_cancelled(error):
                raise
            raise WorkersLost(f"{self._explanation(gone=True)} It was lost while {doing}.") from error

    async def look(self, at_once: bool = False) -> None:
        """See who is there, now and then.

        The search does not stand still where the scheduler takes long to answer, and it may still be stopped then.

        Raises
        ------
        WorkersLost
            If nobody was there for too long, the client is closed, or whatever is sent is cancelled.
        """
        clock = asyncio.get_running_loop().time
        if self._client.status in ("closing", "closed"):  # it does not come back, as one that is connecting may
            raise WorkersLost(self._explanation())
        if self._asking is None:
            if clock() - self._looked < REFRESH_SECONDS and not at_once:
                return
            self._asking = asyncio.create_task(self._workers.refresh())
        await asyncio.wait({self._asking}, timeout=REFRESH_SECONDS)
        before, self._looked = self._looked, clock()
        if not self._asking.done():
            # What is longer than a turn of the search is the standstill of this process, and not of the scheduler.
            self._unanswered += min(self._looked - before, 2 * REFRESH_SECONDS)
        else:
            self._unanswered = 0.0
            asking, self._asking = self._asking, None
            try:
                asking.result()
            except (Exception, asyncio.CancelledError) as error:
                if self._client.status == "running" and not isinstance(error, OSError | TimeoutError):
                    raise
                self._workers.lose_all()
                logger.info("could not ask the scheduler for its workers; trying again", exc_info=True)
            self._replace_lost_workers()
            self._relieve_paused()
            # Those that give no sign of life are there: they may be in one long call, and Dask gives them up after its
            # `distributed.scheduler.worker-ttl`, five minutes by default.
            if len(self._workers):
                self._seen = self._looked
            if self._workers.overfull is None:
                self._hopeful = self._looked
        if self._cancelled > _MOST_CANCELLED and clock() - self._cancelled_since > self._timeout:
            raise WorkersLost(self._all_cancelled())
        for_so_long = self._unanswered or self._looked - self._seen
        if for_so_long > self._timeout:
            raise WorkersLost(self._explanation())

    def came_back(self, cancelled: bool) -> None:
        """A task came back, or was cancelled, and not by the search."""
        if not cancelled:
            self._cancelled = 0
            return
        if not self._cancelled:
            self._cancelled_since = asyncio.get_running_loop().time()
        self._cancelled += 1

    def close(self) -> None:
        """Ask nobody any more."""
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        for task in self._relieving:
            task.cancel()

    def _check_memory(self) -> None:
        """Give up workers that hold too much memory before anything was paid for; later, others may come."""
        overfull = self._workers.overfull
        if overfull is not None and self._looked - self._hopeful > _OVERFULL_SECONDS:
            raise WorkersLost(self._too_little_memory(*overfull))

    def _relieve_paused(self) -> None:
        """Have workers that have been paused give back what they keep for later steps: they get none that would."""
        before, self._paused = self._paused, self._workers.paused
        new = list(self._paused - before)
        if new and self._client.status == "running":
            logger.info("paused, for they hold too much memory: %s", ", ".join(new))
            asking = self._client.run(give_back, workers=new, on_error="ignore")
            task = asyncio.ensure_future(asyncio.wait_for(asking, _RELIEF_SECONDS))
            self._relieving.add(task)
            task.add_done_callback(self._relieved)

    def _relieved(self, task: asyncio.Task[Any]) -> None:
        self._relieving.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.info("paused workers could not be asked", exc_info=task.exception())

    def _replace_lost_workers(self) -> None:
        """Have a cluster that this process started bring back the workers that it has given up.

        Dask's clusters give up a worker whose restart takes longer than `distributed.deploy.lost-worker-timeout`, or
        that dies twice within it, although they still promise it in `worker_spec`.
        """
        cluster: Any = self._client.cluster
        promised, there = (getattr(cluster, name, None) for name in ("worker_spec", "workers"))
        if promised and there is not None and len(there) < len(promised) and self._client.status == "running":
            logger.info("%d workers were given up; starting them again", len(promised) - len(there))
            cluster.scale(len(promised))

    def _too_little_memory(self, held: int, limit: int) -> str:
        return (
            f"no worker of {self._address} can begin anything: all are paused. One holds {held / 1e6:,.0f} MB while it "
            f"does nothing, and its memory limit is {limit / 1e6:,.0f} MB, of which {PAUSED_SHARE:g} may be used (Dask "
            f"pauses a worker above it). Give each worker at least {held / PAUSED_SHARE / 1e6:,.0f} MB and room for "
            f"its blocks, for instance by starting fewer workers on a machine. {self._done()}"
        )

    def _all_cancelled(self) -> str:
        return (
            f"for {self._timeout:g} s, all tasks sent to {self._address} were cancelled, {self._cancelled:,} in a row, "
            "and the search does not cancel them. Does something else cancel all tasks, or restart the cluster again "
            "and again? If not, start a new distributed.Client: one in which a call of gather was cancelled may cancel "
            f"all later ones. {self._done()}"
        )

    def _explanation(self, gone: bool = False) -> str:
        if self._client.status in ("closing", "closed"):
            return (
                f"the client of {self._address} is {self._client.status}: it was closed, or the scheduler is gone, or "
                f"cannot be reached. {self._done()}"
            )
        if gone:
            return f"{self._address} does not answer: the scheduler is gone, or cannot be reached. {self._done()}"
        if self._client.status != "running" or self._unanswered:
            return (
                f"{self._address} has not answered for {self._timeout:g} s: the scheduler is gone, or cannot be "
                f"reached. {self._done()}"
            )
        if self._workers.overfull is not None:
            return self._too_little_memory(*self._workers.overfull)
        return (
            f"{self._address} has had no running worker for {self._timeout:g} s; {self._done()} Workers that are "
            "paused, because they hold more than 0.8 of their memory limit, do not count: give them more memory, or "
            "the data smaller chunks. The logs of the cluster tell more."
        )


def _is_cancelled(error: BaseException) -> bool:
    """Whether this is what Dask makes of tasks that are gone with their scheduler; nobody else cancels them."""
    return isinstance(error, concurrent.futures.CancelledError | asyncio.CancelledError)
