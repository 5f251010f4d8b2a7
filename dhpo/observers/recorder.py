"""What a search tells of itself: to its history, to observers, and to its journal if it has one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from dhpo.history.events import Event, PhaseReached, Planned, Stopped
from dhpo.history.history import History
from dhpo.journal import Journal
from dhpo.observers.base import Observers
from dhpo.schedules.plan import Plan
from dhpo.space.parameter_range import ParameterRange, scales_of

__all__ = ["Recorder"]

# Between two events that say how far a phase is, and between two commits before the first trial.
_SECONDS = 1.0


class Recorder:
    """Writes the events of a search down.

    Parameters
    ----------
    history : History
    observers : Observers
    journal : Journal, optional
        Open, and of this very search.
    stop : callable
        Is called where another process asks for the end of the search, with whether it wants that at once.
    """

    def __init__(
        self, history: History, observers: Observers, journal: Journal | None, stop: Callable[[bool], None]
    ) -> None:
        self._history = history
        self._observers = observers
        self._journal = journal
        self._stop = stop
        before = journal.events[-1].time if journal is not None and journal.events else 0.0
        self._began = time.perf_counter() - before
        self._reached: PhaseReached | None = None

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

    def planned(self, plan: Plan, title: str, ranges: Mapping[str, ParameterRange]) -> None:
        """Tell what the search will run, and when it began; see `Planned`."""
        now = self.now()
        self.append(Planned(plan, now, title, scales_of(ranges), dict(ranges), time.time() - now))

    def reached(self, phase: str, done: int = 0, total: int = 0) -> None:
        """Tell what the search does now, and how far it is; at most once in a second while that only goes on."""
        now, last = self.now(), self._reached
        if (
            last is not None
            and now - last.time < _SECONDS
            and (last.phase, last.total) == (phase, total)
            and done < total
        ):
            return
        self._reached = PhaseReached(phase, now, done, total)
        self.append(self._reached)

    def ended(self, reason: str, error: str) -> None:
        """Tell how the search ended, and where an error has ended it, what that says."""
        self.append(Stopped("failed" if error else reason, self.now(), error))

    async def during(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Await something long, and commit what is told meanwhile, for those who read the journal."""
        working = asyncio.ensure_future(work)
        try:
            while not working.done():
                await self.commit()
                await asyncio.wait([working], timeout=_SECONDS)
            return await working
        finally:
            if not working.done():
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)

    async def commit(self) -> None:
        """What was told is safe from here on; and see whether another process asks for the end of the search."""
        if self._journal is None:
            return
        at_once = await asyncio.to_thread(self._commit, self._journal)  # no deadline: what is not written is not safe
        if at_once is not None:
            self._stop(at_once)

    @staticmethod
    def _commit(journal: Journal) -> bool | None:
        journal.commit()
        return journal.stop_request.look()

    def close(self) -> None:
        """Let other processes use the journal."""
        if self._journal is not None:
            self._journal.close()
