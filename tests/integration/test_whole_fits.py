"""Searches by whole fits: the same numbers as scikit-learn, on one and on several workers."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import time

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn.model_selection
from distributed import Client, LocalCluster
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier
from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.model_selection import GroupKFold, StratifiedShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeRegressor

import dhpo
from dhpo import GridSearchCV, IncrementalSearchCV, RandomizedSearchCV, SearchFailed
from dhpo.storage.workspace import holds_token
from dhpo.trial import plain

IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
CLASSIFIERS = {
    "SVC": (SVC(), {"C": [0.1, 10.0], "kernel": ["rbf", "linear"]}),
    "forest": (RandomForestClassifier(n_estimators=5, random_state=0), {"max_depth": [1, 3]}),
    "logistic": (LogisticRegression(max_iter=1000), {"C": [0.01, 1.0]}),
    "neighbors": (KNeighborsClassifier(), [{"n_neighbors": [1, 5]}, {"weights": ["distance"]}]),
    "boosting": (GradientBoostingClassifier(n_estimators=3, random_state=0), {"learning_rate": [0.01, 0.5]}),
    "bayes": (GaussianNB(), {"var_smoothing": [1e-9, 1.0]}),
    "pipeline": (make_pipeline(StandardScaler(), PCA(2), SVC()), {"pca": [PCA(1), "passthrough"], "svc__C": [1.0]}),
}
REGRESSORS = {
    "ridge": (Ridge(), {"alpha": [0.1, 10.0]}),
    "tree": (DecisionTreeRegressor(random_state=0), {"max_depth": [1, 3]}),
    "nearest": (KNeighborsRegressor(), {"n_neighbors": [1, 5]}),
}
CASES = [
    *((name, scoring) for name in CLASSIFIERS for scoring in (None, "f1_macro", ["accuracy", "balanced_accuracy"])),
    *((name, scoring) for name in REGRESSORS for scoring in (None, "neg_mean_absolute_error", ["r2", "neg_max_error"])),
]


@pytest.fixture(scope="module", params=[1, 3], ids=["one worker", "three workers"])
def workers(request):
    with (
        LocalCluster(
            n_workers=request.param,
            threads_per_worker=1,
            processes=request.param > 1,
            host="127.0.0.1",
            protocol="tcp://",
            dashboard_address="127.0.0.1:0",
            # Where it is a thread of this process, what all tests before have left here counts.
            memory_limit="1GB" if request.param > 1 else "8GB",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def assert_same_results(ours, theirs):
    assert list(ours) == list(theirs)
    for name, values in theirs.items():
        if name == "params":
            # Where NumPy's numbers are drawn, ours are Python's.
            assert list(map(repr, ours[name])) == [repr(plain(params)) for params in values]
        elif name.startswith("param_"):
            assert repr(ours[name]) == repr(values)
        elif "_time" not in name:
            np.testing.assert_allclose(ours[name], values, rtol=1e-12, atol=0, err_msg=name)
            assert ours[name].dtype == values.dtype


@pytest.mark.parametrize(("name", "scoring"), CASES, ids=str)
@pytest.mark.parametrize("cv", [3, "shuffled"])
def test_results_are_those_of_scikit_learn(workers, name, scoring, cv):
    estimator, grid = {**CLASSIFIERS, **REGRESSORS}[name]
    X, y = IRIS if name in CLASSIFIERS else DIABETES
    if cv == "shuffled":
        stratified = name in CLASSIFIERS
        splitter = StratifiedShuffleSplit if stratified else sklearn.model_selection.ShuffleSplit
        cv = splitter(n_splits=2, test_size=0.3, random_state=0)
    options = {"scoring": scoring, "cv": cv, "return_train_score": True}
    if isinstance(scoring, list):
        options["refit"] = scoring[0]
    theirs = sklearn.model_selection.GridSearchCV(estimator, grid, **options).fit(X, y)
    ours = GridSearchCV(estimator, grid, verbose=0, **options).fit(X, y)
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    assert repr(ours.best_params_) == repr(theirs.best_params_)
    assert ours.best_index_ == theirs.best_index_
    assert ours.best_score_ == pytest.approx(theirs.best_score_, rel=1e-12)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-12)


def test_random_candidates_are_those_of_scikit_learn(client):
    options = {"n_iter": 4, "cv": 2, "random_state": 3}
    space = {"C": loguniform(1e-3, 1e3), "kernel": ["rbf", "linear"]}
    theirs = sklearn.model_selection.RandomizedSearchCV(SVC(), space, **options).fit(*IRIS)
    ours = RandomizedSearchCV(SVC(), space, verbose=0, **options).fit(*IRIS)
    assert_same_results(ours.cv_results_, theirs.cv_results_)


def test_an_estimator_with_partial_fit_on_data_in_memory_is_fitted_whole(client):
    options = {"cv": 3}
    grid = {"alpha": [1e-4, 1e-1]}
    theirs = sklearn.model_selection.GridSearchCV(SGDClassifier(random_state=0), grid, **options).fit(*IRIS)
    ours = GridSearchCV(SGDClassifier(random_state=0), grid, verbose=0, **options).fit(*IRIS)
    assert_same_results(ours.cv_results_, theirs.cv_results_)


def test_groups_weights_and_other_arguments_go_where_they_belong(client):
    X, y = IRIS
    rng = np.random.default_rng(0)
    groups, weight = rng.integers(5, size=len(y)), rng.random(len(y))
    arguments = {"groups": groups, "sample_weight": weight}
    options = {"cv": GroupKFold(n_splits=3), "scoring": "accuracy"}
    theirs = sklearn.model_selection.GridSearchCV(SVC(), {"C": [0.1, 1]}, **options).fit(X, y, **arguments)
    ours = GridSearchCV(SVC(), {"C": [0.1, 1]}, verbose=0, **options).fit(X, y, **arguments)
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    np.testing.assert_array_equal(ours.best_estimator_.dual_coef_, theirs.best_estimator_.dual_coef_)


def test_metadata_is_routed(client):
    X, y = IRIS
    weight = np.random.default_rng(0).random(len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = SVC().set_fit_request(sample_weight=True)
        scoring = make_scorer(fbeta_score, beta=2, average="macro").set_score_request(sample_weight="how_much")
        arguments = {"sample_weight": weight, "how_much": weight**2}
        theirs = sklearn.model_selection.GridSearchCV(estimator, {"C": [0.1, 1]}, scoring=scoring, cv=2)
        ours = GridSearchCV(estimator, {"C": [0.1, 1]}, scoring=scoring, cv=2, verbose=0)
        assert_same_results(ours.fit(X, y, **arguments).cv_results_, theirs.fit(X, y, **arguments).cv_results_)
        assert ours.score(X, y, how_much=weight) == theirs.score(X, y, how_much=weight)


@pytest.mark.parametrize(
    "as_lazy",
    [
        lambda X, y: (da.from_array(X, (40, 2)), da.from_array(y, 40)),
        lambda X, y: (dd.from_pandas(as_frame(X), npartitions=3), dd.from_pandas(pd.Series(y), npartitions=3)),
        lambda X, y: (dd.from_pandas(as_frame(X), npartitions=3).to_dask_array(), y),
        lambda X, y: (X, da.from_array(y, 40)),
    ],
    ids=["arrays", "frames", "unknown lengths", "y alone"],
)
def test_chunked_data_that_fits_a_worker_is_brought_together(client, as_lazy):
    X, y = IRIS
    theirs = sklearn.model_selection.GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=2).fit(X, y)
    ours = GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=2, verbose=0).fit(*as_lazy(X, y))
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    lazily = ours.predict(da.from_array(X, (50, 4)))
    assert lazily.chunks == ((50, 50, 50),)
    np.testing.assert_array_equal(lazily.compute(), theirs.predict(X))


def as_frame(X):
    return pd.DataFrame(X, columns=list("abcd"))


def test_chunked_weights_go_along(client):
    X, y = IRIS
    weight = np.random.default_rng(0).random(len(y))
    theirs = sklearn.model_selection.GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=2).fit(X, y, sample_weight=weight)
    ours = GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=2, verbose=0)
    ours.fit(da.from_array(X, (40, 4)), da.from_array(y, 40), sample_weight=da.from_array(weight, 40))
    assert_same_results(ours.cv_results_, theirs.cv_results_)


@pytest.mark.parametrize("lazy", [True, False], ids=["chunked", "in memory"])
def test_data_too_large_for_a_worker_is_refused_with_what_fits(lazy):
    X, y = np.ones((1_000_000, 30)), np.arange(1_000_000) % 2  # 248 MB; 80 would fit
    data = (da.from_array(X, (100_000, 30)), da.from_array(y, 100_000)) if lazy else (X, y)
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", memory_limit="400MB"
        ) as cluster,
        Client(cluster) as client,
    ):
        with pytest.raises(ValueError, match=r"X and y are 236\.51 MiB.* 76\.29 MiB fit.*partial_fit.*1\.15 GiB"):
            GridSearchCV(SVC(), {"C": [1]}, verbose=0).fit(*data)
        assert not client.cluster.scheduler.tasks


def test_frames_keep_their_names_and_sparse_matrices_their_kind(client):
    X, y = IRIS
    search = GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=2, verbose=0).fit(as_frame(X), pd.Series(y))
    assert search.feature_names_in_.tolist() == list("abcd")
    assert search.n_features_in_ == 4
    assert search.classes_.tolist() == [0, 1, 2]
    search.fit(sp.csr_array(X), y)
    assert sp.issparse(search.best_estimator_.support_vectors_)


def test_without_y(client):
    theirs = sklearn.model_selection.GridSearchCV(KMeans(random_state=0), {"n_clusters": [2, 3]}, cv=2).fit(IRIS[0])
    ours = GridSearchCV(KMeans(random_state=0), {"n_clusters": [2, 3]}, cv=2, verbose=0).fit(IRIS[0])
    assert_same_results(ours.cv_results_, theirs.cv_results_)


class Deadly(ClassifierMixin, BaseEstimator):
    """Kills the process that fits it."""

    def __init__(self, deadly=False):
        self.deadly = deadly

    def fit(self, X, y):
        if self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.fixture
def brief_cluster():
    """A cluster of its own for tests that kill workers."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", memory_limit="1GB"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_a_candidate_that_kills_its_workers_fails_alone_and_does_not_retry_for_ever(brief_cluster):
    search = GridSearchCV(
        Deadly(), {"deadly": [False, True, False]}, cv=[(np.arange(75), np.arange(75, 150))], verbose=0
    )
    with pytest.warns((FitFailedWarning, UserWarning)) as caught:
        search.fit(*IRIS)
    assert any("KilledWorker" in str(w.message) for w in caught)
    scores = search.cv_results_["mean_test_score"]
    assert np.isnan(scores).tolist() == [False, True, False]
    assert search.best_params_ == {"deadly": False}
    assert search.summary().sort_index()["status"].tolist() == ["finished", "failed", "finished"]


