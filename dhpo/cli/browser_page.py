"""Searches in a browser, from their journals: the page that Dask's dashboard has of those that run on its cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from bokeh.server.server import Server

from dhpo.dashboard.document import SearchView
from dhpo.dashboard.messages import Messages
from dhpo.dashboard.search_data import SearchData
from dhpo.errors import JournalError
from dhpo.journal.journal import JournalReader
from dhpo.search.followed_search import FollowedSearch
from dhpo.search.stored_search import load

__all__ = ["serve"]

logger = logging.getLogger(__name__)

_UPDATE_MILLISECONDS = 500


async def serve(journals: Sequence[str], port: int, every: float, ready: Callable[[str], None]) -> None:
    """Show searches in a browser on this machine, until it is cancelled.

    Parameters
    ----------
    journals : sequence of str
        Folders or fsspec URLs.
    port : int
        0 for any that is free.
    every : float
        Seconds between two looks into the journals.
    ready : callable
        Is given the address once there is a page.

    Raises
    ------
    JournalError
        If one is no journal of a search.
    OSError
        If the port is taken.
    """
    names = {journal: journal.rstrip("/").rpartition("/")[2] for journal in journals}
    names = {journal: name if list(names.values()).count(name) == 1 else journal for journal, name in names.items()}
    followed = {journal: _Followed(journal, name) for journal, name in names.items()}
    searches = {journal: search.data for journal, search in followed.items()}
    loop = asyncio.get_running_loop()

    def stop(journal: str) -> None:  # bokeh may call this in a thread of its own
        asyncio.run_coroutine_threadsafe(asyncio.to_thread(_stop, journal), loop)

    def show(document: Any) -> None:
        view = SearchView(searches, stop)
        document.add_root(view.root)
        document.add_periodic_callback(view.update, _UPDATE_MILLISECONDS)
        document.title = "dhpo"

    server = Server(show, port=port, address="127.0.0.1")
    server.start()
    try:
        # The one name that a page on this server may call it by.
        ready(f"http://localhost:{server.port}/")
        while True:
            await asyncio.sleep(every)
            for search in followed.values():
                await search.update()
    finally:
        server.stop(wait=False)
        server.unlisten()


class _Followed:
    """One search, and what the page knows of it."""

    def __init__(self, journal: str, name: str) -> None:
        self._search = FollowedSearch(JournalReader(journal))
        self._messages = Messages(self._search.history)
        self.data = SearchData(name)
        self._tell()

    async def update(self) -> None:
        """Read what is new."""
        before = self._state
        try:
            await asyncio.to_thread(self._search.update)
        except (OSError, JournalError) as error:  # it is looked for again
            logger.warning("%s: %s", self.data.name, error)
            return
        if self._search.running or self._state != before:
            self._tell()

    @property
    def _state(self) -> tuple[int, bool]:
        return len(self._search.history.events), self._search.running

    def _tell(self) -> None:
        self.data.take(self._messages.new_rows(self._search.now()))


def _stop(journal: str) -> None:
    try:
        load(journal).stop()
    except JournalError as error:  # it has ended meanwhile
        logger.warning("%s", error)
