"""Searches on real clusters: the faces, what they leave, the live handle, and the same answer everywhere."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time

import dask.array as da
import distributed
import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier

import clusters
import dhpo
from dhpo import (
    ASHASearchCV,
    GridSearchCV,
    HyperbandSearchCV,
    IncrementalSearchCV,
    InverseDecaySearchCV,
    Observer,
    RandomizedSearchCV,
    SuccessiveHalvingSearchCV,
)
from dhpo.history.events import Promoted, Reported, StepDone, ThreadsCounted, TrialStarted
from tests.conftest import threads_of_this_process

SPACE = {"alpha": loguniform(1e-5, 1e-1), "penalty": ["l1", "l2"]}
GRID = {"alpha": [1e-4, 1e-3, 1e-2], "penalty": ["l1", "l2"]}
TIMES = ("_time",)


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 6))
    y = (X @ [2.0, -1.0, 0.5, 0, 0, 0] + rng.normal(size=800) > 0).astype(int)
    return X, y


@pytest.fixture(scope="module")
def data(arrays):
    X, y = arrays
    return da.from_array(X, (100, -1)), da.from_array(y, 100)


FACES = {
    "grid": lambda **kw: GridSearchCV(SGDClassifier(), GRID, max_iter=6, **kw),
    "random": lambda **kw: RandomizedSearchCV(SGDClassifier(), SPACE, n_iter=5, max_iter=6, **kw),
    "incremental": lambda **kw: IncrementalSearchCV(SGDClassifier(), SPACE, n_initial_parameters=5, max_iter=6, **kw),
    "incremental grid": lambda **kw: IncrementalSearchCV(
        SGDClassifier(), GRID, n_initial_parameters="grid", max_iter=4, patience=2, tol=0.0, **kw
    ),
    "inverse decay": lambda **kw: InverseDecaySearchCV(
        SGDClassifier(), SPACE, n_initial_parameters=9, max_iter=8, **kw
    ),
    "halving": lambda **kw: SuccessiveHalvingSearchCV(
        SGDClassifier(), SPACE, n_initial_parameters=9, n_initial_iter=2, **kw
    ),
    "hyperband": lambda **kw: HyperbandSearchCV(SGDClassifier(), SPACE, max_iter=9, **kw),
    "asha": lambda **kw: ASHASearchCV(SGDClassifier(), SPACE, n_initial_parameters=9, max_iter=9, **kw),
    "hyperband with patience": lambda **kw: HyperbandSearchCV(SGDClassifier(), SPACE, max_iter=9, patience=True, **kw),
}


def without_times(results):
    return {name: values for name, values in results.items() if not name.endswith(TIMES)}


def assert_identical(one, other):
    left, right = without_times(one.cv_results_), without_times(other.cv_results_)
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)
    assert one.best_params_ == other.best_params_
    for name in ("coef_", "intercept_"):
        if hasattr(one.best_estimator_, name):
            np.testing.assert_array_equal(getattr(one.best_estimator_, name), getattr(other.best_estimator_, name))


@pytest.mark.parametrize("face", FACES)
def test_every_face_leaves_what_scikit_learn_and_dask_ml_leave(client, data, face):
    X, y = data
    search = FACES[face](random_state=0, verbose=0)
    planned = search.metadata
    assert search.fit(X, y, classes=[0, 1]) is search
    results = pd.DataFrame(search.cv_results_)
    assert len(results) == planned["n_models"] == search.metadata_["n_models"] == search.plan().n_trials
    assert results["test_score"].iloc[search.best_index_] == search.best_score_ == results["test_score"].max()
    assert results["rank_test_score"].iloc[search.best_index_] == 1
    assert results["params"].iloc[search.best_index_] == search.best_params_
    assert results["param_alpha"].tolist() == [params["alpha"] for params in results["params"]]
    assert search.metadata_["partial_fit_calls"] == results["partial_fit_calls"].sum()
    if "patience" not in face and face != "incremental grid":
        assert search.metadata_["partial_fit_calls"] == planned["partial_fit_calls"]
    assert search.n_splits_ == 1
    assert search.multimetric_ is False
    assert search.best_estimator_.alpha == search.best_params_["alpha"]
    assert search.classes_.tolist() == [0, 1]
    assert search.scorer_(search.best_estimator_, *data) > 0.7
    records = pd.DataFrame(search.history_)
    assert {"model_id", "params", "partial_fit_calls", "partial_fit_time", "score", "score_time"} <= set(records)
    assert records["elapsed_wall_time"].is_monotonic_increasing
    assert list(search.model_history_) == results["model_id"].tolist()
    assert [h[-1]["score"] for h in search.model_history_.values()] == results["test_score"].tolist()
    summary = search.summary().sort_index()
    assert summary["score"].tolist() == results["test_score"].tolist()
    assert summary.attrs["n_blocks"] == 8
    assert search.metadata_["passes"] == summary.attrs["blocks_read"] / 8 >= 1
    assert isinstance(pickle.loads(pickle.dumps(search)).best_estimator_, SGDClassifier)


def test_hyperband_names_its_models_by_bracket(client, data):
    search = FACES["hyperband"](random_state=0, verbose=0).fit(*data)
    ids = search.cv_results_["model_id"].tolist()
    assert ids[0] == "bracket=2-0"
    assert ids[-1] == "bracket=0-2"
    assert search.cv_results_["bracket"].tolist() == [2] * 9 + [1] * 5 + [0] * 3


CLUSTERS = {
    "one worker": {"workers": 1, "memory": "1GB"},
    "four workers": {"workers": 4, "memory": "1GB"},
    "threads": {"workers": 1, "threads": 4, "processes": False},
}


@pytest.mark.parametrize("kind", CLUSTERS)
@pytest.mark.parametrize("estimator", [SGDClassifier(), MLPClassifier((8,))], ids=["SGD", "MLP"])
def test_the_answer_is_the_same_on_any_cluster(cluster, data, kind, estimator):
    def search():
        space = {"alpha": loguniform(1e-5, 1e-1)}
        return HyperbandSearchCV(estimator, space, max_iter=9, random_state=3, verbose=0).fit(*data, classes=[0, 1])

    with distributed.Client(cluster):
        expected = search()
    with clusters.local(**CLUSTERS[kind]) as other, distributed.Client(other):
        found = search()
    assert_identical(expected, found)


@pytest.mark.parametrize("kind", CLUSTERS)
def test_asha_in_virtual_time_is_the_same_on_any_cluster(cluster, data, kind):
    def search():
        asha = ASHASearchCV(SGDClassifier(), SPACE, 27, max_iter=9, deterministic=8, random_state=3, verbose=0)
        return asha.fit(*data, classes=[0, 1])

    with distributed.Client(cluster):
        expected = search()
    with clusters.local(**CLUSTERS[kind]) as other, distributed.Client(other):
        found = search()
    assert_identical(expected, found)


def test_asha_follows_the_threads_of_its_cluster_and_its_journal_keeps_their_number(cluster, data, tmp_path):
    def search(**given):
        asha = ASHASearchCV(SGDClassifier(), SPACE, 27, max_iter=9, deterministic=True, random_state=3, verbose=0)
        return asha.fit(*data, classes=[0, 1], **given)

    with distributed.Client(cluster):  # two threads
        expected = search()
    counted = [event for event in expected._history.events if isinstance(event, ThreadsCounted)]
    assert [event.n_threads for event in counted] == [2]
    with threads_of_this_process(2) as other, distributed.Client(other):
        run = ASHASearchCV(
            SGDClassifier(),
            SPACE,
            27,
            max_iter=9,
            deterministic=True,
            random_state=3,
            verbose=0,
            callbacks=[StopsEarly()],
        ).start(*data, classes=[0, 1], journal=tmp_path / "run")
        run.result()
    with threads_of_this_process(5) as other, distributed.Client(other):
        found = search(journal=tmp_path / "run")
    assert_identical(expected, found)


class StopsEarly(Observer):
    """Stops a search after its tenth score."""

    def start(self, search):
        self.search, self.n_scores = search, 0

    def event(self, event):
        self.n_scores += isinstance(event, Reported)
        if self.n_scores == 10:
            self.search.stop()


def test_asha_starts_and_promotes_as_workers_get_free(client, data):
    search = ASHASearchCV(SGDClassifier(), SPACE, 27, max_iter=9, random_state=0, verbose=0).fit(*data)
    events = search._history.events
    reports = {1: [], 3: [], 9: []}
    started_after_first_report = 0
    for event in events:
        match event:
            case TrialStarted():
                started_after_first_report += bool(reports[1])
            case Promoted(train):
                below = reports[train.resource // 3]
                promoted = [e.train for e in events[: events.index(event) + 1] if isinstance(e, Promoted)]
                of_rung = [t.trial for t in promoted if t.resource == train.resource]
                assert len(of_rung) <= len(below) // 3
                best = sorted(below, key=lambda r: (-r.score, r.trial))[: len(below) // 3]
                assert train.trial in [report.trial for report in best]
            case Reported(report):
                reports[report.resource].append(report)
    assert {resource: len(found) for resource, found in reports.items()} == {1: 27, 3: 9, 9: 3}
    assert started_after_first_report  # no barrier: not all of a rung were started at once


class Uneven(SGDClassifier):
    """Takes its time."""

    def __init__(self, alpha=1e-4, seconds=0.0):
        super().__init__(alpha=alpha, random_state=0)
        self.seconds = seconds

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        time.sleep(self.seconds)
        return super().partial_fit(X, y, classes=classes)


def ahead_of_its_rung(search):
    """Whether a trial was trained further before it was promoted."""
    allowed = {}
    for event in search._history.events:
        match event:
            case TrialStarted(train=train) | Promoted(train):
                allowed[train.trial] = train.resource
            case StepDone(models=models) if any(m.calls > allowed[m.model] for m in models):
                return True
    return False


@pytest.mark.parametrize("patience", [False, 2])
def test_look_ahead_changes_no_answer(client, data, patience):
    space = [
        {"alpha": np.logspace(-5, 0, 8).tolist(), "seconds": [0.0]},
        {"alpha": [1e-4], "seconds": [0.3]},  # the others wait for it
    ]

    def search(speculate):
        return SuccessiveHalvingSearchCV(
            Uneven(), space, "grid", 3, patience=patience, speculate=speculate, random_state=0, verbose=0
        ).fit(*data, classes=[0, 1])

    ahead, waiting = search(True), search(False)
    assert_identical(ahead, waiting)
    assert ahead.metadata_["partial_fit_calls"] == waiting.metadata_["partial_fit_calls"]
    assert not ahead_of_its_rung(waiting)
    assert waiting.metadata_["wasted_calls"] == 0
    if not patience:  # whose decisions cannot be foreseen
        assert ahead_of_its_rung(ahead)


def test_another_random_state_gives_another_answer(client, data):
    one = FACES["hyperband"](random_state=0, verbose=0).fit(*data)
    other = FACES["hyperband"](random_state=1, verbose=0).fit(*data)
    assert one.cv_results_["params"].tolist() != other.cv_results_["params"].tolist()


def test_a_rerun_of_a_clone_is_identical(client, data):
    search = FACES["hyperband"](random_state=np.random.RandomState(5), verbose=0)
    assert_identical(clone(search).fit(*data), clone(search).fit(*data))


class Fragile(SGDClassifier):
    """Raises, gives nan or cannot be pickled, as `fault` says, when it is called for the third time."""

    def __init__(self, fault="none", alpha=1e-4, random_state=None):
        super().__init__(alpha=alpha, random_state=random_state)
        self.fault = fault

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        self.calls_ = getattr(self, "calls_", 0) + 1
        if self.calls_ == 3:
            if self.fault == "raise":
                raise RuntimeError("the third call is bad")
            if self.fault == "pickle":
                self.lock_ = threading.Lock()
        return super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)

    def score(self, X, y):
        if self.calls_ >= 3 and self.fault in ("nan", "inf"):
            return float(self.fault)
        return super().score(X, y)


@pytest.mark.parametrize("fault", ["raise", "nan", "inf", "pickle"])
def test_a_trial_that_fails_costs_that_trial_alone(client, data, fault):
    space = [{"fault": ["none"], "alpha": [1e-4, 1e-3, 1e-2]}, {"fault": [fault], "alpha": [1e-4, 1e-3]}]
    search = GridSearchCV(Fragile(), space, max_iter=5, random_state=0, verbose=0).fit(*data, classes=[0, 1])
    bad = np.array([params["fault"] != "none" for params in search.cv_results_["params"]])
    assert np.isnan(search.cv_results_["test_score"]).tolist() == bad.tolist()
    assert search.best_params_["fault"] == "none"
    assert search.cv_results_["rank_test_score"][bad].tolist() == [4, 4]
    summary = search.summary().sort_index()
    assert (summary["status"] == "failed").tolist() == bad.tolist()
    if fault == "raise":
        assert summary["error"][bad].tolist() == ["RuntimeError: the third call is bad"] * 2
        assert summary["resource"].tolist() == [5, 5, 5, 2, 2]
    alone = GridSearchCV(Fragile(), space[0], max_iter=5, random_state=0, verbose=0).fit(*data, classes=[0, 1])
    np.testing.assert_array_equal(search.cv_results_["test_score"][~bad], alone.cv_results_["test_score"])


def test_a_search_of_failures_alone_ends_in_an_error_with_the_first_traceback(client, data):
    search = GridSearchCV(Fragile(fault="raise"), {"alpha": [1e-4, 1e-3]}, max_iter=5, verbose=0)
    with pytest.raises(dhpo.SearchFailed, match=r"none of 2 trials.*[\s\S]*the third call is bad"):
        search.fit(*data, classes=[0, 1])
    assert len(search.summary()) == 2
    with pytest.raises(NotFittedError):
        search.predict(data[0])


def test_the_live_handle_tells_stops_and_gives_a_usable_result(client, data):
    search = IncrementalSearchCV(
        SGDClassifier(), SPACE, n_initial_parameters=4, max_iter=20_000, random_state=0, verbose=0
    )
    run = search.start(*data, classes=[0, 1])
    with pytest.raises(TimeoutError):
        run.result(timeout=0.2)
    wait_until(lambda: run.best is not None)
    live = run.summary()
    assert 1 <= len(live) <= 4  # those that were begun
    assert set(live["status"]) <= {"running", "waiting"}
    assert not run.done
    run.stop()
    assert run.result() is search
    assert run.done
    assert search.best_score_ == search.summary()["score"].max() > 0.7
    assert 0 < search.metadata_["partial_fit_calls"] < 80_000
    assert search.score(*data) > 0.7


def test_start_goes_on_while_others_use_the_client(client, data):
    run = FACES["hyperband"](random_state=0, verbose=0).start(*data, classes=[0, 1])
    assert client.submit(sum, [1, 2]).result() == 3
    assert run.result().best_score_ > 0.7


def test_two_searches_at_once(client, data):
    runs = [FACES["hyperband"](random_state=0, verbose=0).start(*data, classes=[0, 1]) for _ in range(2)]
    one, other = (run.result() for run in runs)
    assert_identical(one, other)


def test_a_worker_that_is_killed_changes_nothing(data):
    class Slow(SGDClassifier):
        def partial_fit(self, X, y, classes=None, sample_weight=None):
            import time

            time.sleep(0.02)  # long enough that the kill falls into a step
            return super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)

    def search():
        return HyperbandSearchCV(Slow(), SPACE, max_iter=9, random_state=0, verbose=0)

    with (
        clusters.local(workers=2, memory="1GB") as cluster,
        distributed.Client(cluster) as client,
    ):
        expected = search().fit(*data, classes=[0, 1])
        run = search().start(*data, classes=[0, 1])
        wait_until(lambda: run.best is not None)
        victim = next(iter(client.run(os.getpid).values()))
        os.kill(victim, signal.SIGKILL)
        assert_identical(expected, run.result())


def test_models_travel_where_workers_share_no_folder_with_the_driver(client, data, monkeypatch):
    expected = FACES["hyperband"](random_state=0, verbose=0).fit(*data)

    async def shares_nothing(self, token):
        return False

    monkeypatch.setattr("dhpo.cluster.workers.Workers.share_folder", shares_nothing)
    assert_identical(expected, FACES["hyperband"](random_state=0, verbose=0).fit(*data))
    persisted = [part.persist() for part in data]
    assert_identical(expected, FACES["hyperband"](random_state=0, verbose=0).fit(*persisted))


def wait_until(condition, seconds=300):
    event = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        event.wait(0.01)
    raise TimeoutError("the condition never came true")
