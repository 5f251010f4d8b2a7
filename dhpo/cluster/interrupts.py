"""Keeps Ctrl-C from workers while a search runs: the driver ends it in order, and needs them for that.

A terminal interrupts all processes of its foreground group, and Jupyter those of a kernel's: with the driver also the
worker processes that it has started, which would end with tracebacks, and with what they had in hand.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
import uuid
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from distributed import Client, Worker, WorkerPlugin, rpc

__all__ = ["UninterruptedWorkers", "wait_for_idle_workers"]

logger = logging.getLogger(__name__)

# Between two looks whether there is a worker.
_LOOKS_SECONDS = 0.5
# For workers to acknowledge that a search is over.
_ANSWER_SECONDS = 2.0
# Whoever presses Ctrl-C twice is late with the second: by then the cluster may be closing, which a worker that is
# interrupted disturbs as well.
_GRACE_SECONDS = 5.0
# For calls under way to end, where a search was interrupted.
_IDLE_SECONDS = 2.0
_IDLE_LOOKS_SECONDS = 0.05

_Group = tuple[str, int]


class UninterruptedWorkers:
    """Has worker processes ignore SIGINT which are in the process group of this one; an asynchronous context manager.

    Workers of other groups keep heeding it, as those on other machines or of another terminal do: who interrupts them
    there means them. So do workers that are no process of their own.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._name = f"dhpo-ignores-interrupts-{uuid.uuid4().hex}"
        self._registered = False
        self._installing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # In the background: the search does not wait for a worker that does not answer.
        self._installing = asyncio.create_task(self._install())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._installing is not None:
            if not self._registered:
                self._installing.cancel()
            # What was not registered yet would be to the scheduler's surprise when it is taken back.
            await asyncio.wait({self._installing}, timeout=_ANSWER_SECONDS)
            self._installing.cancel()
        if self._registered:
            try:
                await asyncio.wait_for(self._leave(), _ANSWER_SECONDS)
            except Exception:  # the cluster may be gone; and the scheduler tells those that answer late
                logger.debug("workers could not be told that the search is over", exc_info=True)

    async def _leave(self) -> None:
        # Not by the client: where it was closed during the search, the workers live on, and shall heed Ctrl-C again.
        async with rpc(self._address, connection_args=self._connection_args) as scheduler:
            await scheduler.unregister_worker_plugin(name=self._name)

    async def _install(self) -> None:
        group = process_group()
        if group is None:
            return
        try:
            while not (answers := await self._client.run(_is_worker_of, group, on_error="ignore")):
                await asyncio.sleep(_LOOKS_SECONDS)
            # Only where it is of use: what a scheduler knows outlives a driver that is killed.
            if any(answers.values()):
                scheduler: Any = self._client.scheduler
                self._address = scheduler.address
                self._connection_args = self._client.connection_args
                self._registered = True
                registering: Any = self._client.register_plugin(IgnoresInterrupts(group), name=self._name)
                await registering
        except Exception:
            logger.debug("workers do not ignore Ctrl-C", exc_info=True)


class IgnoresInterrupts(WorkerPlugin):
    """The part of `UninterruptedWorkers` in each worker, also in those that come later.

    Parameters
    ----------
    group : tuple of str and int
        The process group of the driver.
    """

    def __init__(self, group: _Group) -> None:
        self._group = group

    def setup(self, worker: Worker) -> None:
        """Begin to ignore SIGINT."""
        self._ignores = _is_worker_of(self._group, worker) and _interrupts.ignore()

    def teardown(self, worker: Worker) -> None:
        """Heed it again, a moment later."""
        if self._ignores:
            asyncio.get_running_loop().call_later(_GRACE_SECONDS, _interrupts.heed)


class _Interrupts:
    """What this process does where it is interrupted; several searches may want it to do nothing."""

    def __init__(self) -> None:
        self._searches = 0
        self._before: Any = None

    def ignore(self) -> bool:
        """Whether that can be: a handler is set by the main thread alone."""
        if threading.current_thread() is not threading.main_thread():
            return False
        if not self._searches:
            # And not SIG_IGN: what the process starts would inherit that, and be left behind.
            self._before = signal.signal(signal.SIGINT, _do_nothing)
        self._searches += 1
        return True

    def heed(self) -> None:
        self._searches -= 1
        if not self._searches and signal.getsignal(signal.SIGINT) is _do_nothing:
            signal.signal(signal.SIGINT, signal.SIG_DFL if self._before is None else self._before)


_interrupts = _Interrupts()


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Handle a signal."""


def process_group() -> _Group | None:
    """The machine of this process, and its group there; None where a system has no groups."""
    return (socket.gethostname(), os.getpgrp()) if hasattr(os, "getpgrp") else None


def _is_worker_of(group: _Group, dask_worker: Worker) -> bool:
    """Whether this process is in a group, and a nanny has started it to be a worker and nothing else."""
    return dask_worker.nanny is not None and process_group() == group


async def wait_for_idle_workers(client: Client, wanted: Callable[[], bool]) -> None:
    """Wait for what workers still do, for a moment.

    After an interrupt the cluster is closed, most likely, and Dask complains of workers that are closed while they work
    at what was cancelled before.

    Parameters
    ----------
    client : distributed.Client
    wanted : callable
        Whether to go on waiting.
    """
    clock = asyncio.get_running_loop().time
    ends_at = clock() + _IDLE_SECONDS
    while wanted() and clock() < ends_at and client.status == "running":
        try:
            # Again and again: a worker that is asked to wait cannot answer any more where it is closed meanwhile.
            busy = await asyncio.wait_for(client.run(_is_busy, on_error="ignore"), _IDLE_SECONDS)
        except Exception:  # they are gone, or do not answer
            return
        if not any(busy.values()):
            return
        await asyncio.sleep(_IDLE_LOOKS_SECONDS)


def _is_busy(dask_worker: Worker) -> bool:
    return bool(dask_worker.state.executing)
