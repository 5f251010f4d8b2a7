"""What reviewers found wrong: answers that looked right, and input that ought to work."""

from __future__ import annotations

import copy
import math
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import make_multilabel_classification
from sklearn.decomposition import LatentDirichletAllocation
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.metrics import accuracy_score, get_scorer, log_loss
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV as Theirs
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import KernelDensity
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import dhpo
from dhpo import GridSearchCV, JournalError, SearchFailed, make_partial_fit_pipeline
from dhpo.data.fingerprint import fingerprint
from dhpo.data.rows import Rows
from dhpo.journal import describe

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4))
Y = (X[:, 0] + RNG.normal(size=200) > 0).astype(int)
T = X @ [1.0, 2.0, 0.0, 0.0] + np.where(np.arange(200) < 100, 10.0, -10.0)  # two blocks that differ
SORTED = np.column_stack([X, T])
LAZY = da.from_array(X, (50, 4)), da.from_array(Y, 50)
SEED = {"random_state": 0, "verbose": 0}


def blocks(estimator=None, grid=None, **params):
    estimator = SGDClassifier() if estimator is None else estimator
    return GridSearchCV(estimator, grid or {"alpha": [1e-4, 1e-2]}, max_iter=6, **SEED, **params)


def cut(array, n=2):
    return da.from_array(array, (len(array) // n, *array.shape[1:]))


# -- collections of different types together


def kinds():
    frame, weights = pd.DataFrame(X, columns=list("abcd")), 1 + RNG.integers(0, 2, 200)
    return {
        "frame array series": (dd.from_pandas(frame, 2), cut(Y), dd.from_pandas(pd.Series(weights), 2)),
        "array frame array": (cut(X), dd.from_pandas(pd.Series(Y), 2), cut(weights)),
        "array array frame": (cut(X), cut(Y), dd.from_pandas(pd.Series(weights), 2)),
    }, weights


@pytest.mark.parametrize("kind", kinds()[0])
def test_each_argument_of_a_whole_fit_is_what_it_was(client, kind):
    collections, _ = kinds()
    lazy_X, lazy_y, lazy_w = collections[kind]
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, verbose=0)
    search.fit(lazy_X, lazy_y, sample_weight=lazy_w)
    theirs = Theirs(LogisticRegression(), {"C": [0.1, 1.0]}).fit(X, Y, sample_weight=lazy_w.compute())
    assert search.classes_.tolist() == [0, 1]
    assert search.best_score_ == theirs.best_score_


def test_groups_are_not_taken_for_the_target(client):
    groups = np.arange(200) % 10
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=GroupKFold(5), verbose=0)
    search.fit(cut(X), dd.from_pandas(pd.Series(Y), 2), groups=cut(groups))
    theirs = Theirs(LogisticRegression(), {"C": [0.1, 1.0]}, cv=GroupKFold(5)).fit(X, Y, groups=groups)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])


# -- the score method of an estimator, over several blocks


class Halved(RegressorMixin, BaseEstimator):
    """Has a score of its own, which calls that of its base class."""

    def __init__(self, alpha=0.1):
        self.alpha = alpha

    def fit(self, X, y):
        self.mean_ = y.mean()
        self.weights_ = np.linalg.lstsq(X, y - self.mean_)[0]
        return self

    def predict(self, X):
        return X @ self.weights_ + self.mean_

    def score(self, X, y):
        return super().score(X, y) / 2


