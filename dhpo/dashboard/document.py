"""The page of all searches, as one viewer sees it.

This module is sent to the scheduler by value: it imports nothing of dhpo, but for what is sent with it.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from bokeh.layouts import column, row
from bokeh.models.widgets import Button, Div, Select

from dhpo.dashboard.colours import colour_of
from dhpo.dashboard.panels import (
    BestSoFar,
    Curves,
    LeaderBoard,
    RungTable,
    ScoreByParameter,
    Timeline,
    short,
)

__all__ = ["SearchView"]

_STOP, _SURE, _ASKED = "Stop the search", "Really stop it?", "Asked to stop"
# Updates after which a first click on the button is forgotten.
_SURE_UPDATES = 10


class SearchView:
    """The search that a viewer has selected, brought up to date by `update`.

    Parameters
    ----------
    searches : dict of str to SearchData
        All that there are; others may come and go.
    stop : callable, optional
        Asks for the end of the search of a name, and may be called in any thread; without it there is no button.

    Attributes
    ----------
    root : bokeh model
    """

    def __init__(self, searches: dict[str, Any], stop: Callable[[str], None] | None = None) -> None:
        self._searches = searches
        self._stop = stop
        self._shown = ""
        self._data: Any = None
        self._version = self._trials_version = -1
        self._sure = 0
        self._head = Div(sizing_mode="stretch_width")
        self._select = Select(options=[], visible=False, width=320)
        self._select.on_change("value", lambda attr, old, new: self._choose(new))
        self._button = Button(label=_STOP, width=150, visible=stop is not None)
        self._button.on_click(self._clicked)
        curves, best, rungs, parameter = Curves(), BestSoFar(), RungTable(), ScoreByParameter()
        timeline, trials = Timeline(), LeaderBoard()
        self._panels = (curves, best, rungs, parameter, timeline, trials)
        self.root = column(
            row(self._head, column(self._select, self._button), sizing_mode="stretch_width"),
            row(curves.root, best.root, sizing_mode="stretch_width"),
            row(rungs.root, parameter.root, sizing_mode="stretch_width"),
            timeline.root,
            trials.root,
            sizing_mode="stretch_width",
        )
        self.update()

    def update(self) -> None:
        """Show what is new; of a search that has gone, how it ended, unless there is another to show."""
        self._offer(dict(self._searches))
        if self._sure:
            self._sure -= 1
            if not self._sure:
                self._label_button(_STOP)
        data = self._data
        if data is not None and data.version != self._version:
            with data.lock:
                self._show(data)

    def _show(self, data: Any) -> None:
        self._version = data.version
        self._head.text = _headline(data)
        self._button.disabled = bool(data.state["over"])
        if data.trials_version != self._trials_version:
            self._trials_version = data.trials_version
            for panel in self._panels:
                panel.show(data)

    def _offer(self, searches: dict[str, Any]) -> None:
        """Let the viewer choose among all searches; the latest is shown where the one that was is gone."""
        options: list[Any] = [(name, _title(data)) for name, data in searches.items()]
        if options != self._select.options:
            self._select.update(options=options, visible=len(searches) > 1)
        if searches and self._shown not in searches:
            self._choose(list(searches)[-1])

    def _choose(self, name: str) -> None:
        if name == self._shown or name not in self._searches:
            return
        self._shown, self._data = name, self._searches.get(name)
        self._version, self._trials_version, self._sure = -1, -1, 0
        self._label_button(_STOP)
        self._select.value = name
        for panel in self._panels:
            panel.clear()
        self.update()

    def _clicked(self) -> None:
        """Ask first: the first click turns the button red for some seconds, and the second one stops the search."""
        if not self._sure:
            self._sure = _SURE_UPDATES
            self._label_button(_SURE)
        elif self._stop is not None:
            self._sure = 0
            self._label_button(_ASKED)
            self._stop(self._shown)

    def _label_button(self, label: str) -> None:
        self._button.update(label=label, button_type="danger" if label == _SURE else "default")


def _title(data: Any) -> str:
    return f"{data.title or 'search'} · {data.name}"


def _headline(data: Any) -> str:
    state, best = data.state, data.best_trial
    calls, all_calls = state.get("calls", 0), state.get("all_calls", 0)
    facts = [
        f"<b>{escape(state['status'])}</b>",
        state["time"],
        f"{calls:,}/{all_calls:,} {data.counted}",
        f"{state.get('active', 0):,} active of {state.get('trials', 0):,}/{state.get('all_trials', 0):,} trials",
    ]
    if state.get("failed"):
        facts.append(f'<span style="color:#c0392b">{state["failed"]:,} failed</span>')
    if state.get("n_blocks") and data.counted != "fits":
        read, cached = state["blocks_read"], state["blocks_cached"]
        facts.append(f"{read:,} blocks read ({read / state['n_blocks']:.1f} passes), {cached:,} cached")
    if state.get("not_used"):
        facts.append(f"{state['not_used']:,} {data.counted} made ahead or again")
    line = "no score yet"
    if best is not None:
        params = ", ".join(f"{name}={short(value)}" for name, value in best["params"].items())
        line = f"best <b>{best['score']:.4f}</b> by trial {best['trial']}: {escape(params)}"
    if state.get("why"):
        line = f"{escape(state['why'])}<br>{line}"
    filled = f"{min(calls / max(all_calls, 1), 1):.1%}"
    bar = (
        '<div style="height:6px;background:rgba(128,128,128,0.3);border-radius:3px;margin:4px 0">'
        f'<div style="height:6px;width:{filled};background:{colour_of(0)};border-radius:3px"></div></div>'
    )
    title = f'<span style="font-size:18px">{escape(data.title or "search")}</span>'
    return f"{title}<br>{' &nbsp;·&nbsp; '.join(facts)}{bar}{line}"
