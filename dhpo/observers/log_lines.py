"""The progress of a search as lines of a log, where there is no terminal."""

from __future__ import annotations

import logging
import threading

from dhpo.observers.base import ObservedSearch
from dhpo.observers.periodic import PeriodicObserver
from dhpo.views.progress import Progress
from dhpo.views.text import progress_line
from dhpo.wording import counted

__all__ = ["LogLines"]

logger = logging.getLogger("dhpo.progress")

_EVERY_SECONDS = 10.0


class LogLines(PeriodicObserver):
    """Logs a line every ten seconds, and one at the end with the best trial.

    The logger is `dhpo.progress`, the level INFO. Where nobody has set logging up the lines go to standard error.

    Parameters
    ----------
    every : float, default 10.0
        Seconds.
    """

    def __init__(self, every: float = _EVERY_SECONDS) -> None:
        super().__init__(every)
        self._began = False

    def begin(self, search: ObservedSearch) -> None:
        """Log what is planned, and the address of the dashboard."""
        self._began = True
        _own_handler.take()
        calls = counted(search.plan.partial_fit_calls, search.history.unit)
        link = search.client.dashboard_link
        where = f"; dashboard: {link}" if link else ""
        logger.info("dhpo: %s and %s planned%s", counted(search.plan.n_trials, "trial"), calls, where)

    def show(self, progress: Progress, now: float) -> None:
        """Log one line."""
        logger.info("dhpo: %s", progress_line(progress, now))

    def stop(self) -> None:
        """Log the last line."""
        try:
            super().stop()
        finally:
            if self._began:
                self._began = False
                _own_handler.release()


class _OwnHandler:
    """Writes to standard error while a search logs lines and nobody has set logging up; all searches share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._handler: logging.Handler | None = None
        self._level = logging.NOTSET

    def take(self) -> None:
        with self._lock:
            self._users += 1
            if not logger.hasHandlers():
                self._handler = logging.StreamHandler()
                self._handler.setFormatter(logging.Formatter("%(message)s"))
                logger.addHandler(self._handler)
                self._level = logger.level
                logger.setLevel(logging.INFO)

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and self._handler is not None:
                logger.removeHandler(self._handler)
                logger.setLevel(self._level)
                self._handler = None


_own_handler = _OwnHandler()
