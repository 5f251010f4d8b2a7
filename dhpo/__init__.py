"""Hyperparameter search on Dask for data that does not fit in memory."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dhpo import plot
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
    from dhpo.history.history import Best, History
    from dhpo.observers.base import ObservedSearch, Observer
    from dhpo.observers.mlflow import MLflowObserver
    from dhpo.samplers.base import Sampler
    from dhpo.schedules.base import Schedule
    from dhpo.schedules.plan import BracketPlan, Plan, Rung
    from dhpo.search.asha import ASHASearchCV
    from dhpo.search.bohb import BOHBSearchCV
    from dhpo.search.composed import SearchCV
    from dhpo.search.fixed import GridSearchCV, RandomizedSearchCV
    from dhpo.search.halving import SuccessiveHalvingSearchCV
    from dhpo.search.hyperband import HyperbandSearchCV
    from dhpo.search.incremental import IncrementalSearchCV
    from dhpo.search.inverse_decay import InverseDecaySearchCV
    from dhpo.search.run import Run
    from dhpo.search.stored_search import StoredSearch, load
    from dhpo.space.parameter_space import Space
    from dhpo.testing.simulator import Simulation, simulate
    from dhpo.trainers.base import Trainer
    from dhpo.trial import Drop, Report, Train, Trial
    from dhpo.views.summary_stream import SummaryStream

__version__ = "0.1.0"

__all__ = [
    "ASHASearchCV",
    "BOHBSearchCV",
    "Best",
    "BracketPlan",
    "DhpoError",
    "Drop",
    "ExtraNotInstalled",
    "GridSearchCV",
    "History",
    "HyperbandSearchCV",
    "ImpreciseScoresWarning",
    "IncrementalSearchCV",
    "InverseDecaySearchCV",
    "JournalError",
    "MLflowObserver",
    "ObservedSearch",
    "Observer",
    "PartialFitColumnTransformer",
    "PartialFitPipeline",
    "Plan",
    "RandomizedSearchCV",
    "RepeatedWorkWarning",
    "Report",
    "Run",
    "Rung",
    "Sampler",
    "Schedule",
    "SearchCV",
    "SearchFailed",
    "Simulation",
    "Space",
    "StoredSearch",
    "SuccessiveHalvingSearchCV",
    "SummaryStream",
    "Train",
    "Trainer",
    "Trial",
    "WorkersLost",
    "__version__",
    "load",
    "make_partial_fit_column_transformer",
    "make_partial_fit_pipeline",
    "plot",
    "simulate",
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
    "dhpo.history.history": {"Best", "History"},
    "dhpo.observers.base": {"ObservedSearch", "Observer"},
    "dhpo.observers.mlflow": {"MLflowObserver"},
    "dhpo.samplers": {"Sampler"},
    "dhpo.schedules": {"BracketPlan", "Plan", "Rung", "Schedule"},
    "dhpo.search.asha": {"ASHASearchCV"},
    "dhpo.search.bohb": {"BOHBSearchCV"},
    "dhpo.search.composed": {"SearchCV"},
    "dhpo.search.fixed": {"GridSearchCV", "RandomizedSearchCV"},
    "dhpo.search.halving": {"SuccessiveHalvingSearchCV"},
    "dhpo.search.hyperband": {"HyperbandSearchCV"},
    "dhpo.search.incremental": {"IncrementalSearchCV"},
    "dhpo.search.inverse_decay": {"InverseDecaySearchCV"},
    "dhpo.search.run": {"Run"},
    "dhpo.search.stored_search": {"StoredSearch", "load"},
    "dhpo.space.parameter_space": {"Space"},
    "dhpo.testing": {"Simulation", "simulate"},
    "dhpo.trainers": {"Trainer"},
    "dhpo.trial": {"Drop", "Report", "Train", "Trial"},
    "dhpo.views.summary_stream": {"SummaryStream"},
    "dhpo.compose": {
        "PartialFitColumnTransformer",
        "PartialFitPipeline",
        "make_partial_fit_column_transformer",
        "make_partial_fit_pipeline",
    },
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    # scikit-learn, pandas and distributed take a second to import; `dhpo --help` does without.
    if name not in __all__:
        raise AttributeError(f"module 'dhpo' has no attribute {name!r}")
    if name == "plot":
        return import_module("dhpo.plot")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
