"""How trainers call the methods of an estimator."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from dhpo.data.rows import Rows

__all__ = ["call", "fit"]


def call(method: Callable[..., Any], rows: Rows, fit_params: Mapping[str, Any]) -> None:
    """Call `fit` or `partial_fit` with rows, their weights if there are some, and the arguments of the user."""
    targets = () if rows.y is None else (rows.y,)
    weight = {} if rows.sample_weight is None else {"sample_weight": rows.sample_weight}
    method(rows.X, *targets, **fit_params, **weight)


def fit(model: Any, rows: Rows, fit_params: Mapping[str, Any]) -> None:
    """Fit a model, and say nothing where it has not converged: that it is stopped early is the point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        call(model.fit, rows, fit_params)
