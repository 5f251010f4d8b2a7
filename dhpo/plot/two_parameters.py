"""The picture of two parameters together: where in their plane the scores are high."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dhpo.plot.display import Display, axes_to_draw_on, matplotlib_module
from dhpo.plot.parameter_axis import ParameterAxis, parameter_axis
from dhpo.plot.plotted_search import PARAM, plotted_search
from dhpo.plot.scores import BEST, colour_bar, colour_scale, mark_best

__all__ = ["contour"]

# A grid of more values of a parameter than that is drawn as contours.
_MOST_VALUES = 20
_LEVELS, _STEPS = 12, 120
# In the cells of a heat map with no more of them, scores are written.
_MOST_WRITTEN = 60


def contour(source: Any, x: str, y: str, *, train: bool = False, ax: Any = None) -> Display:
    """Draw the scores over the plane of two parameters: a heat map of a grid, else contours between the trials.

    Where several trials have the same two values, the best of them counts.

    Parameters
    ----------
    source : search, Run, StoredSearch, str or path of a journal, or DataFrame
    x, y : str
        The parameters.
    train : bool, default False
        Whether to draw the training scores beside; the search needs `return_train_score=True` for them.
    ax : matplotlib Axes or sequence of them, optional
        One, or two with `train`; those of a new figure by default.

    Returns
    -------
    Display
        `data_` has a row for each pair of values: the values of both parameters, `score` and `train_score`.

    Raises
    ------
    ValueError
        If a parameter is unknown, both are the same, there is no score yet, or no training score where it was asked
        for.

    Examples
    --------
    >>> import pandas as pd
    >>> from dhpo import plot
    >>> values = {"param_C": [1, 1, 10, 10], "param_gamma": [0.1, 1, 0.1, 1]}
    >>> frame = pd.DataFrame({**values, "score": [0.7, 0.8, 0.9, 0.6]})
    >>> plot.contour(frame, "C", "gamma").data_[["param_C", "param_gamma", "score"]]
       param_C  param_gamma  score
    0       10          0.1    0.9
    1        1          1.0    0.8
    2        1          0.1    0.7
    3       10          1.0    0.6
    """
    search = plotted_search(source)
    (x,), (y,) = search.checked_parameters("x", x), search.checked_parameters("y", y)
    if x == y:
        raise ValueError(f"x={x!r} and y={y!r} are the same parameter. Give two, or draw one by dhpo.plot.slice.")
    trials = search.scored
    if train and trials["train_score"].isna().all():
        raise ValueError("train=True: the search has no training scores. It keeps them with return_train_score=True.")
    axes = axes_to_draw_on(ax, 2 if train else 1, width=5.6)
    x_axis, y_axis = parameter_axis(search, x), parameter_axis(search, y)
    trials = trials.assign(_x=x_axis.places(trials[PARAM + x]), _y=y_axis.places(trials[PARAM + y]))
    trials = trials[np.isfinite(trials["_x"]) & np.isfinite(trials["_y"])].drop_duplicates(["_x", "_y"])
    if trials.empty:
        raise ValueError(f"no trial that was scored has both {x!r} and {y!r}: draw each by dhpo.plot.slice.")
    parts = {"validation score": "score", "training score": "train_score"} if train else {"score": "score"}
    shown = pd.concat([trials[column] for column in parts.values()])
    norm, cmap = colour_scale(shown)
    for one, (label, column) in zip(axes, parts.items(), strict=True):
        _draw(one, trials, column, (x_axis, y_axis), norm, cmap)
        x_axis.set_up(one.xaxis)
        y_axis.set_up(one.yaxis)
        if train:
            one.set_title(label, fontsize="medium")
    colour_bar(axes, norm, cmap)
    columns = [PARAM + x, PARAM + y, "score", "train_score"]
    return Display(axes, trials[columns].reset_index(drop=True))


def _draw(
    ax: Any, trials: pd.DataFrame, column: str, axes: tuple[ParameterAxis, ParameterAxis], norm: Any, cmap: Any
) -> None:
    table = trials.pivot(index="_y", columns="_x", values=column)
    is_grid = max(table.shape) <= _MOST_VALUES and table.notna().to_numpy().mean() > 0.5 and min(table.shape) > 1
    best = trials.sort_values(column, ascending=False, kind="stable").iloc[0]
    if is_grid:
        x_edges, y_edges = (_edges(a, values) for a, values in zip(axes, (table.columns, table.index), strict=True))
        ax.pcolormesh(x_edges, y_edges, table.to_numpy(), norm=norm, cmap=cmap)
        if table.size <= _MOST_WRITTEN:
            _write_scores(ax, table, norm)
        i, j = (int(np.searchsorted(v, best[p])) for v, p in ((table.columns, "_x"), (table.index, "_y")))
        (left, right), (low, high) = x_edges[i : i + 2], y_edges[j : j + 2]
        ax.plot([left, right, right, left, left], [low, low, high, high, low], color=BEST, linewidth=2, zorder=5)
    else:
        _draw_contours(ax, trials, column, axes, norm, cmap)
        ax.scatter(trials["_x"], trials["_y"], c=trials[column], norm=norm, cmap=cmap, s=20, edgecolors="grey", lw=0.5)
        mark_best(ax, best["_x"], best["_y"])


def _draw_contours(
    ax: Any, trials: pd.DataFrame, column: str, axes: tuple[ParameterAxis, ParameterAxis], norm: Any, cmap: Any
) -> None:
    if any(axis.scale == "category" for axis in axes) or len(trials) < 4:
        return  # there is nothing between categories
    x, y = (axis.even(trials[place].to_numpy()) for axis, place in zip(axes, ("_x", "_y"), strict=True))
    tri = matplotlib_module("tri")
    try:
        # On the scales that are seen: half way between 0.01 and 1 is 0.1 on a logarithmic one.
        between = tri.LinearTriInterpolator(tri.Triangulation(x, y), trials[column].clip(lower=norm.vmin))
    except (RuntimeError, ValueError):  # all in one line
        return
    grid = np.meshgrid(np.linspace(x.min(), x.max(), _STEPS), np.linspace(y.min(), y.max(), _STEPS))
    places = [np.power(10.0, seen) if axis.scale == "log" else seen for axis, seen in zip(axes, grid, strict=True)]
    levels = np.linspace(norm.vmin, norm.vmax, _LEVELS)
    ax.contourf(*places, between(*grid), levels=levels, norm=norm, cmap=cmap, alpha=0.75, extend="both")


def _edges(axis: ParameterAxis, values: Any) -> np.ndarray:
    """Of the cells around values, half way to their neighbours as they are seen."""
    seen = axis.even(np.asarray(values, dtype=float))
    middles = (seen[1:] + seen[:-1]) / 2
    edges = np.concatenate([[2 * seen[0] - middles[0]], middles, [2 * seen[-1] - middles[-1]]])
    return np.power(10.0, edges) if axis.scale == "log" else edges


def _write_scores(ax: Any, table: pd.DataFrame, norm: Any) -> None:
    for y, row in table.iterrows():
        for x, value in row.dropna().items():
            colour = "black" if norm(value) > 0.5 else "white"
            ax.annotate(f"{value:.3g}", (x, y), ha="center", va="center", color=colour, fontsize=8)
