"""From what the user calls `scoring` to a scorer, and to the way to score over blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names

from dhpo.data.wrappers import unwrap
from dhpo.scoring.additive_scores import MEANS, MeanScorer, R2Scorer
from dhpo.scoring.base import BlockScorer, Scorer
from dhpo.scoring.collected_outputs import CollectingScorer
from dhpo.scoring.estimator_score import AdditiveScorer, OwnScorer
from dhpo.wording import did_you_mean

__all__ = ["Metrics", "deciding_scoring", "make_block_scorer", "resolve_metrics", "resolve_scoring"]


@dataclass(frozen=True)
class Metrics:
    """How models are scored.

    Parameters
    ----------
    scoring : dict of str to (str, callable or None)
        By the name of the metric; the only one is called "score".
    deciding : str
        The metric that decides which trials go on, and which is the best.
    """

    scoring: dict[str, Any]
    deciding: str

    @property
    def several(self) -> bool:
        """Whether several metrics were asked for."""
        return list(self.scoring) != ["score"]


def resolve_metrics(estimator: Any, scoring: Any, refit: Any) -> Metrics:
    """Check what the user asks for.

    Parameters
    ----------
    estimator : estimator
    scoring : None, str, callable, list, tuple, set or dict
        One metric, the names of several, or names with scorers.
    refit : bool or str
        The name of the metric that decides, where there are several.

    Raises
    ------
    ValueError, TypeError
        Naming the parameter, what was given and what is allowed.
    """
    if not isinstance(refit, bool | str):
        raise TypeError(
            f"refit={refit!r} is not supported over blocks: trials are compared while they train. Allowed are True, "
            "False, or with several metrics the name of the one that decides."
        )
    if scoring is None or isinstance(scoring, str) or callable(scoring):
        resolve_scoring(estimator, scoring)
        if isinstance(refit, str) and refit != "score":
            raise ValueError(f"refit={refit!r} is not allowed with a single metric; allowed are True and False.")
        return Metrics({"score": scoring}, "score")
    if isinstance(scoring, list | tuple | set):
        names = sorted(scoring, key=str) if isinstance(scoring, set) else list(scoring)
        if len(set(map(str, names))) != len(names):
            raise ValueError(f"scoring={scoring!r} names a metric more than once.")
        scoring = {str(name): name for name in names}
    if not isinstance(scoring, Mapping) or not scoring:
        raise TypeError(
            f"scoring={scoring!r} is not supported; allowed are None, the name of a scorer, a callable "
            "(estimator, X, y) -> float, a list of names, or a dict of names to scorers."
        )
    for name, value in scoring.items():
        if value is None or not isinstance(name, str):
            raise ValueError(f"scoring={scoring!r}: {name!r} is {value!r}; give a name of a scorer or a callable.")
        resolve_scoring(estimator, value)
    if not isinstance(refit, str) or refit not in scoring:
        raise ValueError(
            f"refit={refit!r} is not allowed with several metrics: name the one that decides, one of "
            f"{', '.join(map(repr, scoring))}.{did_you_mean(refit, scoring)}"
        )
    return Metrics(dict(scoring), refit)


def resolve_scoring(estimator: Any, scoring: Any) -> Scorer:
    """The scorer that scikit-learn would use, or an error that names `scoring` and what is allowed.

    Parameters
    ----------
    estimator : estimator
    scoring : str, callable or None
        A name from `sklearn.metrics.get_scorer_names()`, a callable `(estimator, X, y) -> float`, or None for the
        `score` method of the estimator.

    Raises
    ------
    ValueError, TypeError
    """
    if isinstance(scoring, str) and scoring not in get_scorer_names():
        raise ValueError(
            f"scoring={scoring!r} is not the name of a scorer.{did_you_mean(scoring, get_scorer_names())} Allowed are "
            f"None, a callable (estimator, X, y) -> float, or one of: {', '.join(get_scorer_names())}."
        )
    if scoring is None and not hasattr(estimator, "score"):
        raise TypeError(
            f"scoring=None needs an estimator with a `score` method, which {type(estimator).__name__} does "
            f"not have; pass "
            "the name of a scorer or a callable (estimator, X, y) -> float."
        )
    if callable(scoring):
        custom: Scorer = scoring
        return custom
    if not (scoring is None or isinstance(scoring, str)):
        raise TypeError(
            f"scoring={scoring!r} of type {type(scoring).__name__} is not supported; allowed are None, the "
            "name of a scorer, or a callable (estimator, X, y) -> float."
        )
    if scoring is None and not hasattr(estimator, "fit"):
        return _own_score  # check_scoring() refuses an estimator that can only partial_fit
    scorer: Scorer = get_scorer(scoring) if isinstance(scoring, str) else check_scoring(estimator, scoring=scoring)
    return scorer


def _own_score(estimator: Any, X: Any, y: Any = None) -> float:
    return float(estimator.score(X) if y is None else estimator.score(X, y))


def make_block_scorer(estimator: Any, scoring: Any, classes: Sequence[Any] | np.ndarray | None = None) -> BlockScorer:
    """The way to score models of this kind over blocks.

    Parameters
    ----------
    estimator : estimator
    scoring : str, callable or None
        As for `resolve_scoring`.
    classes : array-like, optional
        All class labels, for the log loss of a block that lacks some.
    """
    if scoring is None:
        scored, scoring = _scored_by(estimator)
        if scoring is not None:
            return make_block_scorer(scored, scoring, classes)
        name = _default_score(scored)
        if name is None:
            additive = isinstance(scored, KMeans | MiniBatchKMeans | BisectingKMeans)
            return AdditiveScorer() if additive else OwnScorer()
    else:
        name = scoring
    if isinstance(name, str) and name in MEANS:
        return MeanScorer(name, None if name != "neg_log_loss" or classes is None else np.asarray(classes))
    if name == "r2":
        return R2Scorer()
    return CollectingScorer(resolve_scoring(estimator, scoring))


def deciding_scoring(scoring: Any, refit: Any) -> Any:
    """Of several metrics the one that `refit` names; else the scoring itself."""
    if isinstance(scoring, Mapping):
        return scoring[refit]
    return refit if isinstance(scoring, list | tuple | set) else scoring


def _scored_by(estimator: Any) -> tuple[Any, Any]:
    """Whose `score` method that of an estimator calls in the end, and the scoring of a search on the way."""
    estimator = unwrap(estimator)
    if isinstance(getattr(estimator, "steps", None), list) and estimator.steps:
        return _scored_by(estimator.steps[-1][1])
    params = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    if {"estimator", "scoring", "refit"} <= params.keys():  # a search
        scoring = deciding_scoring(params["scoring"], params["refit"])
        return _scored_by(params["estimator"]) if scoring is None else (params["estimator"], scoring)
    return estimator, None


def _default_score(estimator: Any) -> str | None:
    """What the `score` method of the estimator computes, where it is one of scikit-learn's own."""
    method = getattr(type(estimator), "score", None)
    if method is ClassifierMixin.score:
        return "accuracy"
    if method is RegressorMixin.score:
        return "r2"
    return None