class Slow(BaseEstimator):
    """Waits for a file before it is fitted."""

    def __init__(self, number=0, gate=None):
        self.number = number
        self.gate = gate

    def fit(self, X, y=None):
        if self.number and self.gate is not None:
            while not os.path.exists(self.gate):
                time.sleep(0.01)
        return self

    def score(self, X, y=None):
        return float(self.number)


def test_results_stream_in_and_a_search_can_be_stopped(client, tmp_path):
    gate = tmp_path / "gate"
    search = GridSearchCV(Slow(gate=str(gate)), {"number": [0, 1, 2]}, cv=2, verbose=0)
    run = search.start(*IRIS)
    try:
        while run.best is None:
            assert not run.done
        assert run.best.trial.params == {"number": 0}
        frame = run.summary()
        assert frame.loc[0, "status"] == "finished"
        assert frame.loc[0, "resource"] == 2
        run.stop()
    finally:
        gate.touch()
    run.result(timeout=300)
    assert len(search.cv_results_["params"]) >= 1
    assert search.best_estimator_.number == search.best_params_["number"]


def test_an_asynchronous_client_is_awaited(cluster):
    async def search():
        async with Client(cluster.scheduler_address, asynchronous=True):
            return await GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=2, verbose=0).fit(*IRIS)

    assert asyncio.run(search()).best_params_["C"] in (0.1, 1)


