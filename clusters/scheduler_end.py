"""Clusters whose scheduler has ended by itself, as after its idle time-out."""

from __future__ import annotations

from typing import Any

from distributed.core import Status
from distributed.deploy import SpecCluster

__all__ = ["EndsWithScheduler", "count_idleness", "scheduler_ended"]

_ENDED = (Status.closing, Status.closed, Status.failed)


def scheduler_ended(cluster: Any) -> bool:
    """Whether the scheduler is known to have ended; where it is somebody else's, nothing is known."""
    scheduler = getattr(cluster, "scheduler", None)
    return scheduler is not None and scheduler.status in _ENDED


def count_idleness(cluster: Any, idle_timeout: float | None) -> None:
    """Let a scheduler in this process end after so many seconds without work from now on.

    Not before its workers are there: they would wait for a scheduler that ended while they started, or in a queue.
    """
    scheduler = cluster.scheduler
    scheduler.idle_since, scheduler.idle_timeout = None, idle_timeout


class EndsWithScheduler(SpecCluster):
    """Mixed into a cluster of Dask's: what is left of it is closed without its scheduler."""

    async def _close(self) -> None:
        if scheduler_ended(self):
            # Dask would call it until the connect time-out.
            self.shutdown_scheduler = False
        await super()._close()
