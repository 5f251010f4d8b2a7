"""The pictures of a report: those of the page in Dask's dashboard, of a search that does not change any more."""

from __future__ import annotations

from typing import Any

from bokeh.models import Column, TabPanel, Tabs

from dhpo.dashboard.messages import Messages
from dhpo.dashboard.panels import BestSoFar, Curves, LeaderBoard, ParameterFigure, RungTable, Timeline
from dhpo.dashboard.search_data import SearchData
from dhpo.history.history import History

__all__ = ["pictures_of"]


def pictures_of(history: History) -> dict[str, Any]:
    """Models of bokeh by what they show; only those for which there is something to show.

    Parameters
    ----------
    history : History
    """
    data = SearchData("report")
    data.take(Messages(history).new_rows(0.0))
    panels: dict[str, Any] = {"trials": LeaderBoard()}
    if data.segments:
        panels |= {"curves": Curves(), "best": BestSoFar()}
    if data.brackets:
        panels["rungs"] = RungTable()
    if data.steps:
        panels["timeline"] = Timeline()
    for panel in panels.values():
        panel.show(data)
    models = {name: _shown(panel.root) for name, panel in panels.items()}
    if data.segments and data.scales:
        models["parameters"] = _by_parameter(data)
    return models


def _by_parameter(data: SearchData) -> Tabs:
    tabs = []
    for name in sorted(data.scales):
        figure = ParameterFigure()
        figure.draw(data, name)
        tabs.append(TabPanel(child=_shown(figure.root), title=name))
    return Tabs(tabs=tabs, sizing_mode="stretch_width")


def _shown(model: Any) -> Any:
    """Without what is there for other searches alone: a browser complains of axes with nothing on them."""
    if isinstance(model, Column):
        model.children = [child for child in model.children if getattr(child, "visible", True)]
    return model
