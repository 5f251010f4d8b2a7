"""The parts of the page, each of which shows one thing of a search.

This module is sent to the scheduler by value: it imports nothing of dhpo, but for what is sent with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from bokeh.layouts import column
from bokeh.models import ColumnDataSource, FactorRange, HoverTool
from bokeh.models.widgets import DataTable, NumberFormatter, Select, TableColumn
from bokeh.plotting import figure

from dhpo.dashboard.colours import colour_of
from dhpo.dashboard.score_axis import ScoreAxis
from dhpo.dashboard.search_data import MOST_SCORES, MOST_STEPS

__all__ = [
    "BestSoFar",
    "Curves",
    "LeaderBoard",
    "Panel",
    "ParameterFigure",
    "RungTable",
    "ScoreByParameter",
    "Timeline",
    "short",
]

_HEIGHT = 260
# A browser takes an empty axis for one of single names, and refuses pairs of bracket and rung on it.
_NO_RUNGS = [("", "")]
# More than that is not drawn: the oldest go first.
_MOST_DOTS, _MOST_ROWS = 2_000, 200
# Of a bracket, so that the panel stays readable.
_MOST_RUNGS = 8


class Panel(ABC):
    """One part of the page.

    Attributes
    ----------
    root : bokeh model
        What is put on the page.
    """

    root: Any

    @abstractmethod
    def show(self, data: Any) -> None:
        """Show a search as it is now: a `dhpo.dashboard.search_data.SearchData`."""

    @abstractmethod
    def clear(self) -> None:
        """Show nothing: another search follows."""


class Curves(Panel):
    """Learning curves: the scores of each trial by its calls, on a logarithmic axis where rungs are far apart."""

    def __init__(self) -> None:
        self._source = _empty("trial", "x0", "y0", "x1", "y1", "colour", "name")
        self._axis = ScoreAxis("Learning curves")
        self._figures = {kind: _figure(x_axis_type=kind, y_range=self._axis.range) for kind in ("linear", "log")}
        for kind, plot in self._figures.items():
            plot.segment("x0", "y0", "x1", "y1", color="colour", alpha=0.45, source=self._source)
            dots = plot.scatter("x1", "y1", color="colour", alpha=0.7, size=5, legend_field="name", source=self._source)
            tips = [("trial", "@trial"), ("after", "@x1"), ("score", "@y1")]
            plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
            plot.legend.update(background_fill_alpha=0.0, border_line_alpha=0.0, spacing=0, padding=0)
            plot.add_layout(plot.legend[0], "right")
            plot.legend.label_text_font_size = "10px"
            plot.yaxis.axis_label = "score"
            plot.visible = kind == "linear"
        self.root = column(*self._figures.values(), sizing_mode="stretch_width")
        self._seen = 0

    def clear(self) -> None:
        """See `Panel`."""
        self._axis.clear()
        self._seen = _clear(self._source)

    def show(self, data: Any) -> None:
        """See `Panel`."""
        far_apart = any(rungs[-1][1] >= 4 * rungs[0][1] for _, rungs in data.brackets)
        for kind, plot in self._figures.items():
            plot.visible = (kind == "log") == far_apart
            plot.xaxis.axis_label = f"{data.counted} of the trial"
        new, self._seen = data.segments.since(self._seen), data.segments.count
        if new:
            trial, bracket, x0, y0, x1, y1 = map(list, zip(*new, strict=True))
            colours, names = [colour_of(b) for b in bracket], [f"bracket {b}" for b in bracket]
            _stream(self._source, (trial, x0, y0, x1, y1, colours, names), MOST_SCORES)
        self._axis.show([segment[-1] for segment in data.segments.since(0)], self._figures.values())


class BestSoFar(Panel):
    """The best score of all trials, by the calls of all."""

    def __init__(self) -> None:
        self._source = _empty("calls", "score")
        self._axis = ScoreAxis("Best score so far")
        self.root = _figure(y_range=self._axis.range)
        self.root.step("calls", "score", mode="after", line_width=2, color=colour_of(0), source=self._source)
        dots = self.root.scatter("calls", "score", size=6, color=colour_of(0), source=self._source)
        self.root.add_tools(HoverTool(renderers=[dots], tooltips=[("after", "@calls"), ("score", "@score")]))
        self._seen = 0

    def clear(self) -> None:
        """See `Panel`."""
        self._axis.clear()
        self._seen = _clear(self._source)

    def show(self, data: Any) -> None:
        """See `Panel`."""
        self.root.xaxis.axis_label = f"{data.counted} of all trials"
        new, self._seen = data.best.since(self._seen), data.best.count
        if new:
            _stream(self._source, ([calls for calls, _ in new], [score for _, score in new]), MOST_STEPS)
        self._axis.show([score for _, score in data.best.since(0)], [self.root])


class RungTable(Panel):
    """How many of the trials that are planned for each rung were scored there."""

    def __init__(self) -> None:
        self._source = _empty("rung", "planned", "reached", "colour")
        title = "Rungs: trials scored there, of those planned (pale)"
        self.root = _figure(title, y_range=FactorRange(factors=_NO_RUNGS))
        self.root.xaxis.axis_label = "trials"
        self.root.yaxis.update(group_label_orientation="horizontal", group_text_font_size="10px")
        self.root.hbar("rung", right="planned", height=0.7, color="colour", alpha=0.25, source=self._source)
        done = self.root.hbar("rung", right="reached", height=0.7, color="colour", source=self._source)
        self.root.add_tools(HoverTool(renderers=[done], tooltips=[("scored", "@reached"), ("planned", "@planned")]))

    def clear(self) -> None:
        """See `Panel`."""
        _clear(self._source)
        self.root.y_range.factors = _NO_RUNGS

    def show(self, data: Any) -> None:
        """See `Panel`."""
        self.root.yaxis.axis_label = f"{data.counted} at the rung"
        rows = []
        for bracket, rungs in data.brackets:
            every = -(-len(rungs) // _MOST_RUNGS)
            for planned, resource in [*rungs[:-1][::every], rungs[-1]]:
                name = f"bracket {bracket}", f"{resource:,}"
                rows.append((name, planned, data.reached.get((bracket, resource), 0), colour_of(bracket)))
        factors = [name for name, *_ in reversed(rows)]
        if factors != self.root.y_range.factors:
            self.root.y_range.factors = factors
            self.root.height = min(max(_HEIGHT, 60 + 16 * len(factors)), 480)
        _replace(self._source, list(map(list, zip(*rows, strict=True))) if rows else [[], [], [], []])


class Timeline(Panel):
    """What each worker did when."""

    def __init__(self) -> None:
        self._source = _empty("begin", "end", "worker", "colour", "alpha", "label")
        self.root = _figure(
            "Workers: steps by bracket (colour) and rung (later ones are darker)", y_range=FactorRange()
        )
        self.root.xaxis.axis_label = "seconds of the search"
        bars = self.root.hbar(
            "worker", left="begin", right="end", height=0.8, color="colour", alpha="alpha", source=self._source
        )
        self.root.add_tools(HoverTool(renderers=[bars], tooltips="@label"))
        self._resize()
        self._seen = 0

    def clear(self) -> None:
        """See `Panel`."""
        self._seen = _clear(self._source)
        self.root.y_range.factors = []
        self._resize()

    def show(self, data: Any) -> None:
        """See `Panel`."""
        new, self._seen = data.steps.since(self._seen), data.steps.count
        if not new:
            return
        begin, end, worker, bracket, rung, trials, calls = map(list, zip(*new, strict=True))
        workers = sorted({*self.root.y_range.factors, *worker})
        if workers != self.root.y_range.factors:
            self.root.y_range.factors = workers
            self._resize()
        colours, alphas = [colour_of(b) for b in bracket], [min(0.35 + 0.2 * r, 1.0) for r in rung]
        labels = [
            f"bracket {b}, rung {r}: {n} trials, {made} {data.counted}"
            for b, r, n, made in zip(bracket, rung, trials, calls, strict=True)
        ]
        _stream(self._source, (begin, end, worker, colours, alphas, labels), MOST_STEPS)

    def _resize(self) -> None:
        self.root.height = min(90 + 22 * len(self.root.y_range.factors), 500)


class ParameterFigure:
    """The last score of each trial against a parameter, on the scale that its space has.

    Attributes
    ----------
    root : bokeh model
    """

    def __init__(self) -> None:
        self._source = _empty("x", "score", "colour", "trial", "resource")
        self._axis = ScoreAxis("Score by parameter")
        self._figures = {
            "linear": _figure(x_axis_type="linear", y_range=self._axis.range),
            "log": _figure(x_axis_type="log", y_range=self._axis.range),
            "category": _figure(x_range=FactorRange(), y_range=self._axis.range),
        }
        for kind, plot in self._figures.items():
            plot.update(visible=kind == "linear", height=_HEIGHT - 40)
            plot.yaxis.axis_label = "score"
            dots = plot.scatter("x", "score", color="colour", alpha=0.7, size=7, source=self._source)
            tips = [("trial", "@trial"), ("value", "@x"), ("score", "@score"), ("after", "@resource")]
            plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
        self.root = column(*self._figures.values(), sizing_mode="stretch_width")

    def clear(self) -> None:
        """Show nothing."""
        self._axis.clear()
        _clear(self._source)

    def draw(self, data: Any, name: str) -> None:
        """Show a search as it is now.

        Parameters
        ----------
        data : dhpo.dashboard.search_data.SearchData
        name : str
            Of the parameter.
        """
        trials = [t for t in data.ranked() if t["score"] is not None and name in t["params"]][:_MOST_DOTS]
        values = [t["params"][name] for t in trials]
        kind = data.scales.get(name, "linear")
        if any(isinstance(value, str) for value in values):
            kind = "category"
        elif kind == "log" and any(value <= 0 for value in values):
            kind = "linear"
        if kind == "category":
            values = [str(value) for value in values]
            self._figures[kind].x_range.factors = sorted(set(values))
        for other, plot in self._figures.items():
            plot.visible = other == kind
            plot.xaxis.axis_label = name
        scores, colours = [t["score"] for t in trials], [colour_of(t["bracket"]) for t in trials]
        _replace(self._source, [values, scores, colours, [t["trial"] for t in trials], [t["resource"] for t in trials]])
        self._axis.show(scores, self._figures.values())


class ScoreByParameter(Panel):
    """The figure of one parameter, which the viewer chooses."""

    def __init__(self) -> None:
        self._choice = Select(options=[], width=240)
        self._choice.on_change("value", lambda attr, old, new: self._chosen())
        self._figure = ParameterFigure()
        self.root = column(self._choice, self._figure.root, sizing_mode="stretch_width")
        self._data: Any = None

    def clear(self) -> None:
        """See `Panel`."""
        self._figure.clear()
        self._data = None
        self._choice.options = []

    def show(self, data: Any) -> None:
        """See `Panel`."""
        self._data = data
        if data.scales and not self._choice.options:
            self._choice.options = sorted(data.scales)
            if self._choice.value not in self._choice.options:
                self._choice.value = self._choice.options[0]  # which draws it
                return
        self._figure.draw(data, self._choice.value)

    def _chosen(self) -> None:
        if self._data is not None:
            with self._data.lock:
                self._figure.draw(self._data, self._choice.value)


class LeaderBoard(Panel):
    """The best trials, and those that failed, in a table that is sorted by a click on its heads."""

    def __init__(self) -> None:
        widths = {
            **{"trial": 50, "rank": 50, "score": 70, "status": 100, "parameters": 360, "resource": 70, "bracket": 60},
            **{"rung": 50, "seconds": 70, "worker": 130, "error": 300},
        }
        formats = {
            "rank": NumberFormatter(format="0", null_format="-"),
            "score": NumberFormatter(format="0.0000"),
            "seconds": NumberFormatter(format="0.00"),
        }
        columns = [TableColumn(field=name, title=name, width=width) for name, width in widths.items()]
        for table_column in columns:
            if table_column.field in formats:
                table_column.formatter = formats[table_column.field]
        self._source = _empty(*widths)
        self.root = DataTable(
            source=self._source,
            columns=columns,
            sizing_mode="stretch_width",
            height=320,
            index_position=None,
            reorderable=False,
        )

    def clear(self) -> None:
        """See `Panel`."""
        _clear(self._source)

    def show(self, data: Any) -> None:
        """See `Panel`."""
        ranked = data.ranked()
        rows = [*ranked[:_MOST_ROWS], *(t for t in ranked[_MOST_ROWS:] if t["status"] == "failed")][: 2 * _MOST_ROWS]
        for trial in rows:
            trial["parameters"] = ", ".join(f"{k}={short(v)}" for k, v in trial["params"].items())
        _replace(self._source, [[trial[str(name)] for trial in rows] for name in self._source.data])


def short(value: Any) -> str:
    """A value of a parameter in a few characters."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _figure(title: str = "", **options: Any) -> Any:
    tools = "pan,wheel_zoom,box_zoom,reset"
    plot = figure(title=title, height=_HEIGHT, sizing_mode="stretch_width", tools=tools, **options)
    plot.toolbar.autohide = True
    return plot


def _empty(*names: str) -> ColumnDataSource:
    return ColumnDataSource({name: [] for name in names})


def _clear(source: ColumnDataSource) -> int:
    _replace(source, [[] for _ in source.data])
    return 0


def _replace(source: Any, columns: Sequence[list[Any]]) -> None:
    source.data = dict(zip(source.data, columns, strict=True))


def _stream(source: Any, columns: Sequence[list[Any]], most: int) -> None:
    source.stream(dict(zip(source.data, columns, strict=True)), rollover=most)
