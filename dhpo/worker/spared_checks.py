"""Spares scikit-learn's estimators the checks that they repeat at each call, of what was checked before."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

from sklearn import config_context

from dhpo.data.wrappers import unwrap

__all__ = ["spared_checks"]

_PASSES_ON = "__dhpo_passes_rows_on__"


def spared_checks(estimator: Any, calls: int, finite: Callable[[], bool]) -> AbstractContextManager[None]:
    """What a model is trained in.

    An estimator of scikit-learn's own checks its parameters and looks through all rows for missing and infinite values,
    at each call. The parameters stay what they were at its first call, and the rows of a block are looked through once,
    for all models. Other estimators may make infinite values of finite ones before they hand them to scikit-learn, so
    they are spared nothing, unless their class says by an attribute ``__dhpo_passes_rows_on__ = True`` that it hands
    its rows to scikit-learn's `partial_fit` as they are. Scores are spared nothing.

    Parameters
    ----------
    estimator : estimator
    calls : int
        That the model has seen.
    finite : callable
        Says whether all values of its rows are known to be finite; asked only where it matters.
    """
    if not calls or not _is_of_scikit_learn(unwrap(estimator)):
        return nullcontext()
    spared: AbstractContextManager[None] = config_context(
        skip_parameter_validation=True, assume_finite=True if finite() else None
    )
    return spared


def _is_of_scikit_learn(estimator: object) -> bool:
    """Whether scikit-learn's own method gets the rows first, and does not hand them to somebody else's."""
    kind: Any = type(estimator)
    names = _own_parameters(kind)
    return names is not None and not any(hasattr(getattr(estimator, name, None), "fit") for name in names)


@lru_cache(maxsize=64)
def _own_parameters(kind: type) -> tuple[str, ...] | None:
    """The names of the parameters of an estimator that trains with scikit-learn's own `partial_fit`; None of others."""
    # What a class says of itself says nothing of those that are derived from it.
    passes_on = kind.__module__.startswith("sklearn.") or vars(kind).get(_PASSES_ON, False)
    return tuple(inspect.signature(kind).parameters) if passes_on else None
