"""Trains models by `partial_fit`, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dhpo.data.rows import Rows
from dhpo.trainers.estimator_check import check_methods_of
from dhpo.trainers.method_calls import call

__all__ = ["PartialFit"]


class PartialFit:
    """One call of `partial_fit` on one block is one unit."""

    unit = "partial_fit call"
    needs_all_rows = False
    exact = True

    def check(self, estimator: Any) -> None:
        """Raise TypeError for an estimator that cannot be trained block by block."""
        check_methods_of(
            estimator,
            "partial_fit",
            "this search trains block by block and takes estimators with partial_fit, such as SGDClassifier, "
            "SGDRegressor, MLPClassifier, MiniBatchKMeans or GaussianNB",
        )

    def advance(self, model: Any, rows: Rows, fit_params: Mapping[str, Any], before: int, after: int) -> Any:
        """Train a model on one block."""
        call(model.partial_fit, rows, fit_params)
        return model
