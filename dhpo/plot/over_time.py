"""Pictures of how a search went: its scores and its tasks, one after the other."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dhpo.dashboard.colours import colour_of
from dhpo.plot.display import Display, axes_to_draw_on
from dhpo.plot.plotted_search import PlottedSearch, plotted_search, plotted_searches
from dhpo.plot.scores import BEST, limit_axis

__all__ = ["best_so_far", "history", "timeline"]

_AGAINST = {
    "calls": ("calls", "{counted} of all trials"),
    "seconds": ("time", "seconds since the search began"),
    "trials": ("begun", "trials that were scored"),
}


def history(source: Any, *, ax: Any = None) -> Display:
    """Draw the last score of each trial by its number, and the best until then.

    Parameters
    ----------
    source : search, Run, StoredSearch, str or path of a journal, DataFrame, or several as a list or dict
        Several are drawn in one picture, a colour each.
    ax : matplotlib Axes, optional
        Those of a new figure by default.

    Returns
    -------
    Display
        `data_` has `search`, `trial`, `score` and `best`.

    Raises
    ------
    ValueError
        If there is no score yet, in none of them where there are several.

    Examples
    --------
    >>> import pandas as pd
    >>> from dhpo import plot
    >>> frame = pd.DataFrame({"score": [0.7, 0.9, 0.8], "param_alpha": [1.0, 0.1, 0.01]})
    >>> plot.history(frame).data_
           search  trial  score  best
    0  the search      0    0.7   0.7
    1  the search      1    0.9   0.9
    2  the search      2    0.8   0.9
    """
    searches = plotted_searches(source)
    (ax,) = axes_to_draw_on(ax)
    drawn = []
    for position, search in enumerate(searches):
        if _waits(ax, search, searches, position):
            continue
        trials = search.scored.sort_index()
        best = trials["score"].cummax()
        alone, brackets = len(searches) == 1, sorted(trials["bracket"].unique(), reverse=True)
        ax.step(
            trials.index,
            best,
            where="post",
            color=BEST if alone else colour_of(position),
            label="best so far" if alone else search.name,
        )
        for bracket in brackets:
            of_bracket = trials[trials["bracket"] == bracket]
            colour = colour_of(bracket if alone else position)
            label = f"bracket {bracket}" if alone and len(brackets) > 1 else None
            ax.scatter(of_bracket.index, of_bracket["score"], s=18, color=colour, alpha=0.8, linewidths=0, label=label)
        columns = {"search": search.name, "trial": trials.index, "score": trials["score"].array, "best": best.array}
        drawn.append(pd.DataFrame(columns))
    data = pd.concat(drawn, ignore_index=True)
    limit_axis(ax, data["score"])
    ax.set(xlabel="trial", ylabel="score")
    ax.legend()
    return Display([ax], data)


def _waits(ax: Any, search: PlottedSearch, searches: list[PlottedSearch], position: int) -> bool:
    """Whether a search has no score yet, which the legend says then, while others have some."""
    waits = not search.has_scores and any(other.has_scores for other in searches)
    if waits:
        ax.plot([], [], color=colour_of(position), label=f"{search.name}: no score yet")
    return waits


def best_so_far(source: Any, *, against: str = "calls", ax: Any = None) -> Display:
    """Draw the best score of all trials against the work, or the time, that it took.

    Parameters
    ----------
    source : search, Run, StoredSearch, str or path of a journal, or several as a list or dict
        Several are drawn in one picture, a colour each.
    against : {"calls", "seconds", "trials"}, default "calls"
        Calls of `partial_fit` over all trials (or fits), seconds since the search began, or trials that were scored.
    ax : matplotlib Axes, optional
        Those of a new figure by default.

    Returns
    -------
    Display
        `data_` has `search`, what it is drawn against, and `best`.

    Raises
    ------
    ValueError
        If there is no score yet, in none of them where there are several, or only a frame was given.

    Examples
    --------
    >>> import dask.array as da
    >>> from scipy.stats import loguniform
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import IncrementalSearchCV, plot
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> space = {"alpha": loguniform(1e-6, 1)}
    >>> search = IncrementalSearchCV(SGDClassifier(), space, 3, max_iter=4, random_state=0, verbose=0)
    >>> search = search.fit(X, y)
    >>> display = plot.best_so_far(search, against="calls")
    >>> display.ax_.get_xlabel(), display.data_["best"].is_monotonic_increasing
    ('calls of all trials', True)
    """
    if against not in _AGAINST:
        raise ValueError(f"against={against!r}: allowed are {', '.join(map(repr, _AGAINST))}.")
    column, label = _AGAINST[against]
    searches = plotted_searches(source, needs_history_for="best_so_far")
    (ax,) = axes_to_draw_on(ax)
    drawn = []
    for position, search in enumerate(searches):
        if _waits(ax, search, searches, position):
            continue
        search.scored  # noqa: B018 - raises where there is none
        reports = search.reports.assign(begun=lambda frame: (~frame["trial"].duplicated()).cumsum())
        improved = reports[(reports["best"].diff() != 0) | (reports.index == reports.index[-1])]
        ax.step(improved[column], improved["best"], where="post", color=colour_of(position), label=search.name)
        better = improved[improved["best"].diff() != 0]
        ax.scatter(better[column], better["best"], s=14, color=colour_of(position))
        drawn.append(improved[[column, "best"]].rename(columns={column: against}).assign(search=search.name))
    data = pd.concat(drawn, ignore_index=True)[["search", against, "best"]]
    limit_axis(ax, data["best"])
    ax.set(xlabel=label.format(counted=searches[0].counted), ylabel="best score so far")
    if len(searches) > 1:
        ax.legend()
    return Display([ax], data)


def timeline(source: Any, *, ax: Any = None) -> Display:
    """Draw when each worker trained: a bar for each task, coloured by bracket, the fuller the higher its rung.

    A task may train trials of several brackets; the bracket and the rung are those of its first trial.

    Parameters
    ----------
    source : search, Run, StoredSearch, or str or path of a journal
    ax : matplotlib Axes, optional
        Those of a new figure by default.

    Returns
    -------
    Display
        `data_` has a row for each task: `worker`, `begin`, `end`, `bracket`, `rung`, `trials`, `calls`.

    Raises
    ------
    ValueError
        If nothing was trained yet, or only a frame was given.

    Examples
    --------
    >>> import dask.array as da
    >>> from scipy.stats import loguniform
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import IncrementalSearchCV, plot
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> space = {"alpha": loguniform(1e-6, 1)}
    >>> search = IncrementalSearchCV(SGDClassifier(), space, 3, max_iter=4, random_state=0, verbose=0)
    >>> search = search.fit(X, y)
    >>> tasks = plot.timeline(search).data_
    >>> bool((tasks["end"] > tasks["begin"]).all()), int(tasks["calls"].sum())
    (True, 12)
    """
    search = plotted_search(source, needs_history_for="timeline")
    tasks = search.tasks
    if not len(tasks):
        raise ValueError(f"{search.name} has trained nothing yet, so there is nothing to draw.")
    workers = sorted(tasks["worker"].unique())
    (ax,) = axes_to_draw_on(ax, height=1.2 + 0.35 * min(len(workers), 20))
    for _, rows in tasks.groupby(["worker", "bracket", "rung"]):
        worker, bracket, rung = rows[["worker", "bracket", "rung"]].iloc[0]
        bars = list(zip(rows["begin"], rows["end"] - rows["begin"], strict=True))
        opacity = min(0.4 + 0.2 * rung, 1.0)
        ax.broken_barh(bars, (workers.index(worker) - 0.4, 0.8), facecolors=colour_of(bracket), alpha=opacity)
    for bracket in sorted(tasks["bracket"].unique(), reverse=True):
        ax.scatter([], [], marker="s", color=colour_of(bracket), label=f"bracket {bracket}")
    ax.set_yticks(range(len(workers)), workers)
    ax.set(xlabel="seconds since the search began", ylabel="worker", ylim=(len(workers) - 0.5, -0.5))
    if tasks["bracket"].nunique() > 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return Display([ax], tasks)
