"""The best model of a search, judged on rows that the user gives."""

from __future__ import annotations

from typing import Any

import dask
import numpy as np
from sklearn.base import is_classifier, is_regressor

from dhpo.report.predictions import Judged, judge_classes, judge_numbers

__all__ = ["judged_best"]


def judged_best(search: Any, X: Any, y: Any) -> Judged | None:
    """How the best model does on some rows; None where none are given.

    Parameters
    ----------
    search : fitted search
    X : array-like, sparse matrix, dask array or dask dataframe of shape (n_samples, n_features), or None
    y : array-like, dask array or series of shape (n_samples,), or None

    Raises
    ------
    ValueError
        If one is given without the other, they differ in length, or the model predicts neither classes nor numbers.
    """
    if X is None and y is None:
        return None
    if X is None or y is None:
        raise ValueError(
            "report: give both X and y, or neither: the best model is judged by what is known of the rows."
        )
    model = search.best_estimator_
    if not is_classifier(model) and not is_regressor(model):
        raise ValueError(
            f"report: X and y judge classifiers and regressors, and {type(model).__name__} is neither. Leave them out."
        )
    scores = _scores(search, X) if is_classifier(model) else None
    predicted, scores, known = dask.compute(search.predict(X), scores, y)
    y_pred, y_true = np.asarray(predicted), np.asarray(known)
    if y_true.ndim == 2 and y_true.shape[1] == 1:
        y_true = y_true[:, 0]
    if y_true.ndim != 1:
        raise ValueError(f"report: y has the shape {y_true.shape}; predictions of several outputs are not judged.")
    if len(y_true) != len(y_pred):
        raise ValueError(f"report: X has {len(y_pred):,} rows, and y has {len(y_true):,}.")
    if not is_classifier(model):
        return judge_numbers(y_true.astype(float), y_pred.reshape(-1).astype(float))
    learned = np.asarray(model.classes_)
    classes = np.unique(np.concatenate([learned, np.unique(y_true)]))
    # A class that was never learned has no score.
    has_scores = scores is not None and len(classes) == len(learned)
    return judge_classes(y_true, y_pred, np.asarray(scores) if has_scores else None, classes)


def _scores(search: Any, X: Any) -> Any:
    for method in ("decision_function", "predict_proba"):
        if hasattr(search, method):
            return getattr(search, method)(X)
    return None
