"""From what the user calls `scoring` to a scorer, and to the way to score over blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names

from dhpo.scoring.base import BlockScorer, Scorer
from dhpo.scoring.collecting import CollectingScorer
from dhpo.scoring.sums import MEANS, MeanScorer, OwnScorer, R2Scorer

__all__ = ["make_block_scorer", "resolve_scoring"]


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
            f"scoring={scoring!r} is not a scorer; allowed are None, a callable (estimator, X, y) -> float, or one of: "
            f"{', '.join(get_scorer_names())}."
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
    name = _default_score(estimator) if scoring is None else scoring
    if isinstance(name, str) and name in MEANS:
        return MeanScorer(name, None if name != "neg_log_loss" or classes is None else np.asarray(classes))
    if name == "r2":
        return R2Scorer()
    if name is None:
        return OwnScorer(additive=isinstance(estimator, KMeans | MiniBatchKMeans | BisectingKMeans))
    return CollectingScorer(resolve_scoring(estimator, scoring))


def _default_score(estimator: Any) -> str | None:
    """What the `score` method of the estimator computes, where it is one of scikit-learn's own."""
    method = getattr(type(estimator), "score", None)
    if method is ClassifierMixin.score:
        return "accuracy"
    if method is RegressorMixin.score:
        return "r2"
    return None
