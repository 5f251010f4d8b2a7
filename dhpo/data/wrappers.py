"""Estimators in dask-ml's wrappers: Incremental and ParallelPostFit do what a search does anyway."""

from __future__ import annotations

from typing import Any

__all__ = ["unwrap", "wrapped_scoring"]

_WRAPPERS = {"Incremental", "ParallelPostFit"}


def unwrap(estimator: Any) -> Any:
    """Take an estimator out of dask-ml's wrappers; any other is returned as it is."""
    while _is_wrapper(estimator):
        estimator = estimator.estimator
    return estimator


def wrapped_scoring(estimator: Any) -> Any:
    """The `scoring` of the outermost wrapper that has one; None without a wrapper."""
    while _is_wrapper(estimator):
        if estimator.scoring is not None:
            return estimator.scoring
        estimator = estimator.estimator
    return None


def _is_wrapper(estimator: Any) -> bool:
    # By name, so that dask-ml need not be imported, or even installed.
    return any(c.__module__ == "dask_ml.wrappers" and c.__name__ in _WRAPPERS for c in type(estimator).__mro__)
