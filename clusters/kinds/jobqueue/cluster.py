"""Dask's cluster of jobs, with jobs that tell when they are refused, and nothing that stays behind when it closes."""

from __future__ import annotations

import inspect
import logging
import time
import types
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from distributed.core import Status
from distributed.deploy.spec import ProcessInterface

from clusters.kinds.jobqueue.dask_jobqueue_import import native_class
from clusters.kinds.jobqueue.private_folder import PrivateFolder
from clusters.kinds.jobqueue.system import System
from clusters.scheduler_end import EndsWithScheduler

__all__ = ["JobLedger", "TellingCluster", "TellingJob", "cluster_class"]

logger = logging.getLogger(__name__)

_LEAVE_SECONDS = 15.0
_POLL_SECONDS = 0.1


@dataclass
class JobLedger:
    """What a cluster has asked of its batch system.

    Attributes
    ----------
    names : dict
        The worker of each job, by the id of the job, in order.
    refusals : list of str
        What the system said of those that it did not take.
    """

    names: dict[str, str] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    @property
    def submitted(self) -> list[str]:
        """The ids of all jobs."""
        return list(self.names)


class TellingJob(ProcessInterface):
    """Mixed into a job of dask-jobqueue: a refusal is kept, where Dask would only log it and fail later, elsewhere."""

    ledger: ClassVar[JobLedger]
    name: str
    job_id: str | None
    refused: str | None = None
    """What the batch system said when it did not take this job."""

    async def start(self) -> None:
        """Submit the job."""
        try:
            await super().start()
        except (OSError, RuntimeError, ValueError) as error:
            self.refused = str(error)
            self.ledger.refusals.append(self.refused)
            # Dask asserts it of each job, and would fail without a cause.
            self.status = Status.running
        else:
            self.ledger.names[str(self.job_id)] = self.name

    async def close(self) -> None:
        """Cancel the job."""
        try:
            await super().close()
        except OSError as error:
            logger.warning("job %s could not be cancelled: %s", self.job_id, error)
        self.status = Status.closed


class TellingCluster(EndsWithScheduler):
    """Mixed into a cluster of dask-jobqueue: it knows its batch system, and when it is closed its jobs are gone."""

    system: ClassVar[System]
    ledger: ClassVar[JobLedger]
    private: PrivateFolder | None = None
    """Where the jobs find what is only theirs; it goes with the cluster."""

    def close(self, timeout: float | None = None) -> Awaitable[None] | None:
        """Cancel all jobs, wait until they are gone, and end the scheduler."""
        closing = super().close(timeout)
        if inspect.isawaitable(closing):
            return self._leave_after(closing)
        self._leave()
        return None

    async def _leave_after(self, closing: Awaitable[None]) -> None:
        await closing
        self._leave(wait=False)

    def _leave(self, wait: bool = True) -> None:
        private, self.private = self.private, None
        if private is None:
            return
        end = time.monotonic() + _LEAVE_SECONDS
        # A job that is cancelled takes a moment to end, and writes its log until then.
        while wait and self.system.states(self.ledger.submitted, _LEAVE_SECONDS) and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        private.remove()


def cluster_class(system: System) -> type[Any]:
    """The cluster class of dask-jobqueue for a batch system, made to tell; for one cluster."""
    native = native_class(system.native)
    ledger = JobLedger()
    job = types.new_class(
        native.job_cls.__name__, (TellingJob, native.job_cls), exec_body=lambda names: names.update(ledger=ledger)
    )
    content = {"job_cls": job, "ledger": ledger, "system": system}
    return types.new_class(native.__name__, (TellingCluster, native), exec_body=lambda names: names.update(content))