@pytest.mark.parametrize(
    ("estimator", "grid", "with_y"),
    [
        (make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [0.1]}, True),
        (make_pipeline(StandardScaler(), MiniBatchKMeans(2, n_init=1, random_state=0)), {}, False),
        (KernelDensity(), {"bandwidth": [0.5]}, False),
        (GaussianMixture(2, random_state=0), {"n_components": [2]}, False),
        (DummyRegressor(), {"strategy": ["mean"]}, True),
        (Theirs(Ridge(), {"alpha": [0.1]}), {"cv": [2]}, True),
        (Theirs(LogisticRegression(), {"C": [0.1]}, scoring="roc_auc"), {"cv": [2]}, True),
        (Halved(), {"alpha": [0.1]}, True),
    ],
    ids=["pipeline", "kmeans", "density", "mixture", "dummy", "search", "search by roc_auc", "own"],
)
def test_the_default_score_of_blocks_is_that_of_all_rows(client, estimator, grid, with_y):
    y = T if "LogisticRegression" not in repr(estimator) else Y
    search = GridSearchCV(estimator, grid, cv=2, verbose=0).fit(SORTED, y if with_y else None)
    in_memory = search.score(SORTED, y if with_y else None)
    lazily = search.score(cut(SORTED), cut(y) if with_y else None)
    assert lazily == pytest.approx(in_memory, rel=1e-9)


def test_the_default_score_of_a_pipeline_decides_over_blocks_as_over_all_rows(client):
    estimator = make_partial_fit_pipeline(StandardScaler(), SGDRegressor(random_state=0))
    search = blocks(estimator, {"sgdregressor__alpha": [1e-4, 1e-1]})
    search.fit(cut(SORTED), cut(T), validation_data=(cut(SORTED), cut(T)))
    assert search.best_score_ == pytest.approx(search.best_estimator_.score(SORTED, T), rel=1e-12)


def test_a_score_that_is_no_function_of_outputs_is_refused_over_blocks(client):
    counts = RNG.integers(0, 5, (200, 6))
    search = GridSearchCV(LatentDirichletAllocation(2, max_iter=1), {"n_components": [2]}, cv=2, verbose=0).fit(counts)
    with pytest.raises(TypeError, match=r"LatentDirichletAllocation\.score cannot be computed block by block"):
        search.score(cut(counts))


def test_a_scorer_that_fails_on_the_first_block_gets_all_outputs(client):
    def both(estimator, X, y):
        return -log_loss(y, estimator.predict_proba(X)) + accuracy_score(y, estimator.predict(X))

    order = np.argsort(Y)  # the first block holds one class
    lazy = cut(X[order], 4), cut(Y[order], 4)
    search = blocks(SGDClassifier(loss="log_loss"), scoring=both)
    search.fit(*LAZY, validation_data=lazy, classes=[0, 1])
    assert search.best_score_ == pytest.approx(both(search.best_estimator_, X, Y), rel=1e-12)


@pytest.mark.filterwarnings("ignore:The y_prob values")
def test_log_loss_of_several_labels(client):
    several = make_multilabel_classification(200, 4, n_classes=3, random_state=0)
    search = blocks(MLPClassifier((4,)), scoring="neg_log_loss")
    search.fit(*map(cut, several), validation_data=tuple(map(cut, several)), classes=[0, 1, 2])
    assert search.best_score_ == pytest.approx(get_scorer("neg_log_loss")(search.best_estimator_, *several), rel=1e-12)


# -- small blocks


@pytest.mark.parametrize("seed", range(6))
def test_blocks_of_one_row_in_folds(client, seed):
    X_one, y_one = np.vstack([X, X[:1]]), np.append(Y, Y[0])  # the last block has one row
    search = GridSearchCV(SGDClassifier(), {"alpha": [1e-3]}, max_iter=8, cv=3, random_state=seed, verbose=0)
    search.fit(da.from_array(X_one, (50, 4)), da.from_array(y_one, 50))
    assert search.best_score_ > 0.6


def test_blocks_of_one_row_alone_cannot_be_folded(client):
    lazy = da.from_array(X[:12], (1, 4)), da.from_array(Y[:12], 1)
    with pytest.raises(ValueError, match="cv=3 needs blocks of two rows at least"):
        blocks(cv=3).fit(*lazy, classes=[0, 1])


