"""dask-ml beside us: what works in it goes on to work."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from dask_ml.datasets import make_classification, make_regression
from dask_ml.model_selection import train_test_split
from dask_ml.preprocessing import Categorizer, DummyEncoder, MinMaxScaler, StandardScaler
from dask_ml.wrappers import Incremental, ParallelPostFit
from sklearn.base import is_classifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier, SGDRegressor

import dhpo

SEED = {"random_state": 0, "verbose": 0}
GRID = {"alpha": [1e-4, 1e-2]}


@pytest.fixture(scope="module")
def data():
    return make_classification(n_samples=1_000, n_features=8, n_informative=4, chunks=250, random_state=0)


@pytest.mark.parametrize("wrap", [Incremental, ParallelPostFit, lambda e: ParallelPostFit(Incremental(e))])
def test_a_wrapped_estimator_is_trained_as_it_is_without_its_wrapper(client, data, wrap):
    plain = dhpo.GridSearchCV(SGDClassifier(random_state=1), GRID, max_iter=4, **SEED).fit(*data)
    wrapped = wrap(SGDClassifier(random_state=1))
    prefix = (
        "estimator__"
        if isinstance(wrapped, Incremental) or not isinstance(wrapped.estimator, Incremental)
        else ("estimator__estimator__")
    )
    search = dhpo.GridSearchCV(wrapped, {f"{prefix}alpha": GRID["alpha"]}, max_iter=4, **SEED).fit(*data)
    assert is_classifier(search)
    np.testing.assert_array_equal(search.cv_results_["test_score"], plain.cv_results_["test_score"])
    assert search.best_params_ == {f"{prefix}alpha": plain.best_params_["alpha"]}
    assert type(search.best_estimator_) is SGDClassifier
    np.testing.assert_array_equal(search.best_estimator_.coef_, plain.best_estimator_.coef_)


def test_the_scoring_of_a_wrapper_counts_unless_the_search_has_its_own(client, data):
    for scoring, expected in ((None, "f1"), ("precision", "precision")):
        wrapped = Incremental(SGDClassifier(random_state=1), scoring="f1")
        search = dhpo.HyperbandSearchCV(
            wrapped, {"estimator__alpha": [1e-4, 1e-2]}, max_iter=4, scoring=scoring, **SEED
        )
        plain = dhpo.HyperbandSearchCV(SGDClassifier(random_state=1), GRID, max_iter=4, scoring=expected, **SEED)
        np.testing.assert_array_equal(
            search.fit(*data).cv_results_["test_score"], plain.fit(*data).cv_results_["test_score"]
        )
        assert search.score(*data) == plain.score(*data)


def test_a_wrapped_estimator_without_partial_fit_is_fitted_whole(client, data):
    wrapped = ParallelPostFit(RandomForestClassifier(n_estimators=5, random_state=0), scoring="f1")
    search = dhpo.GridSearchCV(wrapped, {"estimator__max_depth": [2, 4]}, cv=2, verbose=0).fit(*data)
    plain = dhpo.GridSearchCV(wrapped.estimator, {"max_depth": [2, 4]}, scoring="f1", cv=2, verbose=0).fit(*data)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])


def test_split_and_scaled_data_feeds_a_search_whose_model_predicts_at_scale(client, data):
    X_train, X_test, y_train, y_test = train_test_split(*data, test_size=0.2, random_state=0, shuffle=True)
    for scaler in (StandardScaler(), MinMaxScaler()):
        X_scaled = scaler.fit(X_train).transform(X_train)
        search = dhpo.HyperbandSearchCV(SGDClassifier(), GRID, max_iter=9, **SEED).fit(X_scaled, y_train)
        model = ParallelPostFit(search.best_estimator_)
        predicted = model.predict(scaler.transform(X_test))
        assert isinstance(predicted, da.Array)
        assert (predicted == y_test).mean().compute() > 0.65
        np.testing.assert_array_equal(predicted.compute(), search.predict(scaler.transform(X_test)).compute())


def test_regression_data(client):
    X, y = make_regression(n_samples=500, n_features=5, chunks=100, random_state=0)
    y = (y - y.mean()) / y.std()
    assert dhpo.IncrementalSearchCV(SGDRegressor(), GRID, 2, max_iter=10, **SEED).fit(X, y).score(X, y) > 0.8


def test_encoded_frames(client):
    import dask.dataframe as dd
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"kind": rng.choice(["a", "b", "c"], 400), "size": rng.standard_normal(400)})
    target = (frame["kind"] == "a").astype(int)
    lazy = dd.from_pandas(frame, npartitions=4)
    encoded = DummyEncoder().fit_transform(Categorizer().fit_transform(lazy))
    search = dhpo.GridSearchCV(SGDClassifier(), GRID, max_iter=8, **SEED).fit(
        encoded.astype(float), dd.from_pandas(target, npartitions=4)
    )
    assert search.best_score_ > 0.95
