"""A search that is started again, counted data, empty partitions: what goes wrong where nobody looks."""

from __future__ import annotations

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn.base import is_classifier, is_regressor
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB

import dhpo
from dhpo import HyperbandSearchCV, IncrementalSearchCV, RandomizedSearchCV, SuccessiveHalvingSearchCV

SPACE = {"alpha": loguniform(1e-5, 1e-1)}


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    return X, (X[:, 0] > 0).astype(int)


def test_lengths_of_a_graph_of_several_tasks_are_counted(client, data):
    X, y = data
    Xd = da.from_array(X, (50, -1))
    unknown = (Xd + 1)[Xd[:, 0] > -99] - 1
    search = HyperbandSearchCV(SGDClassifier(), SPACE, max_iter=3, random_state=0, verbose=0).fit(unknown, y)
    known = HyperbandSearchCV(SGDClassifier(), SPACE, max_iter=3, random_state=0, verbose=0).fit(Xd, y)
    np.testing.assert_allclose(search.cv_results_["test_score"], known.cv_results_["test_score"], atol=0.05)
    assert search.metadata_["n_blocks"] == 8


@pytest.mark.parametrize("random_state", range(4))
def test_empty_partitions_are_no_blocks(client, data, random_state):
    X, y = data
    frame = dd.from_pandas(pd.DataFrame(X, columns=list("abcd")).assign(i=range(400), y=y), npartitions=4)
    frame = frame[frame["i"] >= 200]
    search = SuccessiveHalvingSearchCV(
        SGDClassifier(), SPACE, 4, n_initial_iter=1, aggressiveness=2, random_state=random_state, verbose=0
    ).fit(frame[list("abcd")], frame["y"])
    assert search.metadata_["n_blocks"] == 2
    assert search.best_score_ > 0.5


def test_a_search_that_runs_is_not_started_again(client, data):
    search = IncrementalSearchCV(SGDClassifier(), SPACE, 2, max_iter=20_000, random_state=0, verbose=0)
    X, y = da.from_array(data[0], (50, -1)), da.from_array(data[1], 50)
    run = search.start(X, y)
    with pytest.raises(RuntimeError, match="this search is running"):
        search.fit(X, y)
    run.stop()
    run.result()
    again = search.set_params(max_iter=4).fit(X, y)
    assert again.metadata_["max_iter"] == 4
    assert run.result() is search


def test_what_becomes_of_the_estimator_after_the_start_is_nothing_to_the_run(client, data):
    estimator = SGDClassifier()
    search = RandomizedSearchCV(estimator, SPACE, n_iter=2, max_iter=4, random_state=0, verbose=0)
    run = search.start(da.from_array(data[0], (50, -1)), da.from_array(data[1], 50))
    estimator.set_params(loss="squared_error")
    assert run.result().best_estimator_.loss == "hinge"


def test_a_nested_estimator_may_be_searched_itself(client, data):
    X, y = data
    Y = da.from_array(np.column_stack([y, 1 - y]), (50, -1))
    search = RandomizedSearchCV(
        MultiOutputClassifier(SGDClassifier()),
        {"estimator": [SGDClassifier(), GaussianNB()]},
        n_iter=2,
        max_iter=4,
        random_state=0,
        verbose=0,
    ).fit(da.from_array(X, (50, -1)), Y, classes=[[0, 1], [0, 1]])
    assert np.isfinite(search.cv_results_["test_score"]).all()


def test_several_outputs_without_classes_are_refused(client, data):
    X, y = data
    search = RandomizedSearchCV(MultiOutputClassifier(SGDClassifier()), {"n_jobs": [None]}, n_iter=1, verbose=0)
    with pytest.raises(ValueError, match=r"y has 2 dimensions: pass classes="):
        search.fit(da.from_array(X, (50, -1)), da.from_array(np.column_stack([y, y]), (50, -1)))


def test_a_scorer_that_reads_the_features_is_refused_with_its_reason(client, data):
    X, y = data
    search = RandomizedSearchCV(
        SGDClassifier(), SPACE, n_iter=2, max_iter=2, scoring=lambda e, X, y: e.score(X, y), random_state=0, verbose=0
    )
    with pytest.raises(dhpo.SearchFailed, match="calls the score method"):
        search.fit(da.from_array(X, (50, -1)), da.from_array(y, 50))


def test_searches_are_of_the_kind_of_their_estimator():
    assert is_classifier(HyperbandSearchCV(SGDClassifier(), SPACE))
    assert is_regressor(HyperbandSearchCV(SGDRegressor(), SPACE))


def test_stop_during_the_first_look_ends_the_run(client):
    def slow(block):
        import time

        time.sleep(0.2)
        return block

    X = da.ones((2000, 2), chunks=(10, 2)).map_blocks(slow, dtype=float)
    search = RandomizedSearchCV(SGDClassifier(), SPACE, n_iter=2, max_iter=2, verbose=0)
    run = search.start(X, da.from_array(np.arange(2000) % 2, 10), classes=[0, 1])
    run.stop()
    assert run.result() is search
    assert not hasattr(search, "best_estimator_")
    assert len(search.summary()) == 0
