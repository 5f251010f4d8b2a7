"""Looks after the cluster while a search runs, and says when nobody is left to run it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from dhpo.cluster import Workers
from dhpo.errors import WorkersLost

__all__ = ["REFRESH_SECONDS", "Watch"]

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 0.5
"""Between two looks at who is in the cluster."""


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

    def __init__(self, client: Any, workers: Workers, timeout: float, done: Callable[[], str]) -> None:
        self._client = client
        self._workers = workers
        self._address = client.scheduler.address
        self._timeout = timeout
        self._done = done
        self._looked = self._seen = asyncio.get_running_loop().time()

    async def wait_for_workers(self, stopping: asyncio.Task[Any]) -> None:
        """Return as soon as there is a worker, or the search is to stop."""
        await self.look(at_once=True)
        while not len(self._workers) and not stopping.done():
            await asyncio.wait({stopping}, timeout=REFRESH_SECONDS / 2)
            await self.look(at_once=True)

    async def look(self, at_once: bool = False) -> None:
        """See who is there, now and then.

        Raises
        ------
        WorkersLost
            If nobody was there for too long.
        """
        now = asyncio.get_running_loop().time()
        if now - self._looked < REFRESH_SECONDS and not at_once:
            return
        try:
            await asyncio.wait_for(self._workers.refresh(), self._timeout)
        except (OSError, TimeoutError):
            self._workers.lose_all()
            logger.info("could not ask the scheduler for its workers; trying again", exc_info=True)
        self._looked = now
        self._replace_lost_workers()
        if len(self._workers):
            self._seen = now
        elif now - self._seen > self._timeout:
            raise WorkersLost(self._explanation())

    def _replace_lost_workers(self) -> None:
        """Have a cluster that this process started bring back the workers that it has given up.

        Dask's clusters give up a worker whose restart takes longer than `distributed.deploy.lost-worker-timeout`, or
        that dies twice within it, although they still promise it in `worker_spec`.
        """
        cluster = self._client.cluster
        promised, there = (getattr(cluster, name, None) for name in ("worker_spec", "workers"))
        if promised and there is not None and len(there) < len(promised) and self._client.status == "running":
            logger.info("%d workers were given up; starting them again", len(promised) - len(there))
            cluster.scale(len(promised))

    def _explanation(self) -> str:
        if self._client.status != "running":
            return (
                f"{self._address} has not answered for {self._timeout:g} s: the scheduler is gone, or cannot be "
                f"reached. {self._done()}"
            )
        return (
            f"{self._address} has had no running worker for {self._timeout:g} s; {self._done()} Workers that are "
            "paused, because they hold more than 0.8 of their memory limit, do not count: give them more memory, or "
            "the data smaller chunks. The logs of the cluster tell more."
        )
