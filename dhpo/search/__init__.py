"""The scikit-learn faces of the searches."""

from dhpo.search.asha import ASHASearchCV
from dhpo.search.composed import SearchCV
from dhpo.search.fixed import GridSearchCV, RandomizedSearchCV
from dhpo.search.halving import SuccessiveHalvingSearchCV
from dhpo.search.hyperband import HyperbandSearchCV
from dhpo.search.incremental import IncrementalSearchCV
from dhpo.search.inverse_decay import InverseDecaySearchCV
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
