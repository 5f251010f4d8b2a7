"""The best model of a search, judged on rows that the user gives."""

from __future__ import annotations

from typing import Any

import dask
from sklearn.base import is_classifier, is_regressor

from dhpo.history.judgement import Judgement
from dhpo.scoring.judgement import judge, scores_of

__all__ = ["judged_best"]


def judged_best(search: Any, X: Any, y: Any) -> Judgement | None:
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
    model = getattr(search, "best_estimator_", None)
    if model is None:
        raise ValueError(
            "report: X and y judge the best model, and this search has none: no trial was scored, or refit=False was "
            "given. Leave them out."
        )
    if not is_classifier(model) and not is_regressor(model):
        raise ValueError(
            f"report: X and y judge classifiers and regressors, and {type(model).__name__} is neither. Leave them out."
        )
    predicted, scores = search.predict(X), scores_of(search, X)
    try:
        y_pred, y_true, y_score = dask.compute(predicted, y, scores)
    except Exception:
        if scores is None:
            raise
        (y_pred, y_true), y_score = dask.compute(predicted, y), None
    try:
        return judge(y_true, y_pred, y_score, model.classes_ if is_classifier(model) else None)
    except ValueError as error:
        raise ValueError(f"report: {error}") from error
