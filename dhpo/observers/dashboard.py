"""The page of a search in the dashboard of the cluster that it runs on."""

from __future__ import annotations

import asyncio
import logging
import platform
import uuid
from contextlib import suppress
from typing import Any

import cloudpickle
import dask

import dhpo.dashboard
from dhpo.dashboard.messages import Messages
from dhpo.dashboard.topics import topic_of_rows, topic_of_state, topic_of_stop
from dhpo.history.events import Event
from dhpo.observers.base import ObservedSearch, Observer

__all__ = ["DashboardPage"]

logger = logging.getLogger(__name__)

# A search that is over sooner has no page.
_AFTER_SECONDS = 1.0
_EVERY_SECONDS = 0.25
# For the scheduler to answer; it is asked in the background.
_ANSWER_SECONDS = 30.0


class DashboardPage(Observer):
    """Puts a search on the page `/dhpo` of Dask's dashboard while it runs.

    The page is sent to the scheduler, whose environment needs bokeh, but not dhpo. Where it cannot be made, the search
    runs on, and one line of the log says why. Dask's configuration `dhpo.dashboard: false` turns it off.

    Parameters
    ----------
    after : float, default 1.0
        Seconds before the page is made: a search that is over sooner is not shown.
    every : float, default 0.25
        Seconds between two messages to the scheduler.
    """

    def __init__(self, after: float = _AFTER_SECONDS, every: float = _EVERY_SECONDS) -> None:
        self._wanted = bool(dask.config.get("dhpo.dashboard", True))  # in the thread of the user
        self._after = after
        self._every = every
        self._showing: asyncio.Task[None] | None = None

    def start(self, search: ObservedSearch) -> None:
        """Begin to show the search, in the background."""
        if not self._wanted or search.client.dashboard_link is None:
            return
        self._over = asyncio.Event()
        self._showing = asyncio.get_running_loop().create_task(self._show(search))

    def event(self, event: Event) -> None:
        """Nothing to do: the history is read when there is a message to send."""

    def stop(self) -> None:
        """Take the search from the page."""
        if self._showing is not None:
            self._over.set()

    async def _show(self, search: ObservedSearch) -> None:
        client: Any = search.client
        if await self._is_over_after(self._after):
            return
        name = uuid.uuid4().hex[:12]
        try:
            why = await asyncio.wait_for(_install(client, name), _ANSWER_SECONDS)
        except Exception as error:  # a page is never worth a search
            why = f"{type(error).__name__}: {error}"
        if why is None:
            try:
                client.subscribe_topic(topic_of_stop(name), lambda event: search.stop())
                await self._send_all(client, name, search)
            except Exception:  # the cluster is gone, and the watch of the search will say so
                logger.debug("the page of the search is not told any more", exc_info=True)
        elif not self._over.is_set():
            logger.warning("Dask's dashboard has no page for this search: %s", why)
        if client.status == "running":
            with suppress(Exception):  # also where it was made, and did not say so in time
                await client.log_event(topic_of_rows(name), {"rows": [], "end": True})
                client.unsubscribe_topic(topic_of_stop(name))

    async def _send_all(self, client: Any, name: str, search: ObservedSearch) -> None:
        messages, over = Messages(search.history), False
        while not over:
            over = await self._is_over_after(self._every)  # then once more, how it ended
            await client.log_event(topic_of_rows(name), {"rows": messages.new_rows(search.now())})

    async def _is_over_after(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            return False
        return True


async def _install(client: Any, name: str) -> str | None:
    """Put a search on the page; None, or why that cannot be."""
    # With bokeh, which a search without a page does without.
    from dhpo.dashboard import scheduler_page

    versions = await client.scheduler.versions(packages=[])
    theirs, ours = versions["host"]["python"], platform.python_version()
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        return f"the scheduler runs Python {theirs}, and this process {ours}, which cannot send it code"
    # The package for all that the page needs; the module of the plugin because distributed asks for that very one.
    for module in (dhpo.dashboard, scheduler_page):
        cloudpickle.register_pickle_by_value(module)
    await client.register_plugin(scheduler_page.SearchOnDashboard(name, client.id), name=topic_of_rows(name))
    events = await client.get_events(topic_of_state(name))
    why: str | None = events[-1][1]["why"] if events else "the scheduler does not say whether there is one"
    return why
