"""Pictures of how trials were trained: their learning curves, and how many came how far."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dhpo.dashboard.colours import colour_of
from dhpo.plot.display import Display, axes_to_draw_on
from dhpo.plot.plotted_search import plotted_search
from dhpo.plot.scores import BEST, limit_axis

__all__ = ["learning_curves", "rungs"]

# So few curves have room for a band each; of more, the best has one.
_MOST_BANDS = 6
# Resources that are so many times apart are drawn on a logarithmic axis.
_FAR_APART = 8


def learning_curves(source: Any, *, top: int | None = None, ax: Any = None) -> Display:
    """Draw the scores of each trial by the resource that it had seen, coloured by bracket, the best one emphasised.

    Where a search was cross-validated, a band shows one standard deviation over the folds around the best curve, or
    around all where there are few.

    Parameters
    ----------
    source : search, Run, StoredSearch, or str or path of a journal
    top : int, optional
        Only the trials with the highest last scores; all by default.
    ax : matplotlib Axes, optional
        Those of a new figure by default.

    Returns
    -------
    Display
        `data_` has a row for each score: `trial`, `bracket`, `resource`, `score`, `std`.

    Raises
    ------
    ValueError
        If there is no score yet, `top` is below 1, or only a frame was given.

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
    >>> plot.learning_curves(search, top=1).data_["resource"].tolist()
    [1, 2, 3, 4]
    """
    search = plotted_search(source, needs_history_for="learning_curves")
    shown = search.leaders(top).index
    reports = search.reports[search.reports["trial"].isin(shown)]
    (ax,) = axes_to_draw_on(ax)
    named: set[int] = set()
    for trial, curve in reports.groupby("trial"):
        bracket, is_best = int(curve["bracket"].iloc[0]), trial == shown[0]
        colour = BEST if is_best else colour_of(bracket)
        style: dict[str, Any] = {"linewidth": 2.2, "zorder": 4} if is_best else {"linewidth": 0.9, "alpha": 0.55}
        label = f"best: trial {trial}" if is_best else None if bracket in named else f"bracket {bracket}"
        named |= set() if is_best else {bracket}
        ax.plot(curve["resource"], curve["score"], marker="o", markersize=3, color=colour, label=label, **style)
        if curve["std"].notna().any() and (is_best or len(shown) <= _MOST_BANDS):
            low, high = curve["score"] - curve["std"], curve["score"] + curve["std"]
            ax.fill_between(curve["resource"], low, high, color=colour, alpha=0.2, linewidth=0)
    if reports["resource"].max() >= _FAR_APART * max(reports["resource"].min(), 1):
        ax.set_xscale("log")
    limit_axis(ax, reports["score"])
    ax.set(xlabel=f"{search.counted} of the trial", ylabel="score")
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i], reverse=True)
    ax.legend([handles[i] for i in order], [labels[i] for i in order], fontsize="small")
    columns = ["trial", "bracket", "resource", "score", "std"]
    return Display([ax], reports[columns].reset_index(drop=True))


def rungs(source: Any, *, ax: Any = None) -> Display:
    """Draw how many trials were scored at each rung, in front of a bar with the number that was planned.

    Parameters
    ----------
    source : search, Run, StoredSearch, or str or path of a journal
    ax : matplotlib Axes, optional
        Those of a new figure by default.

    Returns
    -------
    Display
        `data_` has `bracket`, `resource`, trials `planned`, and trials `scored`.

    Raises
    ------
    ValueError
        If there is no plan yet, or only a frame was given.

    Examples
    --------
    >>> import dask.array as da
    >>> from scipy.stats import loguniform
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import SuccessiveHalvingSearchCV, plot
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> space = {"alpha": loguniform(1e-6, 1)}
    >>> search = SuccessiveHalvingSearchCV(SGDClassifier(), space, 9, 1, 9, random_state=0, verbose=0)
    >>> search = search.fit(X, y)
    >>> plot.rungs(search).data_
       bracket  resource  planned  scored
    0        0         1        9       9
    1        0         3        3       3
    2        0         9        1       1
    """
    search = plotted_search(source, needs_history_for="rungs")
    plan = search.history.plan
    if plan is None:
        raise ValueError(f"{search.name} has no plan yet, so there are no rungs to draw.")
    scored = search.reports.groupby(["bracket", "resource"])["trial"].nunique()
    rows = [
        (bracket.bracket, rung.resource, rung.n_trials, int(scored.get((bracket.bracket, rung.resource), 0)))
        for bracket in plan.brackets
        for rung in bracket.rungs
    ]
    data = pd.DataFrame(rows, columns=["bracket", "resource", "planned", "scored"])
    (ax,) = axes_to_draw_on(ax, height=1.0 + 0.26 * min(len(data), 40))
    colours = [colour_of(b) for b in data["bracket"]]
    ax.barh(range(len(data)), data["planned"], color=colours, alpha=0.25)
    ax.barh(range(len(data)), data["scored"], color=colours)
    for position, (planned, done) in enumerate(zip(data["planned"], data["scored"], strict=True)):
        text = f"{done}" if done >= planned else f"{done} of {planned}"
        ax.annotate(text, (max(planned, done), position), (4, 0), textcoords="offset points", va="center", fontsize=8)
    labels = [f"bracket {b}: {r:,}" for b, r in zip(data["bracket"], data["resource"], strict=True)]
    ax.set_yticks(range(len(data)), labels)
    ax.set(xlabel="trials scored, of those planned (pale)", ylabel=f"{search.counted} at the rung")
    ax.set_ylim(len(data) - 0.5, -0.5)
    ax.margins(x=0.12)
    return Display([ax], data)
