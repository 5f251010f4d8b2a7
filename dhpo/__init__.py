"""Hyperparameter search on Dask for data that does not fit in memory."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dhpo.errors import DhpoError, ExtraNotInstalled, SearchFailed, WorkersLost
    from dhpo.search.fixed import GridSearchCV, RandomizedSearchCV
    from dhpo.search.halving import HyperbandSearchCV, SuccessiveHalvingSearchCV
    from dhpo.search.incremental import IncrementalSearchCV, InverseDecaySearchCV
    from dhpo.search.run import Run

__all__ = [
    "DhpoError",
    "ExtraNotInstalled",
    "GridSearchCV",
    "HyperbandSearchCV",
    "IncrementalSearchCV",
    "InverseDecaySearchCV",
    "RandomizedSearchCV",
    "Run",
    "SearchFailed",
    "SuccessiveHalvingSearchCV",
    "WorkersLost",
]

_ERRORS = {"DhpoError", "ExtraNotInstalled", "SearchFailed", "WorkersLost"}


def __getattr__(name: str) -> Any:
    # scikit-learn, pandas and distributed take a second to import; `dhpo --help` does without.
    if name not in __all__:
        raise AttributeError(f"module 'dhpo' has no attribute {name!r}")
    return getattr(import_module("dhpo.errors" if name in _ERRORS else "dhpo.search"), name)


def __dir__() -> list[str]:
    return __all__
