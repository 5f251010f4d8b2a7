"""Hyperparameter search on Dask for data that does not fit in memory."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dhpo.compose import (
        PartialFitColumnTransformer,
        PartialFitPipeline,
        make_partial_fit_column_transformer,
        make_partial_fit_pipeline,
    )
    from dhpo.errors import (
        DhpoError,
        ExtraNotInstalled,
        ImpreciseScoresWarning,
        JournalError,
        RepeatedWorkWarning,
        SearchFailed,
        WorkersLost,
    )
    from dhpo.journal import StoredSearch, load
    from dhpo.search.asha import ASHASearchCV
    from dhpo.search.fixed import GridSearchCV, RandomizedSearchCV
    from dhpo.search.halving import HyperbandSearchCV, SuccessiveHalvingSearchCV
    from dhpo.search.incremental import IncrementalSearchCV, InverseDecaySearchCV
    from dhpo.search.run import Run

__version__ = "0.1.0"

__all__ = [
    "ASHASearchCV",
    "DhpoError",
    "ExtraNotInstalled",
    "GridSearchCV",
    "HyperbandSearchCV",
    "ImpreciseScoresWarning",
    "IncrementalSearchCV",
    "InverseDecaySearchCV",
    "JournalError",
    "PartialFitColumnTransformer",
    "PartialFitPipeline",
    "RandomizedSearchCV",
    "RepeatedWorkWarning",
    "Run",
    "SearchFailed",
    "StoredSearch",
    "SuccessiveHalvingSearchCV",
    "WorkersLost",
    "load",
    "make_partial_fit_column_transformer",
    "make_partial_fit_pipeline",
]

_HOMES = {
    "dhpo.errors": {
        "DhpoError",
        "ExtraNotInstalled",
        "ImpreciseScoresWarning",
        "JournalError",
        "RepeatedWorkWarning",
        "SearchFailed",
        "WorkersLost",
    },
    "dhpo.journal": {"StoredSearch", "load"},
    "dhpo.compose": {
        "PartialFitColumnTransformer",
        "PartialFitPipeline",
        "make_partial_fit_column_transformer",
        "make_partial_fit_pipeline",
    },
}


def __getattr__(name: str) -> Any:
    # scikit-learn, pandas and distributed take a second to import; `dhpo --help` does without.
    if name not in __all__:
        raise AttributeError(f"module 'dhpo' has no attribute {name!r}")
    home = next((module for module, names in _HOMES.items() if name in names), "dhpo.search")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
