"""scikit-learn's scorers over blocks: exact, and X is never brought together.

A score that is a mean over rows adds up block by block. For every other scorer the outputs of the model (predictions,
probabilities, decision values) are collected over the blocks, and the scorer is called once, on a stand-in for the
model that hands them out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.metrics import (
    accuracy_score,
    check_scoring,
    get_scorer,
    get_scorer_names,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
)
from sklearn.utils import Tags, TargetTags

from dhpo.data.rows import Rows

__all__ = ["BlockScorer", "Tally", "make_block_scorer", "resolve_scoring"]

Scorer = Callable[..., float]


class Tally(Protocol):
    """The score of one model in the making."""

    def add(self, rows: Rows) -> None:
        """Take one block of validation rows into account."""

    def score(self) -> float:
        """The score over all blocks so far."""


class BlockScorer(Protocol):
    """Makes a `Tally` for a model; one for a whole search, shipped to the workers."""

    def tally(self, model: Any) -> Tally:
        """A new score for `model`."""


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
    if isinstance(name, str) and name in _MEANS:
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


def _accuracy(model: Any, rows: Rows, classes: np.ndarray | None) -> float:
    return float(accuracy_score(rows.y, model.predict(rows.X)))


def _neg_log_loss(model: Any, rows: Rows, classes: np.ndarray | None) -> float:
    labels = getattr(model, "classes_", classes)
    return -float(log_loss(rows.y, model.predict_proba(rows.X), labels=labels))


def _neg_squared(model: Any, rows: Rows, classes: np.ndarray | None) -> float:
    return -float(mean_squared_error(rows.y, model.predict(rows.X)))


def _squared_by_output(model: Any, rows: Rows, classes: np.ndarray | None) -> np.ndarray:
    errors: np.ndarray = mean_squared_error(rows.y, model.predict(rows.X), multioutput="raw_values")
    return errors


def _neg_absolute(model: Any, rows: Rows, classes: np.ndarray | None) -> float:
    return -float(mean_absolute_error(rows.y, model.predict(rows.X)))


_MEANS: dict[str, Callable[[Any, Rows, np.ndarray | None], Any]] = {
    "accuracy": _accuracy,
    "neg_log_loss": _neg_log_loss,
    "neg_mean_squared_error": _neg_squared,
    "neg_root_mean_squared_error": _squared_by_output,
    "neg_mean_absolute_error": _neg_absolute,
}


@dataclass(frozen=True)
class MeanScorer:
    """Scores that are a mean over rows."""

    name: str
    classes: np.ndarray | None

    def tally(self, model: Any) -> Tally:
        return _MeanTally(model, self)


class _MeanTally:
    def __init__(self, model: Any, scorer: MeanScorer) -> None:
        self._model = model
        self._scorer = scorer
        self._sum: Any = 0.0
        self._rows = 0

    def add(self, rows: Rows) -> None:
        self._sum = self._sum + len(rows) * _MEANS[self._scorer.name](self._model, rows, self._scorer.classes)
        self._rows += len(rows)

    def score(self) -> float:
        mean = self._sum / self._rows
        if self._scorer.name == "neg_root_mean_squared_error":
            return -float(np.mean(np.sqrt(mean)))
        return float(mean)


@dataclass(frozen=True)
class R2Scorer:
    """The coefficient of determination, averaged over outputs."""

    def tally(self, model: Any) -> Tally:
        return _R2Tally(model)


class _R2Tally:
    """Residual and total sums of squares, the latter by the parallel algorithm of Chan, Golub and LeVeque (1979)."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._rows = 0
        self._residual: Any = 0.0
        self._mean: Any = 0.0
        self._total: Any = 0.0

    def add(self, rows: Rows) -> None:
        y = np.asarray(rows.y, dtype=np.float64)
        predicted = np.asarray(self._model.predict(rows.X), dtype=np.float64).reshape(y.shape)
        if not np.isfinite(predicted).all():
            raise ValueError("the predictions are not finite")
        n, mean = len(y), y.mean(axis=0)
        self._residual = self._residual + ((y - predicted) ** 2).sum(axis=0)
        shift = mean - self._mean
        self._total = self._total + ((y - mean) ** 2).sum(axis=0) + shift**2 * (self._rows * n / (self._rows + n))
        self._mean = self._mean + shift * (n / (self._rows + n))
        self._rows += n

    def score(self) -> float:
        if self._rows < 2:
            return float("nan")
        residual, total = np.atleast_1d(self._residual), np.atleast_1d(self._total)
        # A constant target: 1 where it is met exactly, else 0, as in sklearn.metrics.r2_score.
        constant = np.where(residual == 0, 1.0, 0.0)
        scores = np.where(total == 0, constant, 1 - residual / np.where(total == 0, 1.0, total))
        return float(scores.mean())


@dataclass(frozen=True)
class OwnScorer:
    """The `score` method of an estimator that is neither accuracy nor R2.

    Parameters
    ----------
    additive : bool
        Whether the scores of blocks add up, as the inertia of KMeans does; else their mean over the rows is taken, as
        fits a mean log-likelihood.
    """

    additive: bool

    def tally(self, model: Any) -> Tally:
        return _OwnTally(model, self.additive)


