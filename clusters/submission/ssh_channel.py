"""The way to a host, over SSH."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, TypeVar

import asyncssh

from clusters.deadlines import Deadline
from clusters.errors import SubmissionError
from clusters.kinds.ssh.config import Host, SshConfig
from clusters.kinds.ssh.connection import Connections
from clusters.submission import remote_run
from clusters.submission.channels import Take, answer_of, nothing, opening

__all__ = ["SshChannel"]

_CHUNK = 2**18
T = TypeVar("T")


class SshChannel:
    """To a host.

    Parameters
    ----------
    config : SshConfig
        How to log in.
    host : Host
        Where.
    """

    def __init__(self, config: SshConfig, host: Host) -> None:
        self._config = config
        self._host = host

    def run(
        self, part: str, order: dict[str, Any], give: IO[bytes] | None = None, take: Take = nothing
    ) -> dict[str, Any]:
        """Have one thing done there, over a connection of its own."""
        stop = asyncio.Event()
        loop = asyncio.new_event_loop()
        work = self._run(part, order, give, take, stop)
        # In a thread of its own: in a notebook, this one runs a loop already.
        with contextlib.closing(loop), ThreadPoolExecutor(1) as thread:
            future = thread.submit(loop.run_until_complete, work)
            try:
                answer: dict[str, Any] = future.result()
            except BaseException:
                # Ctrl-C: the host hears of it, and this waits for its end.
                loop.call_soon_threadsafe(stop.set)
                raise
        return answer

    async def _run(
        self, part: str, order: dict[str, Any], give: IO[bytes] | None, take: Take, stop: asyncio.Event
    ) -> dict[str, Any]:
        connections = Connections(self._config)
        python = self._config.python_on(self._host)
        command = f"exec {shlex.quote(python)} -c {shlex.quote(remote_run.BOOT)}"
        try:
            connection = await _unless(stop, connections.open(self._host, Deadline(self._config.start_timeout)))
            async with connection, await connection.create_process(command, encoding=None) as process:
                errors = asyncio.create_task(process.stderr.read())
                giving = asyncio.create_task(_give(process, opening(part, order), give))
                stopping = asyncio.create_task(_stopped(stop, process))
                try:
                    while chunk := await process.stdout.read(_CHUNK):
                        take(chunk)
                    said = await errors
                finally:
                    for task in (giving, stopping):
                        task.cancel()
                    await asyncio.gather(giving, stopping, return_exceptions=True)
        except (OSError, asyncssh.Error) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            raise SubmissionError(f"host {self._host}: the connection was lost ({reason})", "try again") from error
        finally:
            await connections.close()
        return answer_of(said, f"host {self._host}", python)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """What some work brings, which is given up where that is asked for."""
    doing, asked = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([doing, asked], return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        if not doing.done():
            doing.cancel()
    return await doing


async def _give(process: asyncssh.SSHClientProcess[bytes], first: bytes, rest: IO[bytes] | None) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        process.stdin.write(first)
        while rest is not None and (chunk := rest.read(_CHUNK)):
            process.stdin.write(chunk)
            await process.stdin.drain()


async def _stopped(stop: asyncio.Event, process: asyncssh.SSHClientProcess[bytes]) -> None:
    await stop.wait()
    with contextlib.suppress(OSError, asyncssh.Error):
        process.stdin.write_eof()
