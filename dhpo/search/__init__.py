"""The scikit-learn faces of the searches."""

from dhpo.search.asha import ASHASearchCV
from dhpo.search.composed import SearchCV
from dhpo.search.fixed import GridSearchCV, RandomizedSearchCV
from dhpo.search.halving import HyperbandSearchCV, SuccessiveHalvingSearchCV
from dhpo.search.incremental import IncrementalSearchCV, InverseDecaySearchCV
from dhpo.search.run import Run

__all__ = [
    "ASHASearchCV",
    "GridSearchCV",
    "HyperbandSearchCV",
    "IncrementalSearchCV",
    "InverseDecaySearchCV",
    "RandomizedSearchCV",
    "Run",
    "SearchCV",
    "SuccessiveHalvingSearchCV",
]
