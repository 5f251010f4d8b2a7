"""Hyperparameter search on Dask for data that does not fit in memory."""

from dhpo.errors import DhpoError, ExtraNotInstalled, SearchFailed, WorkersLost
from dhpo.search import (
    GridSearchCV,
    HyperbandSearchCV,
    IncrementalSearchCV,
    InverseDecaySearchCV,
    RandomizedSearchCV,
    Run,
    SuccessiveHalvingSearchCV,
)

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
