"""Searches whose resource is a parameter of the estimator, or rows: all of a model's rows at once."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client
from lightgbm import LGBMClassifier
from scipy.stats import loguniform, randint, uniform
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC
from xgboost import XGBClassifier

import dhpo
from dhpo import (
    ASHASearchCV,
    BOHBSearchCV,
    GridSearchCV,
    HyperbandSearchCV,
    IncrementalSearchCV,
    InverseDecaySearchCV,
    RandomizedSearchCV,
    SearchCV,
    SuccessiveHalvingSearchCV,
)
from dhpo.data.rows import Rows
from dhpo.history.events import Reported, StepDone
from dhpo.schedules import SuccessiveHalving
from dhpo.space.seeds import entropy_of, seed_for
from dhpo.trainers import ParameterTrainer, RoundsOnBlocks, RowSamples
from dhpo.worker.model_making import new_model
from tests.conftest import threads_of_this_process, two_workers

RNG = np.random.default_rng(0)
X = RNG.standard_normal((240, 5))
Y = (X[:, 0] * X[:, 1] + 0.5 * RNG.standard_normal(240) > 0).astype(int)
HELD_OUT = RNG.standard_normal((100, 5)), RNG.integers(0, 2, 100)
LAZY = da.from_array(X, (50, 5)), da.from_array(Y, 50)
TREES = {"max_features": uniform(0.2, 0.8), "min_samples_leaf": [1, 3, 9]}
BOOSTING = {"learning_rate": loguniform(0.01, 1), "max_depth": randint(1, 5)}
QUIET: dict[str, Any] = {"random_state": 0, "verbose": 0}


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[Client]:
    with threads_of_this_process(2) as cluster, cluster.get_client() as client:
        yield client


def hyperband(estimator: Any, space: Any, resource: Any, **params: Any) -> HyperbandSearchCV:
    return HyperbandSearchCV(estimator, space, max_resource=9, resource=resource, **{**QUIET, **params})


def scored(search: Any) -> dict[tuple[int, int], float]:
    """The score of each trial at each resource."""
    reports = [event.report for event in search._history.events if isinstance(event, Reported)]
    return {(report.trial, report.resource): report.score for report in reports}


def fresh(search: Any, estimator: Any, number: int) -> Any:
    """The model of a trial, not fitted."""
    params = next(trial.params for trial in search._history.trials if trial.number == number)
    return new_model(estimator, params, entropy_of(0), number)


@pytest.mark.parametrize(
    ("estimator", "space", "resource"),
    [
        (ExtraTreesClassifier(), TREES, "n_estimators"),
        (GradientBoostingClassifier(subsample=0.7), BOOSTING, "n_estimators"),
        (SGDClassifier(tol=None), {"alpha": loguniform(1e-5, 1)}, "max_iter"),
        (XGBClassifier(n_jobs=1), BOOSTING, "n_estimators"),
        (LGBMClassifier(n_jobs=1, verbose=-1), BOOSTING, "n_estimators"),
    ],
)
def test_each_score_is_that_of_one_fit(estimator: Any, space: Any, resource: str) -> None:
    search = hyperband(estimator, space, resource).fit(X, Y, validation_data=HELD_OUT)
    found = scored(search)
    assert {resource for _, resource in found} == {1, 3, 9}
    for (trial, units), score in found.items():
        model = fresh(search, estimator, trial).set_params(**{resource: units}).fit(X, Y)
        assert score == model.score(*HELD_OUT)
    best = search.best_estimator_
    assert best.get_params()[resource] == search.n_iter_
    np.testing.assert_array_equal(best.predict(X), clone(best).fit(X, Y).predict(X))


def test_no_unit_is_trained_twice() -> None:
    search = SuccessiveHalvingSearchCV(
        ExtraTreesClassifier(), TREES, 9, 1, resource="n_estimators", max_resource=9, **QUIET
    ).fit(X, Y)
    steps = [event.stats for event in search._history.events if isinstance(event, StepDone)]
    assert sum(stats.calls for stats in steps) == search.plan().partial_fit_calls == 9 * 1 + 3 * 2 + 1 * 6


@pytest.mark.parametrize("resource", ["n_estimators", "n_samples"])
def test_chunks_make_no_difference(resource: str) -> None:
    estimator = ExtraTreesClassifier(5)
    frame = pd.DataFrame(X, columns=list("abcde")).assign(y=Y)
    unknown = dd.from_pandas(frame, npartitions=3)
    found = [
        scored(hyperband(estimator, TREES, resource).fit(*data))
        for data in ((X, Y), LAZY, (LAZY[0], Y), (unknown[list("abcde")].to_dask_array(), unknown["y"].to_dask_array()))
    ]
    assert found[0] == found[1] == found[2] == found[3]


def test_a_part_of_the_rows() -> None:
    search = hyperband(SVC(), {"C": loguniform(0.01, 100)}, "n_samples").fit(X, Y, validation_data=HELD_OUT)
    rows = Rows(X, Y)
    part = RowSamples(9, seed_for(entropy_of(0), 0, "rows"))
    for (trial, units), score in scored(search).items():
        model = part.advance(fresh(search, SVC(), trial), rows, {}, 0, units)
        assert model.shape_fit_[0] == math.ceil(240 * units / 9)
        assert score == model.score(*HELD_OUT)


def test_folds_and_the_best_on_all_rows() -> None:
    search = hyperband(ExtraTreesClassifier(), TREES, "n_estimators", cv=3).fit(*LAZY)
    assert search.n_splits_ == 3
    best = search.best_estimator_
    np.testing.assert_array_equal(best.predict_proba(X), clone(best).fit(X, Y).predict_proba(X))
    assert best.n_estimators == search.n_iter_


@pytest.mark.parametrize(
    "make",
    [
        lambda **given: RandomizedSearchCV(ExtraTreesClassifier(), TREES, n_iter=3, **given),
        lambda **given: GridSearchCV(
            ExtraTreesClassifier(), {"max_depth": [1, 3]}, **{k: v for k, v in given.items() if k != "random_state"}
        ),
        lambda **given: IncrementalSearchCV(ExtraTreesClassifier(), TREES, 3, **given),
        lambda **given: InverseDecaySearchCV(ExtraTreesClassifier(), TREES, 3, **given),
        lambda **given: ASHASearchCV(ExtraTreesClassifier(), TREES, 9, **given),
        lambda **given: BOHBSearchCV(ExtraTreesClassifier(), TREES, **given),
        lambda max_resource, **given: SearchCV(
            ExtraTreesClassifier(), TREES, SuccessiveHalving(3, 1, max_resource), **given
        ),
    ],
    ids=["random", "grid", "incremental", "decay", "asha", "bohb", "own schedule"],
)
def test_every_search_takes_a_resource(make: Any) -> None:
    search = make(resource="n_estimators", max_resource=5, **QUIET)
    assert "trees" in str(search.plan())
    assert "calls" not in str(search.plan())
    search.fit(*LAZY)
    assert search.best_estimator_.n_estimators == search.n_iter_ <= 5


def test_weights_go_along() -> None:
    weights = np.linspace(0, 1, 240)
    search = hyperband(RandomForestRegressor(), TREES, "n_estimators")
    search.fit(*LAZY, sample_weight=weights, validation_data=HELD_OUT)
    best = search.best_estimator_
    np.testing.assert_array_equal(best.predict(X), clone(best).fit(X, Y, weights).predict(X))


def test_a_longer_search_goes_on_with_the_trees_that_are_there(tmp_path: Path) -> None:
    def search(most: int) -> SuccessiveHalvingSearchCV:
        return SuccessiveHalvingSearchCV(ExtraTreesClassifier(), TREES, 9, 1, most, resource="n_estimators", **QUIET)

    search(3).fit(*LAZY, journal=tmp_path / "short")
    assert "the scores and models of 9 trials" in str(search(9).plan(start_from=tmp_path / "short"))
    on = search(9).fit(*LAZY, start_from=tmp_path / "short", journal=tmp_path / "long")
    assert scored(on) == scored(search(9).fit(*LAZY))
    assert on.metadata_["reused_calls"] == 9 + 3 * 2
    assert dhpo.load(tmp_path / "long").history.unit == "tree"
    other = search(9).set_params(resource="max_leaf_nodes")
    assert "parameters alone: another resource" in str(other.plan(start_from=tmp_path / "short"))


def test_parts_of_the_rows_are_others_where_all_rows_are_more_of_them(tmp_path: Path) -> None:
    def search(most: int) -> SuccessiveHalvingSearchCV:
        return SuccessiveHalvingSearchCV(
            GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, 2, 1, most, resource="n_samples", **QUIET
        )

    search(3).fit(*LAZY, journal=tmp_path / "run")
    assert "another resource" in str(search(9).plan(start_from=tmp_path / "run"))
    assert "the scores" in str(search(3).plan(start_from=tmp_path / "run"))


class KillsItsWorkerOnce(ExtraTreesClassifier):
    """Kills its worker where it gets nine trees, unless a file is there, which it leaves."""

    def __init__(
        self,
        file: str = "",
        n_estimators: int = 100,
        max_features: float = 1.0,
        min_samples_leaf: int = 1,
        random_state: Any = None,
        warm_start: bool = False,
    ) -> None:
        super().__init__(
            n_estimators,
            max_features=max_features,
            min_samples_leaf=min_samples_leaf,
            random_state=random_state,
            warm_start=warm_start,
        )
        self.file = file

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if self.n_estimators == 9 and not os.path.exists(self.file):
            Path(self.file).touch()
            os.kill(os.getpid(), 9)
        return super().fit(X, y, sample_weight)


SAMPLING = {**BOOSTING, "subsample": uniform(0.3, 0.6), "colsample_bytree": uniform(0.3, 0.6)}


class XGBKillsItsWorkerOnce(XGBClassifier):
    """Kills its worker at the second part of the rounds of a model, unless a file is there, which it leaves."""

    def __init__(self, killed: str | None = None, **params: Any) -> None:
        super().__init__(**params)
        self.killed = killed

    def fit(self, X: Any, y: Any, **params: Any) -> Any:
        if params.get("xgb_model") is not None and self.killed is not None and not Path(self.killed).exists():
            Path(self.killed).touch()
            os.kill(os.getpid(), 9)
        return super().fit(X, y, **params)


@pytest.mark.parametrize("booster", [XGBClassifier(), LGBMClassifier(subsample_freq=2, verbose=-1)])
def test_rounds_that_sample_are_those_of_one_part(booster: Any) -> None:
    search = hyperband(booster, SAMPLING, "n_estimators").fit(*LAZY, validation_data=HELD_OUT)
    assert search.plan().unit == "boosting round"
    trainer = ParameterTrainer("n_estimators")
    for (trial, rounds), score in scored(search).items():
        model = trainer.advance(fresh(search, booster, trial), Rows(X, Y), {}, 0, rounds)
        assert score == model.score(*HELD_OUT)


def test_a_worker_that_dies_changes_no_answer_of_a_booster(tmp_path: Path) -> None:
    expected = scored(hyperband(XGBClassifier(), SAMPLING, "n_estimators").fit(*LAZY))
    killed = tmp_path / "killed"
    with two_workers() as cluster, cluster.get_client():
        search = hyperband(XGBKillsItsWorkerOnce(str(killed)), SAMPLING, "n_estimators").fit(*LAZY)
    assert killed.exists()
    assert scored(search) == expected


@pytest.mark.parametrize("booster", [XGBClassifier(), LGBMClassifier(verbose=-1, min_child_samples=5)])
def test_boosters_learn_from_block_after_block_also_where_some_lack_a_class(booster: Any) -> None:
    labels = np.where(X[:, 0] > 0.8, 2, Y)
    order = np.argsort(np.where(np.arange(240) < 100, labels, 3), kind="stable")  # the first blocks have one class
    chunked, targets = da.from_array(X[order], (50, 5)), da.from_array(labels[order], 50)
    found = [
        hyperband(booster, SAMPLING, resource).fit(chunked, targets, validation_data=(X, labels))
        for resource in ("auto", RoundsOnBlocks())
    ]
    search = found[0]
    assert search.plan().unit == "block"
    assert search.classes_.tolist() == [0, 1, 2]
    assert set(search.summary()["status"]) == {"finished", "not promoted"}
    assert search.best_estimator_.n_estimators == 10 * search.n_iter_
    assert search.best_score_ > 0.6
    assert scored(found[1]) == scored(search)


def test_a_longer_search_goes_on_with_the_rounds_that_are_there(tmp_path: Path) -> None:
    def search(most: int) -> SuccessiveHalvingSearchCV:
        return SuccessiveHalvingSearchCV(XGBClassifier(), SAMPLING, 9, 1, most, resource="n_estimators", **QUIET)

    search(3).fit(*LAZY, journal=tmp_path / "short")
    on = search(9).fit(*LAZY, start_from=tmp_path / "short")
    assert scored(on) == scored(search(9).fit(*LAZY))
    assert on.metadata_["reused_calls"] == 9 + 3 * 2


def test_a_worker_that_dies_changes_no_answer(tmp_path: Path) -> None:
    expected = scored(hyperband(ExtraTreesClassifier(), TREES, "n_estimators").fit(*LAZY))
    killed = tmp_path / "killed"
    with two_workers() as cluster, cluster.get_client():
        search = hyperband(KillsItsWorkerOnce(str(killed)), TREES, "n_estimators").fit(*LAZY)
    assert killed.exists()
    assert scored(search) == expected


@pytest.mark.parametrize(
    ("search", "error", "said"),
    [
        (hyperband(SVC(), {"C": [1.0]}, "n_estimators"), ValueError, "is no parameter of SVC"),
        (hyperband(SVC(), {"C": [1.0]}, "kernel"), ValueError, "takes whole numbers"),
        (hyperband(SVC(), {"C": [1.0]}, "auto"), TypeError, "lacks partial_fit"),
        (hyperband(SVC(), {"C": [1.0]}, 3), TypeError, "resource=3 has no method advance and no check"),
        (hyperband(SVC(), {"max_iter": [3]}, "max_iter"), ValueError, "resource='max_iter' is searched, too"),
    ],
)
def test_what_is_refused_at_the_door(search: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        search.fit(*LAZY)


def test_arguments_that_fit_does_not_take() -> None:
    with pytest.raises(TypeError, match=r"fit got extra=, which fit of SVC does not take"):
        hyperband(SVC(), {"C": [1.0]}, "n_samples").fit(*LAZY, extra=1)


def test_rows_that_no_worker_holds(client: Client) -> None:
    with two_workers() as cluster, cluster.get_client():
        many = da.zeros((300_000_000, 2), chunks=(1_000_000, 2))
        said = r"X \(resource= fits each model on all rows at once\) is too large .*resource='auto'"
        with pytest.raises(ValueError, match=said):
            hyperband(ExtraTreesClassifier(), TREES, "n_estimators").fit(many, many[:, 0])
