"""What all pictures draw: the trials of a search, wherever they are kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from dhpo.history.frames import report_frame, task_frame, trial_frame
from dhpo.history.history import History
from dhpo.space.parameter_range import are_far_apart
from dhpo.wording import did_you_mean

__all__ = ["PARAM", "PlottedSearch", "plotted_search", "plotted_searches"]

PARAM = "param_"

_ALLOWED = (
    "a fitted search, a dhpo.Run, what dhpo.load returns, the folder of a journal, a dhpo.History, or a "
    "pandas.DataFrame with the columns of summary() or of cv_results_, and where how the trials ended is enough, "
    "cv_results_ itself or a fitted search of scikit-learn"
)


@dataclass
class PlottedSearch:
    """A search as pictures need it.

    Parameters
    ----------
    name : str
    summary : pandas.DataFrame
        One row for each trial.
    history : History, optional
        Empty where only a frame was given.
    """

    name: str
    summary: pd.DataFrame
    history: History = field(default_factory=History)

    @cached_property
    def reports(self) -> pd.DataFrame:
        """See `dhpo.history.frames.report_frame`."""
        return report_frame(self.history)

    @cached_property
    def tasks(self) -> pd.DataFrame:
        """See `dhpo.history.frames.task_frame`."""
        return task_frame(self.history)

    @property
    def counted(self) -> str:
        """What trials are trained for: "calls" of partial_fit, "fits", "trees" and so on."""
        return f"{self.history.unit}s"

    @property
    def has_scores(self) -> bool:
        """Whether any trial was scored."""
        return bool(np.isfinite(self.summary["score"].astype(float)).any())

    @property
    def scored(self) -> pd.DataFrame:
        """The trials with a score, the best first.

        Raises
        ------
        ValueError
            If there are none.
        """
        trials = self.summary[np.isfinite(self.summary["score"].astype(float))]
        if not len(trials):
            raise ValueError(f"{self.name} has no trial with a score yet, so there is nothing to draw.")
        return trials.sort_values("score", ascending=False, kind="stable")

    @property
    def parameters(self) -> list[str]:
        """The names of all parameters that had more than one value; of all where none had."""
        names = [str(c).removeprefix(PARAM) for c in self.summary.columns if str(c).startswith(PARAM)]
        return [n for n in names if len(set(map(repr, self.summary[PARAM + n]))) > 1] or names

    def checked_parameters(self, argument: str, names: Any) -> list[str]:
        """The names that were given, or else all that had more than one value.

        Parameters
        ----------
        argument : str
            What the user calls it.
        names : str, sequence of str or None

        Raises
        ------
        ValueError
            Naming the nearest where one is unknown.
        """
        if names is None:
            return self.parameters
        for name in names if not isinstance(names, str) else [names]:
            if PARAM + str(name) not in self.summary.columns:
                known = [str(c).removeprefix(PARAM) for c in self.summary.columns if str(c).startswith(PARAM)]
                hint = did_you_mean(name, known) or f" Allowed are {', '.join(known)}."
                raise ValueError(f"{argument}={name!r} is not a parameter of this search.{hint}")
        return [names] if isinstance(names, str) else list(names)

    def leaders(self, top: int | None) -> pd.DataFrame:
        """The trials with the highest scores, the best first; all without a number.

        Raises
        ------
        ValueError
            If the number is below 1, or no trial has a score.
        """
        if top is not None and top < 1:
            raise ValueError(f"top={top!r}: give the number of trials to draw, 1 or more, or None for all.")
        return self.scored[:top]

    def scale_of(self, parameter: str) -> str:
        """How a parameter is drawn: "log", "linear" or "category"."""
        values = [v for v in self.summary[PARAM + parameter].tolist() if not (isinstance(v, float) and np.isnan(v))]
        if not all(isinstance(v, int | float | np.number) and not isinstance(v, bool | np.bool) for v in values):
            return "category"
        planned = self.history.planned
        scale = planned.scales.get(parameter) if planned is not None else None
        if scale == "category":
            return scale
        finite = [v for v in values if np.isfinite(v)]
        if not finite or min(finite) <= 0:
            return "linear"
        return scale or ("log" if are_far_apart(finite) else "linear")


def plotted_search(source: Any, name: str = "the search", *, needs_history_for: str | None = None) -> PlottedSearch:
    """A search, wherever it is kept.

    Parameters
    ----------
    source : search, Run, StoredSearch, History, DataFrame, dict, str or path
        A dict, or an estimator that is no search of dhpo, has `cv_results_` of scikit-learn.
    name : str, optional
    needs_history_for : str, optional
        The picture that cannot be drawn of a frame.

    Raises
    ------
    TypeError
        If it is anything else.
    NotFittedError
        If the search was not fitted.
    ValueError
        If a frame was given, and the picture needs more.
    """
    if _history_in(source) is None and hasattr(source, "cv_results_"):
        source = _frame_of(source.cv_results_, getattr(source, "refit", None))
    elif _is_results(source):
        source = _frame_of(source, None)
    if isinstance(source, pd.DataFrame):
        if needs_history_for is not None:
            raise ValueError(
                f"dhpo.plot.{needs_history_for} needs all that happened in the search, and a frame holds only how its "
                "trials ended. Give the search, its Run, or its journal."
            )
        return PlottedSearch(name, _summary_of(source))
    if isinstance(source, str | os.PathLike):
        from dhpo.journal.journal import JournalReader

        source = JournalReader(source).history()
    history = source if isinstance(source, History) else _history_of(source)
    return PlottedSearch(name, trial_frame(history), history)


def plotted_searches(sources: Any, *, needs_history_for: str | None = None) -> list[PlottedSearch]:
    """One search, or several to compare.

    Parameters
    ----------
    sources : search or the like, sequence of them, or mapping of names to them
    needs_history_for : str, optional
        See `plotted_search`.
    """
    plotted = partial(plotted_search, needs_history_for=needs_history_for)
    if isinstance(sources, Mapping) and not _is_results(sources):
        named = dict(sources)
    elif isinstance(sources, list | tuple):
        named = {_name_of(source, i): source for i, source in enumerate(sources)}
        if len(named) < len(sources):  # two journals of one name
            named = {f"{_name_of(source, i)} ({i})": source for i, source in enumerate(sources)}
    else:
        return [plotted(sources)]
    if not named:
        raise ValueError("No search was given. Give one, or several.")
    return [plotted(source, str(name)) for name, source in named.items()]


def _name_of(source: Any, index: int) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source).rstrip("/").rpartition("/")[2]
    return f"search {index}"


def _is_results(source: Any) -> bool:
    """Whether something is `cv_results_`, and not searches by their names."""
    return isinstance(source, Mapping) and any(str(name).startswith("mean_test_") for name in source)


def _frame_of(results: Mapping[str, Any], refit: Any) -> pd.DataFrame:
    """`cv_results_` as a frame, with the metric that decides called "score" where `refit` names it."""
    columns = {name: _column(name, values) for name, values in results.items()}
    if isinstance(refit, str):
        for kind in ("mean_test_", "std_test_", "mean_train_", "std_train_"):
            if kind + refit in columns:
                columns[f"{kind}score"] = columns[kind + refit]
    return pd.DataFrame(columns)


def _column(name: str, values: Any) -> Any:
    """Those of a parameter as they are: pandas takes None among strings for one that is missing."""
    if not name.startswith(PARAM):
        return pd.Series(list(values))
    return pd.Series([np.nan if value is np.ma.masked else value for value in values], dtype=object)


def _history_in(source: Any) -> History | None:
    found = (getattr(source, attribute, None) for attribute in ("history", "_history"))
    return next((history for history in found if isinstance(history, History)), None)


def _history_of(source: Any) -> History:
    history = _history_in(source)
    if history is not None:
        return history
    if hasattr(source, "fit"):
        from sklearn.exceptions import NotFittedError

        raise NotFittedError(f"This {type(source).__name__} is not fitted yet. Call fit, or start, first.")
    raise TypeError(f"A picture was asked for of a {type(source).__name__}. Allowed are {_ALLOWED}.")


def _summary_of(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame with the columns of a summary, also of one that holds `cv_results_`."""
    names = {"mean_test_score": "score", "std_test_score": "std"}
    names |= {"mean_train_score": "train_score", "std_train_score": "train_std"}
    frame = frame if "score" in frame.columns else frame.rename(columns=names)
    if "score" not in frame.columns:
        raise ValueError(
            f"The frame has no column `score` and no `mean_test_score`; it has {', '.join(map(str, frame.columns))}. "
            f"Give {_ALLOWED}."
        )
    if "trial" in frame.columns:  # as `dhpo export` writes it
        frame = frame.set_index("trial")
    frame = frame.copy()
    defaults = {"std": np.nan, "train_score": np.nan, "train_std": np.nan, "bracket": 0, "resource": 1}
    for name in defaults.keys() - set(frame.columns):
        frame[name] = defaults[name]
    return frame
