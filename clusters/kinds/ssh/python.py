"""A Python on a host: it is sent an order, and reports."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import inspect
import json
import logging
import signal
import sys
from collections import deque
from importlib import metadata
from typing import Any

import asyncssh

from clusters.deadlines import Deadline
from clusters.errors import StartError
from clusters.kinds.ssh import remote
from clusters.kinds.ssh.config import Host, SshConfig
from clusters.kinds.ssh.connection import Connections
from clusters.kinds.ssh.orders import command

__all__ = ["RemotePython"]

logger = logging.getLogger("clusters.ssh")

_END_SECONDS = 8.0
_LAST_WORDS_SECONDS = 2.0
_CHUNK = 65536
_LINES_KEPT = 50
_LINES_SHOWN = 4


class RemotePython:
    """Runs `remote` on a host, and hears its reports.

    Parameters
    ----------
    config : SshConfig
        Which Python, and what it is to be told.
    host : Host
        Where.
    connections : Connections
        How to get there.
    """

    def __init__(self, config: SshConfig, host: Host, connections: Connections) -> None:
        self.host = host
        self.connection: asyncssh.SSHClientConnection | None = None
        self._config = config
        self._python = config.python_on(host)
        self._connections = connections
        self._process: asyncssh.SSHClientProcess[bytes] | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._reports: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._errors: deque[str] = deque(maxlen=_LINES_KEPT)

    async def run(self, part: str, order: dict[str, Any], deadline: Deadline) -> None:
        """Connect, and send it an order."""
        self.connection = await self._connections.open(self.host, deadline)
        try:
            async with asyncio.timeout(deadline.left):
                self._process = await self.connection.create_process(command(self._python), encoding=None)
        except (OSError, asyncssh.Error) as error:
            raise StartError(f"host {self.host}: it runs no command ({error})", "change user= or hosts=") from error
        self._readers = [
            asyncio.create_task(self._read(self._process.stdout, self._hear)),
            asyncio.create_task(self._read(self._process.stderr, self._note)),
        ]
        code = inspect.getsource(remote)
        common = {
            "code": code,
            "address": self.host.address,
            "scratch": self._config.ssh.scratch,
            "lost_after": self._config.ssh.lost_after,
            "env": self._config.environment(),
            "versions": versions_here() if self._config.ssh.same_versions else {},
        }
        self.say(json.dumps([code, part, {**common, **order}]).encode() + b"\n")

    def say(self, text: bytes = b"\n") -> None:
        """Write to its standard input; a line break alone says that this process lives."""
        if self._process is not None:
            with contextlib.suppress(OSError, asyncssh.Error):
                self._process.stdin.write(text)

    async def ready(self, deadline: Deadline) -> dict[str, Any]:
        """What it reports once it is ready.

        Raises
        ------
        StartError
            If it is not before the deadline, or fails.
        """
        try:
            async with asyncio.timeout(deadline.left):
                report = await self._reports.get()
        except TimeoutError:
            raise StartError(
                f"host {self.host}: {self._python} was not ready within {deadline.seconds:g} s{self._last_words()}",
                "change python=, or allow more time with start_timeout=",
            ) from None
        if report is not None and report["event"] == "ready":
            return report
        # Its last words and its exit status come after its outputs have ended.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self.ended()
        raise self._failure(report)

    async def ended(self) -> None:
        """Wait until it has ended and all that it said is read."""
        if self._readers:
            await asyncio.wait(self._readers)
        if self._process is not None:
            await self._process.wait_closed()

    async def end(self) -> None:
        """End it and what it started, and wait until they are gone."""
        if self._process is not None:
            with contextlib.suppress(OSError, asyncssh.Error):
                self._process.stdin.write_eof()
            with contextlib.suppress(TimeoutError, OSError, asyncssh.Error):
                await asyncio.wait_for(self._process.wait_closed(), _END_SECONDS)
        if self.connection is not None:
            self.connection.close()
            with contextlib.suppress(TimeoutError, OSError, asyncssh.Error):
                await asyncio.wait_for(self.connection.wait_closed(), _END_SECONDS)
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    def _failure(self, report: dict[str, Any] | None) -> StartError:
        where = f"host {self.host}"
        if report is not None and report["event"] == "failed":
            return StartError(f"{where}: {report['cause']}{self._last_words()}", report["setting"])
        if report is not None:
            how = _how(report["code"])
            return StartError(
                f"{where}: what {self._python} started {how}{self._last_words()}",
                "env=, memory= and threads= are what it gets",
            )
        status = self._process.exit_status if self._process is not None else None
        return StartError(
            f"{where}: {self._python} does not run (exit status {status}){self._last_words()}",
            "change python=, or install it there",
        )

    def _last_words(self) -> str:
        lines = [line for line in self._errors if line.strip()][-_LINES_SHOWN:]
        return "; its last words: " + " | ".join(line.strip() for line in lines) if lines else ""

    async def _read(self, stream: asyncssh.SSHReader[bytes], take: Any) -> None:
        # Whatever it says is read, or it would come to stand still on a full pipe.
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        rest = ""
        with contextlib.suppress(OSError, asyncssh.Error):
            while chunk := await stream.read(_CHUNK):
                *lines, rest = (rest + decode(chunk)).split("\n")
                for line in lines:
                    take(line)
                rest = rest[-_CHUNK:]
        take(rest)
        if take == self._hear:
            self._reports.put_nowait(None)

    def _hear(self, line: str) -> None:
        if line.startswith(remote.MARK):
            self._reports.put_nowait(json.loads(line.removeprefix(remote.MARK)))

    def _note(self, line: str) -> None:
        if line:
            self._errors.append(line)
            logger.debug("%s: %s", self.host, line)


def versions_here() -> dict[str, str]:
    """The versions that hosts must have, or code that is sent to them may not be understood."""
    python = "{}.{}".format(*sys.version_info[:2])
    return {"python": python} | {name: metadata.version(name) for name in ("dask", "distributed")}


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
