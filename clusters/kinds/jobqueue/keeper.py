"""Sees that a cluster has the jobs that it promises: those that ended are submitted again while it is open."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import dask
from dask.utils import parse_timedelta
from distributed.core import Status
from tornado.ioloop import PeriodicCallback

from clusters.kinds.jobqueue.cluster import TellingCluster, TellingJob

__all__ = ["Keeper", "log_of"]

logger = logging.getLogger(__name__)

_ASK_SECONDS = 30.0
_LONGEST_WAIT = 600.0
_LOG_LINES = 12
_LOG_CHARACTERS = 1500


class Keeper:
    """Looks, now and then, for jobs that are gone without a worker, and for workers that are promised and missing.

    Dask itself notices a worker that leaves. It forgets its job then, but submits another only for an adaptive cluster;
    and of a job that ends before its worker has come it notices nothing.

    Parameters
    ----------
    cluster : TellingCluster
        The cluster.
    logs : Path
        Where its jobs write.
    every : float
        Seconds between two looks.
    """

    def __init__(self, cluster: TellingCluster, logs: Path, every: float) -> None:
        self._cluster = cluster
        self._logs = logs
        self._every = every
        self._missed: dict[TellingJob, float] = {}
        self._came: set[str] = set()
        self._failures = 0

    def begin(self) -> None:
        """Look from now on, until the cluster closes."""
        self._cluster.periodic_callbacks["keeper"] = looking = PeriodicCallback(self._look, self._every * 1000)
        assert self._cluster.loop is not None
        self._cluster.loop.add_callback(looking.start)

    async def _look(self) -> None:
        cluster = self._cluster
        if cluster.status != Status.running:
            return
        if cluster.scheduler is None or cluster.scheduler.status != Status.running:
            logger.info("the scheduler ended; the cluster is closed")
            closing = cluster.close()
            if closing is not None:
                await closing
            return
        await self._forget_failed_jobs()
        missing = set(cluster.worker_spec) - set(cluster.workers)
        if missing and cluster.status == Status.running:
            logger.info("%d jobs ended; submitting others", len(missing))
            cluster.scale(len(cluster.worker_spec))

    async def _forget_failed_jobs(self) -> None:
        failed = await self._failed_jobs()
        now = asyncio.get_running_loop().time()
        self._missed = {job: self._missed.get(job, now) for job in failed.values()}
        # Dask counts a worker as lost after the first, and submits again what is forgotten: so the wait grows.
        patience = parse_timedelta(dask.config.get("distributed.deploy.lost-worker-timeout"))
        patience += min(_LONGEST_WAIT, self._every * (2**self._failures - 1))
        due = {name: job for name, job in failed.items() if now - self._missed[job] >= patience}
        for name, job in due.items():
            if self._cluster.workers.get(name) is not job:
                continue
            why = job.refused or f"job {job.job_id} ended before its worker came: {log_of(self._logs, job.job_id)}"
            logger.warning("a worker is missing, and is asked for again: %s", why)
            del self._cluster.workers[name]
            await job.close()
        self._failures += bool(due)

    async def _failed_jobs(self) -> dict[str, TellingJob]:
        """Jobs without a worker that were refused, or that are in the queue no more."""
        there = {worker["name"] for worker in self._cluster.scheduler_info["workers"].values()}
        if there - self._came:
            self._failures = 0
        self._came |= there
        alone = {name: job for name, job in self._cluster.workers.items() if name not in there}
        ids = [job.job_id for job in alone.values() if job.job_id is not None]
        known = await asyncio.to_thread(self._cluster.system.states, ids, _ASK_SECONDS) if ids else {}
        return {
            name: job
            for name, job in alone.items()
            if job.refused is not None or (known is not None and job.job_id is not None and job.job_id not in known)
        }


def log_of(logs: Path, job: str | None) -> str:
    """The last lines that a job wrote; its errors, if there are any."""
    files = sorted(logs.glob(f"*{job}*"), key=lambda file: (".err" not in file.name, file.name)) if job else []
    for file in files:
        try:
            lines = [line for line in file.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            continue
        if lines:
            return " | ".join(lines[-_LOG_LINES:])[-_LOG_CHARACTERS:]
    return "its log is empty"
