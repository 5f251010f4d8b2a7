"""What can be checked before any work is submitted."""

from __future__ import annotations

import inspect
import numbers
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

import dask
import sklearn
from dask.base import is_dask_collection
from dask.delayed import Delayed
from dask.utils import parse_timedelta
from sklearn.exceptions import DataConversionWarning, UnsetMetadataPassedError
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils.metadata_routing import get_routing_for_object

from dhpo.cluster.limits import Limits
from dhpo.data.blocks import check_lengths
from dhpo.data.collections import as_chunks_together, is_delayed
from dhpo.data.graphs import is_future
from dhpo.data.holdout import default_test_size, one_block
from dhpo.wording import counted, did_you_mean

__all__ = [
    "check_fit_params",
    "checked_folds",
    "checked_limits",
    "checked_test_size",
    "checked_validation",
    "refuse_lazy_estimator",
    "refuse_searched_resource",
    "routed_weight",
    "warn_of_column",
]

# Without any worker; `dhpo.workers-timeout` in the configuration of Dask says otherwise.
_WORKERS_TIMEOUT = "60s"
_ARGUMENTS_OF_FIT = ("classes", "journal", "sample_weight", "validation_data")


def refuse_lazy_estimator(estimator: Any) -> None:
    """Raise TypeError for a future or delayed object where an estimator is wanted."""
    if is_future(estimator) or isinstance(estimator, Delayed):
        given, way = ("Future", "result") if is_future(estimator) else ("Delayed object", "compute")
        raise TypeError(f"estimator is a {given}: give the estimator itself, its {way}(). The workers get it anyway.")


def refuse_searched_resource(resource: Any, names: Collection[str]) -> None:
    """Raise ValueError if a parameter is the resource, which the schedule gives, and searched."""
    if resource in names:
        raise ValueError(
            f"resource={resource!r} is searched, too: leave it out of the parameters, because the search says which "
            "value each trial gets."
        )


def check_fit_params(estimator: Any, fit_params: Mapping[str, Any], method: str = "partial_fit") -> None:
    """Raise TypeError for arguments that the method that trains the estimator does not take."""
    for name, value in fit_params.items():
        if is_dask_collection(value):
            raise TypeError(
                f"{name} is a dask collection; of the arguments of {method}, sample_weight alone is cut into "
                f"blocks. Pass {name} as a value in memory."
            )
    try:
        taken = inspect.signature(getattr(estimator, method)).parameters
    except (AttributeError, TypeError, ValueError):  # another method trains it, or it is compiled
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        return
    for name in fit_params.keys() - taken.keys():
        raise TypeError(
            f"fit got {name}=, which {method} of {type(estimator).__name__} does not take."
            f"{did_you_mean(name, [*_ARGUMENTS_OF_FIT, *taken])} Groups and other arguments of splitters and scorers "
            "are for candidates that are fitted whole."
        )


def routed_weight(estimator: Any, sample_weight: Any) -> Any:
    """Return the sample weights as `partial_fit` of the estimator asks for them by scikit-learn's metadata routing."""
    if sample_weight is None or not sklearn.get_config()["enable_metadata_routing"]:
        return sample_weight
    request = get_routing_for_object(estimator)
    asked = getattr(getattr(request, "partial_fit", None), "requests", {}).get("sample_weight", True)
    if asked is None:
        raise UnsetMetadataPassedError(
            message=f"sample_weight is given, and {type(estimator).__name__} does not say whether it asks for it: call "
            "set_partial_fit_request(sample_weight=True), or False, on it.",
            unrequested_params={"sample_weight": sample_weight},
            routed_params={},
        )
    return sample_weight if asked is True else None


def checked_folds(cv: Any, test_size: Any, validation_data: Any) -> int:
    """Return the number of folds over the rows of every block, 0 for a hold-out, or raise ValueError."""
    if cv is None:
        return 0
    n_folds = cv.n_splits if type(cv) in (KFold, StratifiedKFold) else cv
    if isinstance(n_folds, bool) or not isinstance(n_folds, numbers.Integral) or n_folds < 2:
        raise ValueError(
            f"cv={cv!r} is not allowed over blocks: give the number of folds, 2 or more, a KFold or StratifiedKFold "
            "with that number, or None to hold out test_size of the rows."
        )
    for name, value in (("test_size", test_size), ("validation_data", validation_data)):
        if value is not None:
            raise ValueError(f"cv={cv!r} and {name}: give one of them, because each says which rows to score on.")
    return int(n_folds)


def checked_limits(search: Any) -> Limits:
    """Return what ends trials or the search early, or raise ValueError."""
    for name in ("trial_timeout", "time_budget"):
        value = getattr(search, name)
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if value is not None and not (is_number and float(value) > 0):
            raise ValueError(f"{name}={value!r} is not allowed: give seconds above 0, or None.")
    allowed = search.max_failures
    is_count = isinstance(allowed, numbers.Integral) and not isinstance(allowed, bool)
    if allowed is not None and not (is_count and int(allowed) >= 0):
        raise ValueError(f"max_failures={allowed!r} is not allowed: give a number of trials from 0 on, or None.")
    timeout = dask.config.get("dhpo.workers-timeout", _WORKERS_TIMEOUT)
    return Limits(search.trial_timeout, search.time_budget, search.max_failures, parse_timedelta(timeout))


def checked_test_size(test_size: Any) -> float | Callable[[int, int], float]:
    """Return the share of rows held out, or what maps the numbers of blocks and rows to it, or raise ValueError."""
    if test_size is None:
        return default_test_size
    if isinstance(test_size, str) and test_size == "block":
        return one_block
    if isinstance(test_size, bool) or not isinstance(test_size, numbers.Real) or not 0 < float(test_size) < 1:
        raise ValueError(
            f"test_size={test_size!r} is not allowed: give a share of the rows between 0 and 1, 'block' for about the "
            "rows of one block, or None."
        )
    return float(test_size)


def checked_validation(validation_data: Any, with_y: bool, n_columns: int | None, text: bool = False) -> Any:
    """Return the chunks of the user's X and y to score on, None for None, or raise ValueError."""
    if validation_data is None:
        return None
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        raise ValueError(f"validation_data must be a pair (X, y); given was a {type(validation_data).__name__}.")
    X, y = as_chunks_together(text, X=validation_data[0], y=validation_data[1])
    if X is None or (y is None) == with_y:
        raise ValueError("validation_data must be a pair (X, y) with a y if, and only if, fit is given one.")
    check_lengths(X, y)
    if n_columns is not None and X.n_columns not in (None, n_columns):
        raise ValueError(f"validation_data has {counted(int(X.n_columns or 0), 'column')} where X has {n_columns}.")
    return X, y


def warn_of_column(y: Any) -> None:
    """Warn of an array of targets with one column, which is taken as one-dimensional."""
    if not is_delayed(y) and getattr(y, "ndim", 1) == 2 and y.shape[1] == 1 and not hasattr(y, "columns"):
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to (n_samples,), "
            "for example using ravel().",
            DataConversionWarning,
            stacklevel=2,
        )
