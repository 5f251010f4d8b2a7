"""What fails in dask-ml 2025.1.0 on today's Dask and scikit-learn, one test for each behaviour."""

from __future__ import annotations

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn.model_selection
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier, is_regressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.metrics import log_loss, r2_score
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import dhpo

X, Y = (part[np.random.default_rng(0).permutation(150)] for part in load_iris(return_X_y=True))
X = (X - X.mean(axis=0)) / X.std(axis=0)
LAZY = da.from_array(X, (30, 4)), da.from_array(Y, 30)
ALPHA = {"alpha": [1e-4, 1e-2]}


def blockwise(estimator=None, space=None, **kwargs):
    estimator = estimator or SGDClassifier(random_state=0)
    return dhpo.GridSearchCV(estimator, space or ALPHA, max_iter=5, random_state=0, verbose=0, **kwargs)


def test_hyperband_on_an_array(client):
    search = dhpo.HyperbandSearchCV(SGDClassifier(), {"alpha": loguniform(1e-5, 1)}, max_iter=9, random_state=0)
    assert search.fit(*LAZY).score(*LAZY) > 0.8


def test_error_score_nan(client):
    search = dhpo.GridSearchCV(SVC(), {"C": [1.0, -1.0]}, cv=2, error_score=np.nan, verbose=0)
    with pytest.warns((FitFailedWarning, UserWarning)):
        search.fit(X, Y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    assert search.best_params_ == {"C": 1.0}


def test_passthrough_steps(client):
    pipeline = Pipeline([("scale", StandardScaler()), ("reduce", PCA(2)), ("classify", SVC())])
    search = dhpo.GridSearchCV(pipeline, {"reduce": ["passthrough", PCA(1)], "scale": ["passthrough"]}, cv=2, verbose=0)
    search.fit(X, Y)
    assert search.best_estimator_.named_steps["scale"] == "passthrough"
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_is_classifier():
    for face in (
        blockwise(),
        dhpo.HyperbandSearchCV(SGDClassifier(), ALPHA),
        dhpo.IncrementalSearchCV(SGDClassifier(), ALPHA),
        dhpo.GridSearchCV(SVC(), {"C": [1]}),
    ):
        assert is_classifier(face)
        assert not is_regressor(face)
    assert is_regressor(dhpo.HyperbandSearchCV(SGDRegressor(), ALPHA))


def test_log_loss_scorer(client):
    search = blockwise(SGDClassifier(loss="log_loss", random_state=0), scoring="neg_log_loss")
    search.fit(LAZY[0], LAZY[1].astype(str), validation_data=(X, Y.astype(str)))
    expected = -log_loss(Y.astype(str), search.best_estimator_.predict_proba(X))
    assert search.best_score_ == pytest.approx(expected, rel=1e-12)


def test_r2_scorer(client):
    features, target = load_diabetes(return_X_y=True)
    search = blockwise(SGDRegressor(random_state=0), scoring="r2")
    search.fit(da.from_array(features, (100, 10)), da.from_array(target, 100), validation_data=(features, target))
    assert search.best_score_ == pytest.approx(r2_score(target, search.predict(features)), rel=1e-12)


def test_pandas_input(client):
    frame = pd.DataFrame(X, columns=list("abcd"))
    for search in (blockwise(), dhpo.GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, verbose=0)):
        search.fit(frame, pd.Series(Y))
        assert search.feature_names_in_.tolist() == list("abcd")


def test_no_classes(client):
    assert blockwise().fit(*LAZY).classes_.tolist() == [0, 1, 2]


def test_pipelines(client):
    pipeline = Pipeline([("scale", StandardScaler()), ("classify", LogisticRegression())])
    search = dhpo.GridSearchCV(pipeline, {"classify__C": [0.1, 1.0]}, cv=2, verbose=0).fit(*LAZY)
    theirs = sklearn.model_selection.GridSearchCV(pipeline, {"classify__C": [0.1, 1.0]}, cv=2).fit(X, Y)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-12)


def test_sparse_blocks(client):
    counts = da.from_array(np.round(np.abs(X)), (30, 4))
    dense = blockwise(MultinomialNB(), ALPHA).fit(counts, LAZY[1])
    sparse = blockwise(MultinomialNB(), ALPHA).fit(counts.map_blocks(sp.csr_matrix), LAZY[1])
    np.testing.assert_array_equal(sparse.cv_results_["test_score"], dense.cv_results_["test_score"])
    assert dense.best_score_ > 0.5


