"""Whether an estimator is told the classes."""

from __future__ import annotations

import inspect
from typing import Any

from sklearn.base import is_classifier

from dhpo.data.wrappers import unwrap
from dhpo.trainers import Trainer

__all__ = ["has_optional_classes", "needs_classes", "takes_classes"]


def takes_classes(estimator: Any) -> bool:
    """Whether `partial_fit` has an argument `classes`."""
    return _classes_argument(estimator) is not None


def needs_classes(trainer: Trainer, estimator: Any) -> bool:
    """Whether a trainer has to know all classes, because a classifier takes those of its rows for all."""
    return bool(getattr(trainer, "needs_classes", False)) and is_classifier(unwrap(estimator))


def has_optional_classes(estimator: Any) -> bool:
    """Whether `partial_fit` can be called without `classes`."""
    argument = _classes_argument(estimator)
    return argument is not None and argument.default is not inspect.Parameter.empty


def _classes_argument(estimator: Any) -> inspect.Parameter | None:
    try:
        return inspect.signature(unwrap(estimator).partial_fit).parameters.get("classes")
    except (AttributeError, TypeError, ValueError):  # none, or compiled and without a signature
        return None