class _OwnTally:
    def __init__(self, model: Any, additive: bool) -> None:
        self._model = model
        self._additive = additive
        self._sum = 0.0
        self._rows = 0

    def add(self, rows: Rows) -> None:
        score = float(self._model.score(rows.X) if rows.y is None else self._model.score(rows.X, rows.y))
        self._sum += score if self._additive else score * len(rows)
        self._rows += len(rows)

    def score(self) -> float:
        return self._sum if self._additive else self._sum / self._rows


_OUTPUTS = ("predict", "predict_proba", "decision_function", "predict_log_proba", "score_samples", "transform")


@dataclass(frozen=True)
class CollectingScorer:
    """Any scorer `(estimator, X, y) -> float` that looks at X through the outputs of the model alone."""

    scorer: Scorer

    def tally(self, model: Any) -> Tally:
        return _CollectingTally(model, self.scorer)


class _CollectingTally:
    def __init__(self, model: Any, scorer: Scorer) -> None:
        self._model = model
        self._scorer = scorer
        self._asked: list[str] | None = None
        self._outputs: dict[str, list[Any]] = {}
        self._targets: list[Any] = []
        self._n_features = 0

    def add(self, rows: Rows) -> None:
        if self._asked is None:
            self._asked = self._outputs_asked_for(rows)
            self._n_features = rows.X.shape[1]
        for name in self._asked:
            self._outputs.setdefault(name, []).append(getattr(self._model, name)(rows.X))
        if rows.y is not None:
            self._targets.append(rows.y)

    def _outputs_asked_for(self, rows: Rows) -> list[str]:
        spy = _Spy(self._model)
        try:
            self._call(spy, rows.X, rows.y)
        except Exception:
            # One block may lack what the score needs (a second class, say). What was asked of the model is known
            # anyway.
            if not spy.asked:
                raise
        if not spy.asked:
            raise TypeError(f"this scorer asks the model for none of its outputs; {_OUTPUTS_ONLY}")
        return list(dict.fromkeys(spy.asked))

    def _call(self, model: Any, X: Any, y: Any) -> float:
        return float(self._scorer(model, X) if y is None else self._scorer(model, X, y))

    def score(self) -> float:
        outputs = {name: np.concatenate(parts) for name, parts in self._outputs.items()}
        y = np.concatenate(self._targets) if self._targets else None
        n_rows = len(y) if y is not None else len(next(iter(outputs.values())))
        X = _NoRows((n_rows, self._n_features))
        return self._call(_Replay(self._model, outputs, X), X, y)


_OUTPUTS_ONLY = f"over blocks, a scorer sees X only through the outputs of the model ({', '.join(_OUTPUTS)})"


class _NoRows:
    """Has the shape of the validation rows, and nothing else: they are never brought together."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.ndim = 2

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"this scorer reads X itself; {_OUTPUTS_ONLY}")

    def __getitem__(self, item: Any) -> Any:
        raise TypeError(f"this scorer reads X itself; {_OUTPUTS_ONLY}")


class _StandIn:
    """Looks like the model (classes_, tags and all) but for its outputs."""

    def __init__(self, model: Any) -> None:
        self._dhpo_model = model

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_dhpo"):
            raise AttributeError(name)
        if name == "score":
            raise TypeError(f"this scorer calls the score method of the model, as scoring=None does; {_OUTPUTS_ONLY}")
        value = getattr(self._dhpo_model, name)
        if name not in _OUTPUTS:
            return value
        output = self._dhpo_output(name, value)
        output.__name__ = name  # scikit-learn finds out by the name which output it has got
        return output

    def __sklearn_tags__(self) -> Tags:
        model = self._dhpo_model
        if hasattr(model, "__sklearn_tags__"):
            tags: Tags = model.__sklearn_tags__()
            return tags
        # An estimator of no library; scorers ask what kind it is.
        kind = getattr(model, "_estimator_type", "classifier" if hasattr(model, "classes_") else "regressor")
        return Tags(estimator_type=kind, target_tags=TargetTags(required=False))

    def _dhpo_output(self, name: str, method: Any) -> Any:
        raise NotImplementedError


class _Spy(_StandIn):
    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.asked: list[str] = []

    def _dhpo_output(self, name: str, method: Any) -> Any:
        def output(X: Any) -> Any:
            self.asked.append(name)
            return method(X)

        return output


class _Replay(_StandIn):
    def __init__(self, model: Any, outputs: dict[str, Any], X: Any) -> None:
        super().__init__(model)
        self._dhpo_outputs = outputs
        self._dhpo_X = X

    def _dhpo_output(self, name: str, method: Any) -> Any:
        def output(X: Any) -> Any:
            if X is not self._dhpo_X:
                raise TypeError(f"this scorer changes X before it asks the model; {_OUTPUTS_ONLY}")
            return self._dhpo_outputs[name]

        return output
