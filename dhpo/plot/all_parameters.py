"""Pictures of all parameters together: whole trials as lines, and which parameters decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dhpo.dashboard.colours import colour_of
from dhpo.plot.display import Display, axes_to_draw_on
from dhpo.plot.parameter_axis import ParameterAxis, parameter_axis
from dhpo.plot.plotted_search import PARAM, PlottedSearch, plotted_search
from dhpo.plot.scores import BEST, colour_bar, colour_scale
from dhpo.wording import counted

__all__ = ["importance", "parallel_coordinates"]

# A forest tells nothing by fewer.
_FEWEST_TRIALS = 10
_N_TREES = 200
# The height of trials that do not have a parameter; the values of the others are from 0 to 1.
_ABSENT = -0.15


def parallel_coordinates(
    source: Any, parameters: str | Sequence[str] | None = None, *, top: int | None = None, ax: Any = None
) -> Display:
    """Draw each trial as a line through the values of its parameters, coloured by its score, the best on top.

    The line of a trial that does not have a parameter goes through "not set", below the values of the others.

    Parameters
    ----------
    source : search, Run, StoredSearch, str or path of a journal, or DataFrame
    parameters : str or sequence of str, optional
        All that had more than one value by default, in the order of the space.
    top : int, optional
        Only the trials with the highest scores; all by default.
    ax : matplotlib Axes, optional
        Those of a new figure by default.

    Returns
    -------
    Display
        `data_` has a row for each trial: its `score` and its parameters.

    Raises
    ------
    ValueError
        If a parameter is unknown, `top` is below 1, or there is no score yet.

    Examples
    --------
    >>> import pandas as pd
    >>> from dhpo import plot
    >>> values = {"param_alpha": [1.0, 0.1, 0.01], "param_loss": ["hinge", "hinge", "log_loss"]}
    >>> frame = pd.DataFrame({**values, "score": [0.7, 0.8, 0.9]})
    >>> plot.parallel_coordinates(frame, top=2).data_
       score  param_alpha param_loss
    2    0.9         0.01   log_loss
    1    0.8         0.10      hinge
    """
    search = plotted_search(source)
    names = search.checked_parameters("parameters", parameters)
    trials = search.leaders(top)
    (ax,) = axes_to_draw_on(ax, width=max(6.4, 1.5 * (len(names) + 1)))
    norm, cmap = colour_scale(trials["score"])
    heights = []
    for position, name in enumerate(names):
        axis = parameter_axis(search, name)
        places = axis.even(axis.places(trials[PARAM + name]))
        has_it, finite = ~np.isnan(places), np.isfinite(places)
        if not has_it.all():
            _label(ax, position, _ABSENT, "not set")
        if finite.any():
            low, high = places[finite].min(), places[finite].max()
            places = places.clip(low, high)  # what is infinite is at an end
            _draw_scale(ax, position, axis, low, high)
            places = np.where(has_it, 0.5, np.nan) if low == high else (places - low) / (high - low)
        heights.append(np.where(has_it, places, _ABSENT))
    lines = np.array([*heights, *heights[:1]][: max(len(heights), 2)])  # a single parameter is a level line
    for trial in range(len(trials) - 1, -1, -1):
        style = {"color": BEST, "linewidth": 2.4} if trial == 0 else {"color": cmap(norm(trials["score"].iloc[trial]))}
        ax.plot(range(len(lines)), lines[:, trial], **{"linewidth": 1.0, "alpha": 0.8, **style})
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks([])
    ax.set_ylim(min(-0.08, lines.min() - 0.04), 1.08)
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(False)
    colour_bar([ax], norm, cmap)
    return Display([ax], trials[["score", *(PARAM + name for name in names)]])


def _draw_scale(ax: Any, position: int, axis: ParameterAxis, low: float, high: float) -> None:
    ax.axvline(position, color="grey", linewidth=0.8, zorder=0)
    if axis.scale == "category":
        ticks = {category: float(place) for place, category in enumerate(axis.categories) if low <= place <= high}
    else:
        ticks = {f"{10**end if axis.scale == 'log' else end:.3g}": end for end in (low, high)}
    for text, place in ticks.items():
        _label(ax, position, 0.5 if low == high else (place - low) / (high - low), text)


def _label(ax: Any, position: int, height: float, text: str) -> None:
    box = {"boxstyle": "round,pad=0.15", "facecolor": ax.get_facecolor(), "edgecolor": "none", "alpha": 0.7}
    ax.annotate(text, (position, height), (4, 0), textcoords="offset points", va="center", fontsize=8, bbox=box)


def importance(
    source: Any,
    parameters: str | Sequence[str] | None = None,
    *,
    n_repeats: int = 10,
    random_state: int | None = 0,
    ax: Any = None,
) -> Display:
    """Draw how much each parameter decides about the scores, as a forest that was fitted on the trials sees it.

    A random forest learns the rank of a trial by its last score from the parameters, and from how far the trial was
    trained, which is not drawn. The importance of a parameter is what the forest loses of its R² when the values of the
    parameter are shuffled among the trials (scikit-learn's `permutation_importance` [1]_). The label says what share of
    the variance of the ranks the forest explains for trials that its trees have not seen: where that is low, the
    picture means little.

    Parameters
    ----------
    source : search, Run, StoredSearch, str or path of a journal, or DataFrame
    parameters : str or sequence of str, optional
        Those that are drawn; all that had more than one value by default.
    n_repeats : int, default 10
        Shuffles of each parameter.
    random_state : int or None, default 0
        Of the forest and the shuffles.
    ax : matplotlib Axes, optional
        Those of a new figure by default.

    Returns
    -------
    Display
        `data_` has a row for each parameter, the most important last: `parameter`, `importance` and `std` over the
        shuffles.

    Raises
    ------
    ValueError
        If a parameter is unknown, fewer than 10 trials have a score, or all scores are equal.

    References
    ----------
    .. [1] L. Breiman, "Random Forests", Machine Learning 45, 2001.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from dhpo import plot
    >>> alpha, momentum = np.random.default_rng(0).uniform(size=(2, 50))
    >>> frame = pd.DataFrame({"param_alpha": alpha, "param_momentum": momentum, "score": -((alpha - 0.5) ** 2)})
    >>> plot.importance(frame).data_["parameter"].tolist()  # the most important last
    ['momentum', 'alpha']
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    search = plotted_search(source)
    names = search.checked_parameters("parameters", parameters)
    trials = search.scored
    if len(trials) < _FEWEST_TRIALS:
        raise ValueError(
            f"{search.name} has {counted(len(trials), 'trial')} with a score, too few to tell which parameters decide: "
            f"dhpo.plot.importance needs {_FEWEST_TRIALS}."
        )
    if trials["score"].nunique() == 1:
        raise ValueError(f"{search.name} has the same score for all trials, so no parameter decides about it.")
    features = _features(search, trials, names)
    forest = RandomForestRegressor(_N_TREES, oob_score=True, min_samples_leaf=2, random_state=random_state)
    # Ranks: one trial that diverged has no more say than the last of those that did not.
    ranks = trials["score"].rank()
    forest.fit(features, ranks)
    found = permutation_importance(forest, features, ranks, n_repeats=n_repeats, random_state=random_state)
    by_name = {name: i for i, name in enumerate(features.columns)}
    rows = [(name, found.importances_mean[by_name[name]], found.importances_std[by_name[name]]) for name in names]
    data = pd.DataFrame(rows, columns=["parameter", "importance", "std"]).sort_values("importance", ignore_index=True)
    (ax,) = axes_to_draw_on(ax, height=1.4 + 0.4 * len(names))
    ax.barh(data["parameter"], data["importance"], xerr=data["std"], color=colour_of(0), error_kw={"ecolor": "grey"})
    explained = max(forest.oob_score_, 0.0)
    ax.set_xlabel(f"importance, by a forest that explains {explained:.0%} of the variance")
    return Display([ax], data)


def _features(search: PlottedSearch, trials: pd.DataFrame, drawn: list[str]) -> pd.DataFrame:
    """Numbers by which trees split: the places of values as they are seen, and how far the trial was trained."""
    columns = {"resource": np.log1p(trials["resource"].to_numpy(dtype=float))}
    for name in dict.fromkeys([*search.parameters, *drawn]):
        axis = parameter_axis(search, name)
        columns[name] = axis.even(axis.places(trials[PARAM + name]))
    return pd.DataFrame(columns, index=trials.index)