def test_dask_sample_weight(client):
    weight = np.where(Y == 0, 1.0, 0.0)  # rows of one class alone count
    search = blockwise().fit(*LAZY, sample_weight=da.from_array(weight, 30))
    assert (search.predict(X) == 0).mean() > (blockwise().fit(*LAZY).predict(X) == 0).mean()


def test_several_metrics(client):
    for search in (
        blockwise(scoring=["accuracy", "f1_macro"], refit="f1_macro"),
        dhpo.GridSearchCV(SVC(), {"C": [0.1, 1]}, scoring=["accuracy", "f1_macro"], refit="f1_macro", cv=2, verbose=0),
    ):
        search.fit(*LAZY)
        results = search.cv_results_
        assert search.multimetric_
        assert (
            search.best_score_
            == results["mean_test_f1_macro"].max()
            == results["mean_test_f1_macro"][search.best_index_]
        )
        assert not np.array_equal(results["mean_test_accuracy"], results["mean_test_f1_macro"])


def test_list_of_dict_frames(client):
    space = [{"alpha": [1e-4]}, {"penalty": ["l1", "l2"]}]
    for search in (blockwise(space=space), dhpo.GridSearchCV(SGDClassifier(), space, cv=2, verbose=0)):
        frame = pd.DataFrame(search.fit(*LAZY).cv_results_)
        assert frame["param_alpha"].isna().tolist() == [False, True, True]
        assert frame["param_penalty"].isna().tolist() == [True, False, False]


def test_unknown_chunks(client):
    frame = dd.from_pandas(pd.DataFrame(X), npartitions=3)
    search = blockwise().fit(frame.to_dask_array(), dd.from_pandas(pd.Series(Y), npartitions=3).to_dask_array())
    assert search.score(X, Y) > 0.7


def test_misaligned_y(client):
    with pytest.warns(UserWarning, match="y do not match"):
        search = blockwise().fit(LAZY[0], LAZY[1].rechunk(50))
    np.testing.assert_array_equal(search.cv_results_["test_score"], blockwise().fit(*LAZY).cv_results_["test_score"])


class WithoutFit(BaseEstimator):
    """Can neither fit nor partial_fit."""


class Raising(ClassifierMixin, BaseEstimator):
    """Raises for one of its parameters."""

    def __init__(self, bad=False):
        self.bad = bad

    def partial_fit(self, X, y, classes=None):
        if self.bad:
            raise RuntimeError("it is bad")
        self.classes_ = np.unique(y) if classes is None else np.asarray(classes)
        return self

    fit = partial_fit

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def nan_for_bad(estimator, X, y):
    return np.nan if estimator.bad else float((estimator.predict(X) == y).mean())


class Scored(Raising):
    def partial_fit(self, X, y, classes=None):
        self.classes_ = np.unique(y) if classes is None else np.asarray(classes)
        return self

    fit = partial_fit


def test_estimator_without_fit(client):
    for search in (blockwise(WithoutFit()), dhpo.GridSearchCV(WithoutFit(), ALPHA, verbose=0)):
        with pytest.raises(TypeError, match=r"WithoutFit.*lacks"):
            search.fit(*LAZY)


def test_raising_model(client):
    assert blockwise(Raising(), {"bad": [True, False]}).fit(*LAZY).best_params_ == {"bad": False}
    search = dhpo.GridSearchCV(Raising(), {"bad": [True, False]}, cv=2, verbose=0)
    with pytest.warns((FitFailedWarning, UserWarning)):
        search.fit(X, Y)
    assert search.best_params_ == {"bad": False}


def test_nan_scores(client):
    search = blockwise(Scored(), {"bad": [True, False]}, scoring=nan_for_bad)
    assert search.fit(*LAZY).best_params_ == {"bad": False}
    search = dhpo.GridSearchCV(Scored(), {"bad": [True, False]}, scoring=nan_for_bad, cv=2, verbose=0)
    with pytest.warns(UserWarning, match="non-finite"):
        search.fit(X, Y)
    assert search.best_params_ == {"bad": False}
    assert search.cv_results_["rank_test_score"].tolist() == [2, 1]


def test_no_client():
    assert blockwise().fit(*LAZY).score(X, Y) > 0.7
    assert dhpo.GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=2, verbose=0).fit(X, Y).score(X, Y) > 0.7
