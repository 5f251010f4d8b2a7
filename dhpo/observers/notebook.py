"""The progress of a search in a notebook."""

from __future__ import annotations

from typing import Any

from dhpo.observers.base import ObservedSearch
from dhpo.observers.periodic import PeriodicObserver
from dhpo.views.html import progress_html
from dhpo.views.progress import Progress

__all__ = ["Notebook"]

_EVERY_SECONDS = 0.5


class Notebook(PeriodicObserver):
    """Shows the picture of the terminal as one output of a cell, which updates itself; it needs no widgets.

    Parameters
    ----------
    every : float, default 0.5
        Seconds.
    """

    def __init__(self, every: float = _EVERY_SECONDS) -> None:
        super().__init__(every)
        self._output: Any = None
        self._link: str | None = None
        self._shown = ""

    def begin(self, search: ObservedSearch) -> None:
        """Make the output, in the cell that runs now."""
        from IPython.display import HTML, display

        self._link = search.client.dashboard_link
        self._shown = progress_html(self._progress, self._progress.time, self._link)
        self._output = display(HTML(self._shown), display_id=True)

    def show(self, progress: Progress, now: float) -> None:
        """Replace the output, where there is something new to see."""
        from IPython.display import HTML

        html = progress_html(progress, now, self._link)
        if html != self._shown and self._output is not None:
            self._shown = html
            self._output.update(HTML(html))
