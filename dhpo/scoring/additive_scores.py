"""Scores that add up block by block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, mean_squared_error

from dhpo.data.rows import Rows
from dhpo.scoring.base import Tally

__all__ = ["MEANS", "MeanScorer", "R2Scorer"]


def _accuracy(model: Any, rows: Rows, classes: np.ndarray | None) -> float:
    return float(accuracy_score(rows.y, model.predict(rows.X)))


def _neg_log_loss(model: Any, rows: Rows, classes: np.ndarray | None) -> float:
    probabilities = model.predict_proba(rows.X)
    if isinstance(probabilities, list):  # of several labels, an array for each
        return -float(log_loss(rows.y, np.column_stack([of_label[:, -1] for of_label in probabilities])))
    if np.ndim(rows.y) == 2:  # of several labels, in one array
        return -float(log_loss(rows.y, probabilities))
    return -float(log_loss(rows.y, probabilities, labels=getattr(model, "classes_", classes)))


def _neg_squared(model: Any, rows: Rows, classes: np.ndarray | None) -> float:
    return -float(mean_squared_error(rows.y, model.predict(rows.X)))


def _squared_by_output(model: Any, rows: Rows, classes: np.ndarray | None) -> np.ndarray:
    errors: np.ndarray = mean_squared_error(rows.y, model.predict(rows.X), multioutput="raw_values")
    return errors


def _neg_absolute(model: Any, rows: Rows, classes: np.ndarray | None) -> float:
    return -float(mean_absolute_error(rows.y, model.predict(rows.X)))


MEANS: dict[str, Callable[[Any, Rows, np.ndarray | None], Any]] = {
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
        """A new score for `model`."""
        return _MeanTally(model, self)


class _MeanTally:
    def __init__(self, model: Any, scorer: MeanScorer) -> None:
        self._model = model
        self._scorer = scorer
        self._sum: Any = 0.0
        self._rows = 0

    def add(self, rows: Rows) -> None:
        self._sum = self._sum + len(rows) * MEANS[self._scorer.name](self._model, rows, self._scorer.classes)
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
        """A new score for `model`."""
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