def test_no_client_needs_no_cluster():
    search = GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=2, verbose=0).fit(*IRIS)
    assert is_classifier(search)
    assert pickle.loads(pickle.dumps(search)).predict(IRIS[0]).shape == (150,)


def test_the_error_of_a_fit_is_raised_where_asked_for(client):
    with pytest.raises(ValueError, match="n_neighbors"):
        GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1000]}, cv=2, error_score="raise", verbose=0).fit(*IRIS)


def test_failures_that_count_with_a_number_are_told_all_the_same(client, tmp_path):
    X, y = IRIS
    rows = np.random.default_rng(0).permutation(len(X))
    splits = [(rows[:100], rows[100:]), (rows[100:], rows[:100])]
    candidates = [KNeighborsClassifier(3), SVC(C=-1.0), KNeighborsClassifier(80)]  # 80 are more than 50
    search = GridSearchCV(Pipeline([("m", SVC())]), {"m": candidates}, cv=splits, error_score=0.125, verbose=0)
    with pytest.warns(FitFailedWarning, match="2 fits failed"), pytest.warns(UserWarning, match="Scoring failed"):
        search.fit(X, y, journal=tmp_path / "journal")
    for summary in (search.summary(), dhpo.load(tmp_path / "journal").summary()):
        errors, status = summary["error"].sort_index(), summary["status"].sort_index()
        assert errors.isna().tolist() == [True, False, False]
        assert "The 'C' parameter of SVC must be" in errors[1]
        assert errors[2].startswith("a scorer, on 1 of 2 splits: ValueError: Expected n_neighbors <= n_samples_fit")
        assert status.tolist() == ["finished", "failed", "finished"]
        assert summary["score"].sort_index().tolist() == search.cv_results_["mean_test_score"].tolist()
        assert summary["rank"].sort_index().tolist() == search.cv_results_["rank_test_score"].tolist()
    search.report(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "1 trial failed; see below." in page
    assert "Of 1 trial some fit or some scorer failed" in page


def test_a_failed_fit_that_error_score_makes_the_best_is_said_to_be_one(client, tmp_path):
    X, y = load_diabetes(return_X_y=True)
    search = GridSearchCV(
        SVR(), {"C": [-1.0, 1.0]}, cv=2, scoring="neg_mean_squared_error", error_score=0.0, refit=False, verbose=0
    )
    with pytest.warns(FitFailedWarning):
        search.fit(X, y)
    assert search.best_params_ == {"C": -1.0}
    assert search.summary()[["rank", "status"]].iloc[0].tolist() == [1, "failed"]
    study = search.to_optuna()
    assert (study.best_trial.number, study.best_value) == (0, 0.0)
    search.report(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "The best, trial 0, failed" in page
    assert "Extend C" not in page


def test_failures_that_have_a_score_count_for_max_failures(client):
    search = GridSearchCV(SVC(), {"C": [1.0, -2.0, -3.0]}, cv=2, error_score=0.0, max_failures=1, verbose=0)
    with pytest.raises(SearchFailed, match=r"2 candidates failed(.|\n)*The 'C' parameter of SVC"):
        search.fit(*IRIS)


def test_a_search_inside_of_an_except_is_done_all_the_same(cluster, tmp_path):
    async def search():
        async with Client(cluster.scheduler_address, asynchronous=True):
            await GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=2, verbose=0).fit(*IRIS, journal=tmp_path / "whole")
            over_blocks = IncrementalSearchCV(SGDClassifier(), {"alpha": [0.1]}, "grid", max_iter=2, verbose=0)
            X, y = (da.from_array(values, chunks=50) for values in IRIS)
            await over_blocks.fit(X, y, classes=[0, 1, 2], journal=tmp_path / "blocks")

    try:
        raise KeyError("config")
    except KeyError:
        asyncio.run(search())
    for kind in ("whole", "blocks"):
        stored = dhpo.load(tmp_path / kind)
        assert (stored.status, stored.history.end.error) == ("done", "")


def test_all_fits_failing_is_an_error_with_the_traceback(client):
    search = GridSearchCV(SVC(), {"C": [-1.0, -2.0]}, cv=2, verbose=0)
    with pytest.raises(ValueError, match=r"All the 4 fits failed[\s\S]*'C' parameter"):
        search.fit(*IRIS)
    assert len(search.history_) == 2
    assert not hasattr(search, "best_estimator_")


class Gated(BaseEstimator):
    """Waits for a file of its own before it is fitted."""

    def __init__(self, number=0, gates=None):
        self.number = number
        self.gates = gates

    def fit(self, X, y=None):
        while self.gates is not None and not os.path.exists(f"{self.gates}/{min(self.number, 1)}"):
            time.sleep(0.01)
        return self

    def score(self, X, y=None):
        return float(self.number)


def test_fits_that_wait_for_workers_that_are_gone_go_to_those_that_came(brief_cluster, tmp_path, monkeypatch):
    client, asked = brief_cluster, tmp_path / "asked"

    def sees(path, token, dask_worker):
        if dask_worker.name == 2:  # which joins later, on a machine of its own
            asked.touch()
            return False
        return holds_token(path, token)

    monkeypatch.setattr("dhpo.cluster.workers.holds_token", sees)
    search = GridSearchCV(
        Gated(gates=str(tmp_path)), {"number": list(range(8))}, cv=[(np.arange(75), np.arange(75, 150))], verbose=0
    )
    run = search.start(*IRIS)
    try:
        while not any(client.processing().values()):
            time.sleep(0.1)
        pids = client.run(os.getpid)
        client.cluster.scale(3)
        while not asked.exists():
            time.sleep(0.01)
        (tmp_path / "0").touch()
        while run.best is None:
            time.sleep(0.01)
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        while pids.keys() & client.scheduler_info()["workers"].keys():
            time.sleep(0.1)
    finally:
        for gate in "01":
            (tmp_path / gate).touch()
    run.result(timeout=300)
    assert search.best_params_ == {"number": 7}


def test_candidates_of_a_sobol_sequence_are_spread_evenly(client):
    space = {"C": loguniform(1e-2, 1e2), "kernel": ["linear", "rbf"]}
    search = RandomizedSearchCV(SVC(), space, n_iter=8, sampler="sobol", cv=2, random_state=0, verbose=0).fit(*IRIS)
    again = RandomizedSearchCV(SVC(), space, n_iter=8, sampler="sobol", cv=2, random_state=0, verbose=0).fit(*IRIS)
    assert search.cv_results_["params"] == again.cv_results_["params"]
    assert sorted(np.floor(2 * np.log10([p["C"] for p in search.cv_results_["params"]]))) == list(range(-4, 4))