def test_a_fold_without_rows_is_told(client):
    lazy = da.from_array(X[:4], (2, 4)), da.from_array(Y[:4], 2)
    with pytest.raises(SearchFailed, match=r"fold \d has no rows to score on"):
        _until_a_fold_is_empty(lazy)


def _until_a_fold_is_empty(lazy):
    for seed in range(20):  # where the first row of a block goes is drawn
        GridSearchCV(SGDClassifier(), {"alpha": [1.0]}, max_iter=2, cv=4, random_state=seed, verbose=0).fit(
            *lazy, classes=[0, 1]
        )


# -- predictions of lazy data


def test_predictions_for_empty_partitions(client):
    frame = dd.from_pandas(pd.DataFrame(X, columns=list("abcd")).sort_values("a", ignore_index=True), 4)
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, verbose=0).fit(frame.compute(), Y)
    some = frame[frame["a"] > 0.5]
    expected = search.predict(some.compute())
    np.testing.assert_array_equal(search.predict(some).compute(), expected)
    array = cut(np.sort(X, axis=0), 4)
    bare = GridSearchCV(LogisticRegression(), {"C": [1.0]}, verbose=0).fit(X, Y)
    some = array[array[:, 0] > 0.5]
    np.testing.assert_array_equal(bare.predict_proba(some).compute(), bare.predict_proba(some.compute()))


def test_predictions_of_an_encoder_that_knows_no_made_up_row(client):
    frame = pd.DataFrame({"s": ["x", "y"] * 100})
    search = GridSearchCV(make_pipeline(OneHotEncoder(), LogisticRegression()), {}, verbose=0).fit(frame, Y)
    lazy = dd.from_pandas(frame, 4)
    np.testing.assert_array_equal(search.predict(lazy).compute(), search.predict(frame))


def test_probabilities_of_several_outputs(client):
    both = np.column_stack([Y, 1 - Y])
    search = GridSearchCV(RandomForestClassifier(5, random_state=0), {"max_depth": [2]}, cv=2, verbose=0).fit(X, both)
    lazily, in_memory = search.predict_proba(cut(X, 4)), search.predict_proba(X)
    assert len(lazily) == 2
    for found, expected in zip(lazily, in_memory, strict=True):
        np.testing.assert_array_equal(found.compute(), expected)


# -- arguments that would be dropped in silence


def test_weights_of_a_lazy_score_are_refused():
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, verbose=0).fit(X, Y)
    with sklearn.config_context(enable_metadata_routing=True), pytest.raises(ValueError, match="in memory only"):
        search.score(cut(X), cut(Y), sample_weight=np.ones(200))


def test_blocks_keep_to_the_routing_of_weights(client):
    weights = np.where(Y == 1, 1e-9, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError, match="does not say whether it asks for it"):
            blocks().fit(*LAZY, sample_weight=weights)
        asks, does_not = (SGDClassifier().set_partial_fit_request(sample_weight=ask) for ask in (True, False))
        weighted = blocks(asks).fit(*LAZY, sample_weight=weights).predict(X).mean()
        plain = blocks(does_not).fit(*LAZY, sample_weight=weights).predict(X).mean()
    assert weighted < 0.1 < plain


def test_arguments_that_partial_fit_does_not_take_are_refused_at_the_door():
    with pytest.raises(TypeError, match=r"fit got groups=, which partial_fit of SGDClassifier does not take"):
        blocks().fit(*LAZY, groups=np.zeros(200))


def test_a_plan_does_not_use_up_the_splits():
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=KFold(3).split(X), verbose=0)
    with pytest.raises(ValueError, match="cv is an iterator"):
        search.plan()
    assert search.fit(X, Y).n_splits_ == 3


# -- what a journal has to notice


def zero(estimator, X, y, sign=1):
    return sign * float(np.mean(estimator.predict(X)))


class Scoring:
    def __init__(self, sign):
        self.sign = sign

    def scored(self, estimator, X, y):
        return zero(estimator, X, y, self.sign)


