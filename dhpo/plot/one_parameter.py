"""Pictures of one parameter at a time: what scores its values had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dhpo.dashboard.colours import colour_of
from dhpo.plot.display import Display, axes_to_draw_on
from dhpo.plot.parameter_axis import parameter_axis
from dhpo.plot.plotted_search import PARAM, plotted_search
from dhpo.plot.scores import colour_bar, colour_scale, limit_axis, mark_best

__all__ = ["slice", "validation_curve"]

# More values of a parameter than that are put together in as many intervals.
_MOST_VALUES = 12


def slice(source: Any, parameters: str | Sequence[str] | None = None, *, ax: Any = None) -> Display:
    """Draw the last score of each trial against each parameter, on the scale of its space.

    The colour tells how far a trial was trained: those that were given up early have lower scores for that reason, too.

    Parameters
    ----------
    source : search, Run, StoredSearch, str or path of a journal, or DataFrame
    parameters : str or sequence of str, optional
        All that had more than one value by default.
    ax : matplotlib Axes or sequence of them, optional
        One for each parameter; those of a new figure by default.

    Returns
    -------
    Display
        `data_` has a row for each trial: its `score`, its `resource` and its parameters.

    Raises
    ------
    ValueError
        If a parameter is unknown, there is no score yet, or another number of axes was given.

    Examples
    --------
    >>> import pandas as pd
    >>> from dhpo import plot
    >>> frame = pd.DataFrame({"score": [0.7, 0.9], "param_alpha": [1.0, 0.001], "param_loss": ["hinge", "log_loss"]})
    >>> display = plot.slice(frame)
    >>> [ax.get_xlabel() for ax in display.axes_], display.ax_.get_xscale()
    (['alpha', 'loss'], 'log')
    """
    search = plotted_search(source)
    names = search.checked_parameters("parameters", parameters)
    trials = search.scored
    axes = axes_to_draw_on(ax, len(names))
    norm, cmap = colour_scale(trials["resource"])
    for one, name in zip(axes, names, strict=True):
        axis = parameter_axis(search, name)
        places = axis.places(trials[PARAM + name])
        one.scatter(places, trials["score"], c=cmap(norm(trials["resource"])), s=22, alpha=0.8, linewidths=0)
        mark_best(one, places[0], trials["score"].iloc[0])
        axis.set_up(one.xaxis)
        limit_axis(one, trials["score"])
    axes[0].set_ylabel("score")
    if trials["resource"].nunique() > 1:
        colour_bar(axes, norm, cmap, f"{search.counted} of the trial")
    return Display(axes, trials[["score", "resource", *(PARAM + name for name in names)]])


def validation_curve(source: Any, parameter: str, *, ax: Any = None) -> Display:
    """Draw the best score that each value of a parameter came to, whatever the others were.

    Values of a continuous parameter are put together in intervals, each drawn at its best trial. Where the search was
    cross-validated, a band shows one standard deviation over the folds; where it was asked for training scores
    (`return_train_score=True`), those of the same trials are beside them: a wide gap tells of over-fitting.

    Parameters
    ----------
    source : search, Run, StoredSearch, str or path of a journal, or DataFrame
    parameter : str
    ax : matplotlib Axes, optional
        Those of a new figure by default.

    Returns
    -------
    Display
        `data_` has a row for each value, or interval: the best `trial` there, its value, `score`, `std`, `train_score`
        and `train_std`.

    Raises
    ------
    ValueError
        If the parameter is unknown, or there is no score yet.

    Examples
    --------
    >>> import pandas as pd
    >>> from dhpo import plot
    >>> values = {"param_C": [1, 1, 10, 10], "param_gamma": [0.1, 1, 0.1, 1]}
    >>> frame = pd.DataFrame({**values, "score": [0.7, 0.8, 0.9, 0.6]})
    >>> plot.validation_curve(frame, "C").data_[["trial", "param_C", "score"]]
       trial  param_C  score
    0      1        1    0.8
    1      2       10    0.9
    """
    search = plotted_search(source)
    (name,) = search.checked_parameters("parameter", parameter)
    trials, axis = search.scored, parameter_axis(search, name)
    places = axis.places(trials[PARAM + name])
    trials = trials.assign(place=places)[np.isfinite(places)]
    places = axis.even(trials["place"].to_numpy())
    groups = pd.Series(places) if axis.scale == "category" else _intervals(places)
    best = trials[~groups.duplicated().to_numpy()].sort_values("place")
    (ax,) = axes_to_draw_on(ax)
    _curve(ax, best, "score", "std", colour_of(0), "validation")
    if best["train_score"].notna().any():
        _curve(ax, best, "train_score", "train_std", colour_of(1), "training")
        ax.legend()
    axis.set_up(ax.xaxis)
    limit_axis(ax, pd.concat([best["score"], best["train_score"]]))
    ax.set_ylabel("best score")
    columns = [PARAM + name, "score", "std", "train_score", "train_std"]
    return Display([ax], best[columns].rename_axis("trial").reset_index())


def _intervals(places: np.ndarray) -> pd.Series[Any]:
    """The interval of each place: the place itself where there are few."""
    distinct = np.unique(places)
    if len(distinct) <= _MOST_VALUES:
        return pd.Series(places)
    edges = np.linspace(distinct[0], distinct[-1], _MOST_VALUES + 1)[1:-1]
    return pd.Series(np.digitize(places, edges))


def _curve(ax: Any, best: pd.DataFrame, score: str, std: str, colour: str, label: str) -> None:
    ax.plot(best["place"], best[score], marker="o", markersize=4, color=colour, label=label)
    if best[std].notna().any():
        low, high = best[score] - best[std], best[score] + best[std]
        ax.fill_between(best["place"], low, high, color=colour, alpha=0.2, linewidth=0)
