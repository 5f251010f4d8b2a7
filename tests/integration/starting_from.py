"""Searches that may start from others, and what tests ask of them."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
from scipy.stats import loguniform, randint
from sklearn.linear_model import LogisticRegression, SGDClassifier

from dhpo import RandomizedSearchCV, SuccessiveHalvingSearchCV
from dhpo.history.events import StartedFrom, StepDone

RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 5))
Y = (X[:, 0] + RNG.standard_normal(600) > 0).astype(int)
LAZY = da.from_array(X, (100, 5)), da.from_array(Y, 100)
SPACE = {"alpha": loguniform(1e-5, 1), "penalty": ["l1", "l2"]}
CLASSES = {"classes": [0, 1]}
# Calls are counted: none ahead of what is decided.
SEED: dict[str, Any] = {"random_state": 0, "speculate": False}


def halving(**params: Any) -> SuccessiveHalvingSearchCV:
    given = {"estimator": SGDClassifier(), "parameters": SPACE, "n_initial_parameters": 9, "n_initial_iter": 1}
    return SuccessiveHalvingSearchCV(**{**given, **SEED, **params})


def whole(**params: Any) -> RandomizedSearchCV:
    given = {"n_iter": 6, "cv": 3, "random_state": 0, **params}
    return RandomizedSearchCV(LogisticRegression(), {"C": loguniform(1e-3, 10), "max_iter": randint(100, 900)}, **given)


def answer(search: Any) -> str:
    reports = sorted((str(r["model_id"]), r["partial_fit_calls"], r["score"]) for r in search.history_)
    return repr((reports, search.best_params_, search.best_index_, search.best_estimator_.coef_.tolist()))


def calls_made(search: Any) -> int:
    return sum(event.stats.calls for event in search._history.events if isinstance(event, StepDone))


def fits_made(search: Any) -> int:
    return sum(event.stats.calls for event in search._history.events if isinstance(event, StepDone))


def scores_of(search: Any) -> Any:
    return np.asarray(search.cv_results_["mean_test_score"]).tolist()


def decision(search: Any) -> StartedFrom:
    (decided,) = [event for event in search._history.events if isinstance(event, StartedFrom)]
    return decided


def params_of(search: Any) -> list[dict[str, Any]]:
    return list(search.cv_results_["params"])