def frozen(factor):
    scaler = FrozenEstimator(StandardScaler().fit(X * factor + factor))
    return dhpo.PartialFitPipeline([("scale", scaler), ("classify", SGDClassifier())])


def encoded(values):
    return np.array([[value] for value in values], dtype=object)


CHANGES = {
    "validation data": (blocks(), {"validation_data": (X, Y)}, blocks(), {"validation_data": (X, 1 - Y)}),
    "state of a fitted step": (
        blocks(frozen(1.0), {"classify__alpha": [1e-4]}),
        {},
        blocks(frozen(100.0), {"classify__alpha": [1e-4]}),
        {},
    ),
    "a lambda": (
        blocks(scoring=lambda e, X, y: zero(e, X, y, 1)),
        {},
        blocks(scoring=lambda e, X, y: zero(e, X, y, -1)),
        {},
    ),
    "a method": (blocks(scoring=Scoring(1).scored), {}, blocks(scoring=Scoring(-1).scored), {}),
    "a partial": (blocks(scoring=partial(zero, sign=1)), {}, blocks(scoring=partial(zero, sign=-1)), {}),
    "a function inside": (
        blocks(make_partial_fit_pipeline(FunctionTransformer(lambda X: X), SGDClassifier()), {"verbose": [0]}),
        {},
        blocks(make_partial_fit_pipeline(FunctionTransformer(lambda X: X * 0), SGDClassifier()), {"verbose": [0]}),
        {},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_journal_notices(client, change, tmp_path):
    before, before_params, after, after_params = CHANGES[change]
    before.fit(*LAZY, journal=tmp_path, **before_params)
    before.fit(*LAZY, journal=tmp_path, **before_params)  # the same is taken
    with pytest.raises(JournalError, match=r"another search|other data"):
        after.fit(*LAZY, journal=tmp_path, **after_params)


def test_descriptions_tell_apart_what_looks_alike():
    series = pd.Series(np.arange(100))
    with sklearn.config_context(enable_metadata_routing=True):
        requests = [SGDClassifier().set_partial_fit_request(sample_weight=ask) for ask in (True, False)]
    alike = [
        series,
        series.where(series != 50, 1000),
        {1: 0.5},
        {"1": 0.5},
        np.random.RandomState(0),
        np.random.RandomState(1),
        np.random.default_rng(0),
        *requests,
    ]
    assert len({describe(value) for value in alike}) == len(alike)
    assert describe(np.random.RandomState(0)) == describe(np.random.RandomState(0))


def test_descriptions_do_not_depend_on_the_process():
    code = "from dhpo.journal import describe; print(describe({'a', 'b', 'c', 'roc_auc', 'f1'}))"
    root = Path(dhpo.__file__).parent.parent
    found = set()
    for seed in "123":
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": seed}
        found.add(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout)
    assert len(found) == 1


def test_fingerprints_tell_what_models_see_besides_the_values():
    kinds = [
        pd.DataFrame({"c": pd.Categorical(["a", "b"], categories=categories, ordered=ordered)})
        for categories, ordered in ((["a", "b"], False), (["b", "a"], False), (["a", "b"], True))
    ]
    masked = [np.ma.array([1, 2], mask=mask) for mask in ([0, 0], [0, 1])]
    named = [np.zeros(2, dtype=[(name, float)]) for name in ("a", "b")]
    for group in (kinds, masked, named):
        assert len({fingerprint(Rows(values)) for values in group}) == len(group)
        assert fingerprint(Rows(group[0])) == fingerprint(Rows(copy.deepcopy(group[0])))


def test_fingerprints_tell_numbers_from_strings():
    rows = [encoded([1, 2]), encoded(["1", "2"]), encoded([1.0, 2.0]), encoded([None, 2]), encoded([math.nan, 2])]
    assert len({fingerprint(Rows(values)) for values in rows}) == len(rows)
