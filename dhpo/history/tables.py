"""The columns of `cv_results_`: parameters, scores by split and metric, ranks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from dhpo.history.events import Reported, SplitScores
from dhpo.trial import Params

__all__ = ["objects", "other_metrics", "param_columns", "ranks", "score_columns", "time_columns"]


def param_columns(params: Sequence[Params]) -> dict[str, np.ma.MaskedArray[Any, Any]]:
    """One masked column for each parameter, masked where a trial does not have it.

    Parameters
    ----------
    params : sequence of mapping
        Of each trial.

    Returns
    -------
    dict of str to masked array of shape (n_trials,)
        Of the type that NumPy finds for the values, and of objects for strings and sequences.
    """
    columns = {}
    for name in dict.fromkeys(name for of_trial in params for name in of_trial):
        having = [i for i, of_trial in enumerate(params) if name in of_trial]
        column = np.ma.MaskedArray(np.empty(len(params), dtype=_dtype([params[i][name] for i in having])), mask=True)
        for i in having:
            column[i] = params[i][name]
        columns[name] = column
    return columns


def _dtype(values: list[Any]) -> Any:
    try:
        array = np.array(values)
    except ValueError:  # sequences of different lengths
        return object
    return array.dtype if array.ndim == 1 and array.dtype.kind not in "US" else object


def score_columns(splits: Sequence[Sequence[SplitScores]], kind: str, metrics: Iterable[str]) -> dict[str, np.ndarray]:
    """The scores by split, their mean and deviation, and the rank of the mean.

    Parameters
    ----------
    splits : sequence of sequence of SplitScores
        For each trial, its splits. A trial with none, or with fewer than the others, has scores that are not numbers.
    kind : {"test", "train"}
        Training scores are not ranked.
    metrics : iterable of str

    Returns
    -------
    dict of str to ndarray of shape (n_trials,)
        `split0_test_score`, ..., `mean_test_score`, `std_test_score` and `rank_test_score`, for each metric.
    """
    n_splits = max((len(of_trial) for of_trial in splits), default=1) or 1
    columns: dict[str, np.ndarray] = {}
    for metric in metrics:
        name = f"{kind}_{metric}"
        values = np.full((len(splits), n_splits), np.nan)
        for row, of_trial in enumerate(splits):
            for number, split in enumerate(of_trial):
                values[row, number] = _of_kind(split, kind).get(metric, np.nan)
        columns.update((f"split{number}_{name}", values[:, number]) for number in range(n_splits))
        columns.update(_mean_and_std(name, values))
        if kind == "test":
            columns[f"rank_{name}"] = ranks(columns[f"mean_{name}"])
    return columns


def _of_kind(split: SplitScores, kind: str) -> Mapping[str, float]:
    return split.test if kind == "test" else split.train or {}


def other_metrics(event: Reported) -> dict[str, float]:
    """The means over the splits of one report's scores; of several metrics only, and each as `test_...`.

    Parameters
    ----------
    event : Reported
    """
    names = [name for name in (event.splits[0].test if event.splits else ()) if name != "score"]
    return {f"test_{name}": float(np.mean([split.test.get(name, np.nan) for split in event.splits])) for name in names}


def time_columns(splits: Sequence[Sequence[SplitScores]]) -> dict[str, np.ndarray]:
    """Mean and deviation over the splits of the seconds of fitting and scoring."""
    fit = np.array([[split.fit_time for split in of_trial] for of_trial in splits], dtype=float)
    score = np.array([[split.score_time for split in of_trial] for of_trial in splits], dtype=float)
    return {**_mean_and_std("fit_time", fit), **_mean_and_std("score_time", score)}


def _mean_and_std(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    with np.errstate(invalid="ignore"):  # infinite scores have no deviation
        return {f"mean_{name}": values.mean(axis=1), f"std_{name}": values.std(axis=1)}


def ranks(means: np.ndarray) -> np.ndarray:
    """1 for the highest; ties share the lower rank, and what is not a number ties for the last."""
    known = means[~np.isnan(means)]
    worst = np.nextafter(known.min(), -np.inf) if len(known) else 0.0
    ranked: np.ndarray = rankdata(-np.where(np.isnan(means), worst, means), method="min").astype(np.int32)
    return ranked


def objects(values: Sequence[Any]) -> np.ndarray:
    """An array of objects, whatever they are."""
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):  # array[:] = values would broadcast lists of equal length
        array[i] = value
    return array
