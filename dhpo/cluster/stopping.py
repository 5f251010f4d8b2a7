"""How a search is brought to an early end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["CANCEL_SECONDS", "Stopping", "cancel_all", "event_loop", "from_any_thread"]

logger = logging.getLogger(__name__)

CANCEL_SECONDS = 5.0
"""For what was cancelled to be acknowledged."""


class Stopping:
    """Whether a search was asked to end, and why.

    Attributes
    ----------
    reason : str
        For the history; "done" while nobody asked.
    """

    def __init__(self) -> None:
        self.reason = "done"
        self._soon = asyncio.Event()
        self._at_once = asyncio.Event()

    def request(self, at_once: bool = False, reason: str = "stopped") -> None:
        """Ask the search to end; the first to ask gives the reason.

        Parameters
        ----------
        at_once : bool, default False
            Whether to leave out the training of the best on all rows, too.
        reason : str, default "stopped"
        """
        if not self.requested:
            self.reason = reason
        self._soon.set()
        if at_once:
            self._at_once.set()

    @property
    def requested(self) -> bool:
        """Whether the search is to end soon."""
        return self._soon.is_set()

    @property
    def requested_at_once(self) -> bool:
        """Whether it is to leave out the training of the best on all rows, too."""
        return self._at_once.is_set()

    @contextmanager
    def watched(self, time_budget: float | None) -> Iterator[tuple[asyncio.Task[Any], asyncio.Task[Any]]]:
        """Tasks that are done once the search is to end: soon, and at once; it is to end when its time is over.

        Parameters
        ----------
        time_budget : float or None
            Seconds.
        """
        loop = asyncio.get_running_loop()
        timer = None if time_budget is None else loop.call_later(time_budget, self.request, False, "time budget")
        tasks = asyncio.create_task(self._soon.wait()), asyncio.create_task(self._at_once.wait())
        try:
            yield tasks
        finally:
            if timer is not None:
                timer.cancel()
            for task in tasks:
                task.cancel()


async def cancel_all(client: Client, tasks: Mapping[asyncio.Task[Any], Any]) -> None:
    """Give up what runs on the cluster.

    Parameters
    ----------
    client : distributed.Client
    tasks : mapping of asyncio.Task to Future
        What waits for each future.
    """
    if not tasks:
        return
    if client.status == "running":  # else they are gone with the scheduler, and nobody acknowledges it
        try:
            await asyncio.wait_for(client.cancel(list(tasks.values()), asynchronous=True, force=True), CANCEL_SECONDS)
        except Exception:
            logger.debug("could not cancel %d futures", len(tasks), exc_info=True)
        await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # seen, so that asyncio does not warn of it
        task.cancel()


def event_loop(client: Client) -> asyncio.AbstractEventLoop:
    """The event loop of a client, in which everything that talks to the cluster runs.

    Parameters
    ----------
    client : distributed.Client
    """
    loop: Any = client.loop
    found: asyncio.AbstractEventLoop = loop.asyncio_loop
    return found


def from_any_thread(client: Client, stop: Callable[[bool], None]) -> Callable[..., None]:
    """What calls a method in the thread of the client's event loop, from whatever thread.

    Parameters
    ----------
    client : distributed.Client
    stop : callable
        Of an executor.
    """

    def request(at_once: bool = False) -> None:
        with suppress(RuntimeError):  # the event loop is gone, and the search with it
            event_loop(client).call_soon_threadsafe(stop, at_once)

    return request
