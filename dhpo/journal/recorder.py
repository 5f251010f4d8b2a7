"""What a search tells of itself: to its history, to observers, and to its journal if it has one."""

from __future__ import annotations

import asyncio
import time

from dhpo.history.events import Event, Stopped
from dhpo.history.history import History
from dhpo.journal import Journal
from dhpo.observers.base import Observers

__all__ = ["Recorder"]


class Recorder:
    """Writes the events of a search down.

    Parameters
    ----------
    history : History
    observers : Observers
    journal : Journal, optional
        Open, and of this very search.
    """

    def __init__(self, history: History, observers: Observers, journal: Journal | None) -> None:
        self._history = history
        self._observers = observers
        self._journal = journal
        before = journal.events[-1].time if journal is not None and journal.events else 0.0
        self._began = time.perf_counter() - before

    def now(self) -> float:
        """Seconds since the search began, in whatever process."""
        return time.perf_counter() - self._began

    @property
    def way_on(self) -> str:
        """How a search that ends early goes on, for its error; empty without a journal."""
        if self._journal is None:
            return ""
        return f" The same call with journal={self._journal.url!r} goes on from there."

    @property
    def earlier(self) -> list[Event]:
        """What an earlier process has written down, but for how it ended: the search goes on."""
        events = [] if self._journal is None else self._journal.events
        return [event for event in events if not isinstance(event, Stopped)]

    def repeat(self, event: Event) -> None:
        """Tell of an event that is in the journal already."""
        self._history.append(event)
        self._observers.event(event)

    def append(self, event: Event) -> None:
        """Tell of one more event."""
        if self._journal is not None:
            self._journal.append(event)
        self.repeat(event)

    async def commit(self) -> None:
        """What was told is safe from here on."""
        if self._journal is not None:
            await asyncio.to_thread(self._journal.commit)  # no deadline: what is not written is not safe

    def close(self) -> None:
        """Let other processes use the journal."""
        if self._journal is not None:
            self._journal.close()
