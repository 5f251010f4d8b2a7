"""Judges predictions of rows that are known, by the metrics of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import (
    mean_absolute_error,
    median_absolute_error,
    r2_score,
    roc_auc_score,
    roc_curve,
    root_mean_squared_error,
)

from dhpo.history.judgement import ClassJudgement, Judgement, NumberJudgement

__all__ = ["check_one_output", "judge", "judge_classes", "judge_numbers", "scores_of"]

_MOST_CURVES = 7
# Of each curve, and of the rows of a regressor that are drawn.
_MOST_POINTS = 1_000
_RESIDUAL_BINS = 40


def scores_of(model: Any, X: Any) -> Any:
    """The decision values or probabilities of a classifier; None of a regressor, and where they cannot be had.

    Parameters
    ----------
    model : estimator, or a search
    X : array-like of shape (n_samples, n_features)
    """
    if not is_classifier(model):
        return None
    for method in ("decision_function", "predict_proba"):
        try:
            return getattr(model, method)(X)
        except Exception:  # it has none, or none for this loss; what it predicts is judged all the same
            continue
    return None


def check_one_output(y: Any) -> None:
    """Refuse targets with several columns.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)

    Raises
    ------
    ValueError
        If there are several outputs.
    """
    shape = np.shape(y)
    if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        raise ValueError(f"y has the shape {shape}; predictions of several outputs are not judged.")


def judge(y_true: Any, y_pred: Any, y_score: Any, learned: Any) -> Judgement:
    """Judge predictions.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_rows,) or (n_rows, 1)
    y_score : array-like of shape (n_rows,) or (n_rows, n_classes), or None
        See `judge_classes`.
    learned : array-like of shape (n_classes,), or None
        The classes that the model knows; None for a regressor.

    Raises
    ------
    ValueError
        If there are several outputs, or `y_true` and `y_pred` differ in length.
    """
    for values in (y_true, y_pred):
        check_one_output(values)
    y_true, y_pred = np.asarray(y_true).reshape(-1), np.asarray(y_pred).reshape(-1)
    if len(y_true) != len(y_pred):
        raise ValueError(f"X has {len(y_pred):,} rows, and y has {len(y_true):,}.")
    if learned is None:
        return judge_numbers(y_true.astype(float), y_pred.astype(float))
    return judge_classes(y_true, y_pred, None if y_score is None else np.asarray(y_score), np.asarray(learned))


def judge_classes(
    y_true: np.ndarray, y_pred: np.ndarray, y_score: np.ndarray | None, learned: np.ndarray
) -> ClassJudgement:
    """Judge a classifier by the classes that occur.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_rows,)
        They may have classes that the model has not learned.
    y_score : ndarray of shape (n_rows,) or (n_rows, n_classes), or None
        Decision values or probabilities; of two classes those of the second. Without them there are no ROC curves.
    learned : ndarray of shape (n_classes,)
        The classes that the model knows, sorted, as in `classes_`.
    """
    classes = np.unique(np.concatenate([y_true, y_pred]))
    pairs = np.searchsorted(classes, y_true) * len(classes) + np.searchsorted(classes, y_pred)
    cells, counts = np.unique(pairs, return_counts=True)
    by_label = _scores_by_class(y_true, y_score, learned)
    positions = {label: position for position, label in enumerate(classes.tolist())}
    scores = {positions[label]: pair for label, pair in by_label.items()}
    areas = {position: float(roc_auc_score(*scores[position])) for position in sorted(scores)}
    drawn = sorted(sorted(areas, key=lambda position: areas[position])[:_MOST_CURVES])
    return ClassJudgement(
        tuple(str(label) for label in classes),
        tuple((int(c) // len(classes), int(c) % len(classes), int(n)) for c, n in zip(cells, counts, strict=True)),
        areas,
        {position: _curve(*scores[position]) for position in drawn},
    )


def _scores_by_class(
    y_true: np.ndarray, y_score: np.ndarray | None, learned: np.ndarray
) -> dict[Any, tuple[np.ndarray, np.ndarray]]:
    """By label: which rows are of it, and their scores; of two classes the second alone."""
    if y_score is None:
        return {}
    labels = learned.tolist()
    if len(labels) == 2:
        columns = {labels[1]: y_score if y_score.ndim == 1 else y_score[:, -1]}
    elif y_score.ndim == 2 and y_score.shape[1] == len(labels):
        columns = dict(zip(labels, y_score.T, strict=True))
    else:
        return {}
    pairs = {label: (y_true == label, scores) for label, scores in columns.items()}
    return {
        label: (of_class, scores)
        for label, (of_class, scores) in pairs.items()
        if of_class.any() and not of_class.all() and np.isfinite(scores).all()
    }


def _curve(of_class: np.ndarray, scores: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    false, true, _ = roc_curve(of_class, scores)
    kept = np.unique(np.linspace(0, len(false) - 1, min(len(false), _MOST_POINTS)).astype(int))
    return _rates(false[kept]), _rates(true[kept])


def _rates(values: np.ndarray) -> tuple[float, ...]:
    return tuple(values.round(5).tolist())


def judge_numbers(y_true: np.ndarray, y_pred: np.ndarray) -> NumberJudgement:
    """Judge a regressor.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_rows,)
    """
    residuals = y_true - y_pred
    metrics = {
        "R²": r2_score(y_true, y_pred),
        "root mean squared error": root_mean_squared_error(y_true, y_pred),
        "mean absolute error": mean_absolute_error(y_true, y_pred),
        "median absolute error": median_absolute_error(y_true, y_pred),
        "mean residual": residuals.mean(),
    }
    shown = np.random.default_rng(0).permutation(len(y_true))[:_MOST_POINTS]
    counts, edges = np.histogram(residuals, bins=_RESIDUAL_BINS)
    return NumberJudgement(
        len(y_true),
        {name: float(value) for name, value in metrics.items()},
        tuple(y_true[shown].tolist()),
        tuple(y_pred[shown].tolist()),
        tuple(edges.tolist()),
        tuple(counts.tolist()),
    )
