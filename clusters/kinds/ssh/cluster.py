"""Dask's cluster over the hosts, started and closed as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import Counter
from typing import Any

from distributed.utils import format_dashboard_link, silence_logging_cmgr

from clusters.deadlines import Deadline, wait_for_workers
from clusters.errors import StartError
from clusters.kinds.ssh.config import Host, SshConfig
from clusters.kinds.ssh.orders import scheduler_order, worker_name, worker_order
from clusters.kinds.ssh.process import Scheduler, Session, Worker
from clusters.scheduler_end import EndsWithScheduler
from clusters.tls import security_of

__all__ = ["SshCluster", "start"]


class SshCluster(EndsWithScheduler):
    """A cluster on hosts that are reached over SSH, which scales over them.

    Parameters
    ----------
    config : SshConfig
        The configuration.
    deadline : Deadline
        Until when scheduler and first workers have to run.
    """

    def __init__(self, config: SshConfig, deadline: Deadline) -> None:
        self._config = config
        self.session = Session(config, deadline)
        self._numbers = itertools.count()
        self._beating: asyncio.Task[None] | None = None
        self._tls = security_of(config.security, default=True)
        memory = {} if config.memory is None else {"memory_limit": config.memory}
        self._counted = {"nthreads": config.threads, **memory}
        number = len(config.ssh.hosts) if config.least is None else config.least
        workers: dict[str, Any] = {}
        for _ in range(number):
            workers.update(self._one_more(workers))
        order = scheduler_order(config, self._tls)
        options = {"session": self.session, "host": config.scheduler_host, "order": order}
        try:
            super().__init__(
                workers=workers,
                scheduler={"cls": Scheduler, "options": options},
                # What it counts with; each worker is made by new_worker_spec.
                worker={"cls": Worker, "options": self._counted},
                security=self._tls,
            )
        except BaseException as error:
            if self.loop is not None and not isinstance(error, Exception):
                # Ctrl-C: what is on its way is not waited for.
                self.loop.add_callback(self.session.fail, StartError("the start was interrupted", "start again"))
            self.close()
            raise

    def new_worker_spec(self) -> dict[str, Any]:
        """Name and description of one more worker, on the host that has the fewest."""
        return self._one_more(self.worker_spec)

    def _one_more(self, workers: dict[str, Any]) -> dict[str, Any]:
        taken = Counter(worker["place"] for worker in workers.values())
        place = min(range(len(self._config.ssh.hosts)), key=lambda n: (taken[n], n))
        host: Host = self._config.ssh.hosts[place]
        # Dask retires and adapts workers by name: the one that they have here has to be their own.
        name = worker_name(next(self._numbers), host)
        options = {
            "session": self.session,
            "host": host,
            "name": name,
            "forget": self._forget,
            "order": worker_order(self._config, self._tls, name),
            **self._counted,
        }
        return {name: {"cls": Worker, "options": options, "place": place}}

    @property
    def dashboard_link(self) -> str:
        """Where a browser on this machine finds the dashboard; it leads through SSH."""
        dashboard = getattr(self.scheduler, "dashboard", None)
        return str(format_dashboard_link(*dashboard)) if dashboard else ""

    def _forget(self, name: str) -> None:
        self.worker_spec.pop(name, None)
        self.scale(len(self.worker_spec))

    async def _start(self) -> None:
        await super()._start()
        if self._beating is None:
            self._beating = asyncio.create_task(self.session.beat())

    async def _close(self) -> None:
        try:
            await super()._close()
        finally:
            if self._beating is not None:
                self._beating.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._beating
            await asyncio.gather(*(process.close() for process in list(self.session.processes)))
            await self.session.connections.close()


def start(config: SshConfig, deadline: Deadline) -> SshCluster:
    """Start scheduler and workers, and wait until all have reported."""
    failure: StartError | None = None
    try:
        # Dask warns of a cluster that was closed without having started; the error says more.
        with silence_logging_cmgr(logging.ERROR):
            cluster = SshCluster(config, deadline)
    except RuntimeError as error:
        # Dask wraps what goes wrong with a scheduler, in words of its own.
        failure = _reason(error)
        if failure is None:
            raise StartError(f"the cluster did not start: {error}") from error
    if failure is not None:
        raise failure
    try:
        wait_for_workers(cluster, len(cluster.worker_spec), deadline)
        cluster.session.started()
    except BaseException:
        cluster.close()
        raise
    return cluster


def _reason(error: BaseException) -> StartError | None:
    reason: BaseException | None = error
    while reason is not None and not isinstance(reason, StartError):
        reason = reason.__cause__
    return reason
