"""What a search by whole fits is, besides its cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import indexable

from dhpo.cluster.limits import Limits
from dhpo.journal.carry_over import Earlier
from dhpo.space.parameter_range import ParameterRange
from dhpo.trial import Params
from dhpo.whole_fits.candidates import Candidates
from dhpo.whole_fits.row_selection import is_per_row, n_samples
from dhpo.whole_fits.whole_scoring import WholeScoring

__all__ = ["CandidateSplit", "FitContext", "FitData", "FitJob", "LazyInput", "Routed", "make_fit_data"]


@dataclass(frozen=True)
class Routed:
    """Which arguments of the search's `fit` go where.

    Parameters
    ----------
    fit, score, split : dict
        To `fit` of the estimator, to the scorers, and to `split` of the cross-validation.
    """

    fit: dict[str, Any]
    score: dict[str, Any]
    split: dict[str, Any]


@dataclass(frozen=True)
class FitData:
    """The data and its splits; what every worker holds once.

    Parameters
    ----------
    X, y : array-like, or None for y
    splits : list of (ndarray of int, ndarray of int)
        Training and test rows of each split.
    fit_params, score_params : dict
    """

    X: Any
    y: Any
    splits: list[tuple[np.ndarray, np.ndarray]]
    fit_params: dict[str, Any]
    score_params: dict[str, Any]


@dataclass(frozen=True)
class FitContext:
    """What a worker has to know.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    data : FitData
    scoring : WholeScoring
    error_score : float or "raise"
    return_train_score : bool
    config : dict
        The configuration of scikit-learn where the search was started.
    """

    estimator: Any
    data: FitData
    scoring: WholeScoring
    error_score: Any
    return_train_score: bool
    config: Mapping[str, Any]


@dataclass(frozen=True)
class CandidateSplit:
    """One candidate on one split.

    Parameters
    ----------
    candidate, split : int
    params : mapping
    """

    candidate: int
    split: int
    params: Params


@dataclass(frozen=True)
class LazyInput:
    """X, y and more arguments of `fit`, some of them dask collections."""

    X: Any
    y: Any
    params: dict[str, Any]


@dataclass(frozen=True)
class FitJob:
    """All that a search by whole fits is, besides its cluster.

    Parameters
    ----------
    estimator : estimator
    candidates : Candidates
    make_data : callable
        Makes `FitData` of X, y and more arguments in memory.
    data : FitData or None
        None where it has yet to be collected from `lazy`.
    lazy : LazyInput or None
        Dask collections.
    scoring : WholeScoring
    refit : bool, str or callable
    error_score : float
        The score of a fit or a scorer that fails.
    raises : bool
        Whether the search ends instead at the first of them.
    return_train_score : bool
    config : dict
        scikit-learn's configuration in the thread of the user.
    limits : Limits
    title : str
    ranges : mapping of str to ParameterRange
        See `dhpo.history.events.Planned`.
    earlier : Earlier, optional
        The searches that this one starts from.
    """

    estimator: Any
    candidates: Candidates
    make_data: Callable[..., FitData]
    data: FitData | None
    lazy: LazyInput | None
    scoring: WholeScoring
    refit: Any
    error_score: float
    raises: bool
    return_train_score: bool
    config: dict[str, Any]
    limits: Limits = field(default_factory=Limits)
    title: str = ""
    ranges: Mapping[str, ParameterRange] = field(default_factory=dict)
    earlier: Earlier | None = None


def make_fit_data(estimator: Any, X: Any, y: Any, cv: Any, routed: Routed) -> FitData:
    """Check X, y and the arguments that go with their rows, and split them.

    Parameters
    ----------
    estimator : estimator
    X, y : array-like in memory, or None for y
    cv : int, splitter, iterable of (train, test) or None
        As in scikit-learn.
    routed : Routed

    Raises
    ------
    ValueError, TypeError
        If the numbers of rows differ, or there is no split.
    """
    X, y = indexable(X, y)
    fit_params, score_params, split_params = (
        {name: indexable(v)[0] if is_per_row(v, n_samples(X)) else v for name, v in params.items()}
        for params in (routed.fit, routed.score, routed.split)
    )
    splitter = check_cv(cv, y, classifier=is_classifier(estimator))
    n_splits = splitter.get_n_splits(X, y, **split_params)
    splits = [(_positions(train), _positions(test)) for train, test in splitter.split(X, y, **split_params)]
    if len(splits) != n_splits:
        raise ValueError(
            f"cv.split and cv.get_n_splits return inconsistent results. Expected {n_splits} splits, got {len(splits)}"
        )
    if not splits:
        raise ValueError("No fits were performed. Was the CV iterator empty? Were there no candidates?")
    return FitData(X, y, splits, fit_params, score_params)


def _positions(where: Sequence[int] | np.ndarray) -> np.ndarray:
    array = np.asarray(where)
    return np.flatnonzero(array) if array.dtype.kind == "b" else array
