"""The progress of a search in a terminal, drawn by rich."""

from __future__ import annotations

from rich.console import Console
from rich.live import Live

from dhpo.history.events import Event
from dhpo.observers.base import ObservedSearch, Observer
from dhpo.views.picture import Picture

__all__ = ["Terminal"]

_REFRESHES_PER_SECOND = 4


class Terminal(Observer):
    """Draws one line for each bracket, the best trial, failures, time and the address of the dashboard.

    A thread of rich draws four times a second, however many events there are; the search only appends to its history. A
    terminal that cannot move its cursor gets the last picture alone.

    Parameters
    ----------
    console : rich.console.Console
        Where to draw.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def start(self, search: ObservedSearch) -> None:
        """Begin to draw."""
        link = search.client.dashboard_link
        picture = Picture(search.plan, search.history, link, search.now)
        self._live = Live(
            get_renderable=picture.render,
            console=self._console,
            refresh_per_second=_REFRESHES_PER_SECOND,
        )
        self._live.start()

    def event(self, event: Event) -> None:
        """Nothing to do: the next picture reads the history."""

    def stop(self) -> None:
        """Draw the last picture and leave it on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None
