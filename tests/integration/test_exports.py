"""A real search in the forms of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from scipy.stats import loguniform
from sklearn.linear_model import SGDClassifier
from sklearn.svm import SVC

import dhpo

RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 5))
Y = (X[:, 0] > 0).astype(int)
LAZY = da.from_array(X, (100, 5)), da.from_array(Y, 100)


def told(study: Any) -> list[tuple[Any, ...]]:
    return [
        (t.state, t.value, t.params, t.distributions, t.intermediate_values, t.datetime_start, t.user_attrs)
        for t in study.trials
    ]


def test_a_search_is_the_same_study_from_wherever_it_is_asked_for(client: Any, tmp_path: Path) -> None:
    space = {"alpha": loguniform(1e-6, 1), "penalty": ["l1", "l2"]}
    search = dhpo.HyperbandSearchCV(SGDClassifier(), space, max_iter=3, random_state=0, verbose=0)
    run = search.start(*LAZY, classes=[0, 1], journal=tmp_path / "run")
    search = run.result()
    study = search.to_optuna()
    assert told(run.to_optuna()) == told(study)
    assert told(dhpo.load(tmp_path / "run").to_optuna()) == told(study)
    assert study.best_params == search.best_params_
    assert study.best_value == search.best_score_
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert study.trials[0].distributions == {
        "alpha": FloatDistribution(1e-6, 1.0, log=True),
        "penalty": CategoricalDistribution(["l1", "l2"]),
    }
    for trial in study.trials:
        assert trial.datetime_start <= trial.datetime_complete
        assert max(trial.intermediate_values) == trial.user_attrs["resource"]


def test_whole_fits_are_a_study(client: Any) -> None:
    search = dhpo.GridSearchCV(SVC(), {"C": [0.1, 1.0]}, cv=2, verbose=0).fit(X, Y)
    study = search.to_optuna()
    assert study.best_params == search.best_params_
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert study.trials[0].distributions == {"C": CategoricalDistribution([0.1, 1.0])}
