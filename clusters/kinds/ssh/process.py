"""Scheduler and workers on hosts, as Dask's cluster starts and ends them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from distributed.core import Status
from distributed.deploy import ProcessInterface

from clusters.deadlines import Deadline
from clusters.errors import StartError
from clusters.kinds.ssh.config import Host, SshConfig
from clusters.kinds.ssh.connection import Connections
from clusters.kinds.ssh.python import RemotePython

__all__ = ["RemoteProcess", "Scheduler", "Session", "Worker"]

logger = logging.getLogger("clusters.ssh")

_DIRECT_SECONDS = 5.0
# How often a driver is heard before it counts as lost.
_BEATS = 5
_LOOPBACK = "127.0.0.1"
_EVERYWHERE = {"0.0.0.0", "::"}


class Session:
    """What the processes of one cluster share.

    Parameters
    ----------
    config : SshConfig
        The configuration.
    deadline : Deadline
        Until when the first of them have to run; for later ones the same time counts anew.
    """

    def __init__(self, config: SshConfig, deadline: Deadline) -> None:
        self.config = config
        self.connections = Connections(config)
        self.processes: set[RemoteProcess] = set()
        self.failure: StartError | None = None
        self._failed = asyncio.Event()
        self._first_deadline: Deadline | None = deadline

    @property
    def starting(self) -> bool:
        """Whether the cluster is still being started, so that a failure ends it."""
        return self._first_deadline is not None

    def started(self) -> None:
        """From now on a failure is only that of one worker."""
        self._first_deadline = None

    def deadline(self) -> Deadline:
        """Until when a process that starts now has to run."""
        return self._first_deadline or Deadline(self.config.start_timeout)

    def fail(self, failure: StartError) -> None:
        """Remember why the cluster fails: the first reason counts."""
        self.failure = self.failure or failure
        self._failed.set()

    async def unless_failed(self, work: Any) -> Any:
        """Do some work, and give it up when another process of the start has failed."""
        doing = asyncio.ensure_future(work)
        failing = asyncio.ensure_future(self._failed.wait())
        try:
            await asyncio.wait([doing, failing], return_when=asyncio.FIRST_COMPLETED)
            if not doing.done() and self.failure is not None:
                raise self.failure
            return await doing
        finally:
            for task in (doing, failing):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, StartError):
                    await task

    async def beat(self) -> None:
        """Let all hosts know, again and again, that this process lives."""
        while True:
            await asyncio.sleep(self.config.ssh.lost_after / _BEATS)
            for process in self.processes:
                process.python.say()


class RemoteProcess(ProcessInterface):
    """A process on a host.

    Parameters
    ----------
    session : Session
        What it shares with the others.
    host : Host
        Where it runs.
    order : dict
        What is run there.
    """

    what = "process"

    def __init__(self, session: Session, host: Host, order: dict[str, Any]) -> None:
        super().__init__()
        self.python = RemotePython(session.config, host, session.connections)
        self._session = session
        self._order = order
        self._closing = False
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it, and return when it runs."""
        self._session.processes.add(self)
        deadline = self._session.deadline()
        try:
            report = await self._session.unless_failed(self._started(deadline))
            self.address = report["address"]
            await self.reachable(report, deadline)
        except StartError as failure:
            await self.failed(failure)
        else:
            self._watching = asyncio.create_task(self._watch())
        await super().start()

    async def reachable(self, report: dict[str, Any], deadline: Deadline) -> None:
        """Open the way from here to it, where one is needed."""

    async def failed(self, failure: StartError) -> None:
        """Let the start of the cluster fail."""
        self._session.fail(failure)
        raise failure

    async def close(self) -> None:
        """End it, and return when it is gone."""
        self._closing = True
        await self.python.end()
        if self._watching is not None:
            await self._watching
        self._session.processes.discard(self)
        await super().close()

    async def _started(self, deadline: Deadline) -> dict[str, Any]:
        await self.python.run("guard", self._order, deadline)
        return await self.python.ready(deadline)

    async def _watch(self) -> None:
        await self.python.ended()
        if not self._closing:
            logger.warning("the %s on host %s has ended", self.what, self.python.host)
            self.status = Status.closed
            self._event_finished.set()


class Scheduler(RemoteProcess):
    """The scheduler, and the ways to it that lead through SSH."""

    what = "scheduler"

    def __init__(self, session: Session, host: Host, order: dict[str, Any]) -> None:
        super().__init__(session, host, order)
        self.dashboard: tuple[str, int] | None = None

    async def reachable(self, report: dict[str, Any], deadline: Deadline) -> None:
        """Forward ports where this process does not reach scheduler and dashboard directly."""
        config = self._session.config
        scheme, _, place = str(report["address"]).rpartition("://")
        host, _, port = place.rpartition(":")
        host = host.strip("[]")
        if await self._tunnelled(host, int(port), deadline):
            self.external_address = f"{scheme}://{_LOOPBACK}:{await self._forward(host, int(port))}"
        if config.dashboard is not None:
            at = config.dashboard.rpartition(":")[0].strip("[]")
            at = host if at in _EVERYWHERE else at
            local = at in ("localhost", "::1") or at.startswith("127.")
            self.dashboard = (
                (_LOOPBACK, await self._forward(at, report["dashboard"])) if local else (at, report["dashboard"])
            )

    async def _tunnelled(self, host: str, port: int, deadline: Deadline) -> bool:
        ssh = self._session.config.ssh
        if ssh.tunnel or (ssh.tunnel is None and ssh.bastion is not None):
            return True
        try:
            async with asyncio.timeout(min(_DIRECT_SECONDS, deadline.left)):
                _, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            if ssh.tunnel is None:
                return True
            raise StartError(
                f"host {self.python.host}: its scheduler at {self.address} is out of reach from here ({error})",
                "open the way to it, or leave out tunnel=False",
            ) from error
        writer.close()
        await writer.wait_closed()
        return False

    async def _forward(self, host: str, port: int) -> int:
        assert self.python.connection is not None
        listener = await self.python.connection.forward_local_port(_LOOPBACK, 0, host, port)
        return listener.get_port()


class Worker(RemoteProcess):
    """A nanny with its worker.

    Parameters
    ----------
    scheduler : str
        Address of the scheduler.
    session : Session
        What it shares with the others.
    host : Host
        Where it runs.
    name : str
        Its name.
    forget : callable
        Takes it out of the cluster when it does not start after the cluster has.
    order : dict
        What is run there.
    **counted
        Threads and memory, which Dask's cluster looks up where it is scaled by them.
    """

    what = "worker"

    def __init__(
        self,
        scheduler: str,
        session: Session,
        host: Host,
        name: str,
        forget: Callable[[str], None],
        order: dict[str, Any],
        **counted: Any,
    ) -> None:
        super().__init__(session, host, {**order, "scheduler": scheduler})
        self.name = name
        self._forget = forget

    async def failed(self, failure: StartError) -> None:
        """Let the start of the cluster fail; later, only do without this worker, and say why."""
        if self._session.starting:
            await super().failed(failure)
        logger.error("a worker did not start: %s", failure)
        await self.python.end()
        self._forget(self.name)
