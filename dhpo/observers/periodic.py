"""What observers share that show a search every few seconds, from a thread of their own."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from dhpo.history.events import Event
from dhpo.observers.base import ObservedSearch, Observer
from dhpo.views.progress import Progress

__all__ = ["PeriodicObserver"]

logger = logging.getLogger(__name__)


class PeriodicObserver(Observer, ABC):
    """Shows a search when it starts, every few seconds while it runs, and once more at its end.

    A subclass shows it in `begin` and `show`. However many events there are, the search only appends to its history.

    Parameters
    ----------
    every : float
        Seconds.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def begin(self, search: ObservedSearch) -> None:
        """Show a search that begins."""

    @abstractmethod
    def show(self, progress: Progress, now: float) -> None:
        """Show how far a search is, so many seconds after it began."""

    def start(self, search: ObservedSearch) -> None:
        """Begin to show the search."""
        self._over.clear()
        self._progress = Progress(search.history, search.plan)
        self._now = search.now
        self.begin(search)
        self._thread = threading.Thread(target=self._show_now_and_then, name=type(self).__name__, daemon=True)
        self._thread.start()

    def event(self, event: Event) -> None:
        """Nothing to do: the history is read when it is shown."""

    def stop(self) -> None:
        """Show the search once more."""
        if self._thread is None:
            return
        self._over.set()
        self._thread.join()
        self._thread = None
        self._show()

    def _show_now_and_then(self) -> None:
        while not self._over.wait(self._every):
            try:
                self._show()
            except Exception:
                logger.debug("%r failed", self, exc_info=True)

    def _show(self) -> None:
        self._progress.update()
        self.show(self._progress, self._now())
