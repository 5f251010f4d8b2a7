"""A search that another process runs, as its journal tells it again and again."""

from __future__ import annotations

import time

from rich.console import RenderableType

from dhpo.journal.journal import JournalReader
from dhpo.views.picture import Picture
from dhpo.views.text import progress_line

__all__ = ["FollowedSearch"]


class FollowedSearch:
    """Reads what is new in a journal, and shows how far the search is.

    Parameters
    ----------
    reader : JournalReader

    Attributes
    ----------
    history : History
        As far as it was read.
    """

    def __init__(self, reader: JournalReader) -> None:
        self._reader = reader
        self.history = reader.history()
        self._picture = Picture(None, self.history, None, clock=self.now)
        last = self.history.events[-1].time if self.history.events else 0.0
        self._began = time.monotonic() - last - reader.idle_seconds

    def update(self) -> None:
        """Read what is new."""
        self._reader.read_into(self.history)

    @property
    def running(self) -> bool:
        """Whether a process had the journal open when it was read last."""
        return self.history.alive

    def now(self) -> float:
        """Seconds since the search began."""
        return time.monotonic() - self._began

    def render(self) -> RenderableType:
        """What a terminal shows."""
        return self._picture.render()

    def line(self) -> str:
        """The same in one line."""
        self._picture.progress.update()
        return progress_line(self._picture.progress, self._picture.now)
