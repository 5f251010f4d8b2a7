"""How the values of a parameter are laid out on an axis: logarithmic, linear, or one place for each category."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dhpo.plot.plotted_search import PARAM, PlottedSearch
from dhpo.views.text import short_value

__all__ = ["ParameterAxis", "parameter_axis"]

# Letters of all labels that have room beside each other; and labels that have room if they are turned by half.
_LONGEST_LABELS, _MOST_TURNED = 30, 15


@dataclass
class ParameterAxis:
    """The places of values on an axis.

    Parameters
    ----------
    name : str
        Of the parameter.
    scale : str
        "log", "linear" or "category".
    categories : list of str
        By their places, where the scale is one of categories.
    """

    name: str
    scale: str
    categories: list[str]

    def places(self, values: pd.Series[Any]) -> np.ndarray:
        """Where values lie; not a number where a trial does not have the parameter."""
        if self.scale != "category":
            return values.astype(float).to_numpy()
        place_of = {category: place for place, category in enumerate(self.categories)}
        return np.array([place_of.get(_category(value), np.nan) for value in values], dtype=float)

    def even(self, places: np.ndarray) -> np.ndarray:
        """The places as they are seen: on a logarithmic axis their logarithms."""
        return np.log10(places) if self.scale == "log" else places

    def set_up(self, axis: Any) -> None:
        """Give an axis of matplotlib (`ax.xaxis` or `ax.yaxis`) the scale, its ticks and its label."""
        axis.set_label_text(self.name)
        if self.scale == "log":
            axis.axes.set_xscale("log") if axis.axis_name == "x" else axis.axes.set_yscale("log")
        elif self.scale == "category":
            axis.set_ticks(range(len(self.categories)), self.categories)
            if axis.axis_name == "x" and sum(map(len, self.categories)) > _LONGEST_LABELS:
                axis.axes.tick_params(axis="x", labelrotation=45 if len(self.categories) <= _MOST_TURNED else 90)


def parameter_axis(search: PlottedSearch, name: str) -> ParameterAxis:
    """The axis of one parameter.

    Parameters
    ----------
    search : PlottedSearch
    name : str
    """
    scale = search.scale_of(name)
    if scale != "category":
        return ParameterAxis(name, scale, [])
    values = search.summary[PARAM + name].tolist()
    found = {_category(v): v for v in values if _category(v)}
    try:
        ordered = sorted(found, key=lambda category: found[category])
    except TypeError:  # values of several types, None beside a string
        ordered = sorted(found)
    return ParameterAxis(name, scale, ordered)


def _category(value: Any) -> str:
    """A value as its place on the axis is labelled; empty where the trial does not have the parameter."""
    return "" if isinstance(value, float) and np.isnan(value) else short_value(value)
