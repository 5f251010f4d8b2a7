"""Cross-validation, and several metrics, over blocks."""

from __future__ import annotations

import time
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.metrics import accuracy_score, f1_score, fbeta_score, make_scorer, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold

import dhpo
from dhpo.data.holdout import fold_of_rows
from dhpo.data.order import PassOrder
from dhpo.errors import SearchFailed
from dhpo.space.seeds import seed_for
from dhpo.worker.model_making import new_model

CHUNK, BLOCKS, FOLDS = 50, 4, 3
RNG = np.random.default_rng(0)
X = RNG.standard_normal((CHUNK * BLOCKS, 5))
Y = (X[:, 0] + 0.5 * RNG.standard_normal(len(X)) > 0.5).astype(int)
LAZY = da.from_array(X, (CHUNK, -1)), da.from_array(Y, CHUNK)
GRID = {"alpha": [1e-4, 1e-2, 1.0]}
SEED = {"random_state": 0, "verbose": 0}


def without_times(results):
    return {name: np.asarray(v).tolist() for name, v in results.items() if "time" not in name}


def by_hand(calls, alpha, number, fold):
    """The model of one fold of one candidate, trained by a plain loop."""
    order = PassOrder(range(BLOCKS), seed_for(0, 0, "order"))
    model = new_model(SGDClassifier(), {"alpha": alpha}, 0, number)
    for call in range(calls):
        block = order.block_at(call)
        rows = slice(block * CHUNK, (block + 1) * CHUNK)
        keep = slice(None)
        if fold is not None:
            keep = fold_of_rows(CHUNK, FOLDS, seed_for(0, 0, "split"), block, Y[rows]) != fold
        model.partial_fit(X[rows][keep], Y[rows][keep], **({} if call else {"classes": [0, 1]}))
    return model


def test_folds_are_those_of_a_plain_loop(client):
    search = dhpo.GridSearchCV(SGDClassifier(), GRID, max_iter=6, cv=FOLDS, **SEED).fit(*LAZY)
    assert search.n_splits_ == FOLDS
    folds = np.concatenate(
        [fold_of_rows(CHUNK, FOLDS, seed_for(0, 0, "split"), b, Y[b * CHUNK :][:CHUNK]) for b in range(BLOCKS)]
    )
    for number, alpha in enumerate(GRID["alpha"]):
        for fold in range(FOLDS):
            model = by_hand(6, alpha, number, fold)
            score = accuracy_score(Y[folds == fold], model.predict(X[folds == fold]))
            assert search.cv_results_[f"split{fold}_test_score"][number] == score
    splits = np.stack([search.cv_results_[f"split{fold}_test_score"] for fold in range(FOLDS)])
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], splits.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(search.cv_results_["std_test_score"], splits.std(axis=0), rtol=1e-12)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert search.cv_results_["partial_fit_calls"].tolist() == [6, 6, 6]
    refitted = by_hand(6, search.best_params_["alpha"], search.best_index_, None)
    np.testing.assert_array_equal(search.best_estimator_.coef_, refitted.coef_)
    assert search.best_estimator_.t_ == 6 * CHUNK + 1  # all rows, six blocks


FACES = {
    "grid": lambda **kw: dhpo.GridSearchCV(SGDClassifier(), GRID, max_iter=6, **kw),
    "random": lambda **kw: dhpo.RandomizedSearchCV(SGDClassifier(), GRID, n_iter=2, max_iter=6, **kw),
    "incremental": lambda **kw: dhpo.IncrementalSearchCV(SGDClassifier(), GRID, 2, max_iter=6, fits_per_score=3, **kw),
    "inverse decay": lambda **kw: dhpo.InverseDecaySearchCV(SGDClassifier(), GRID, 3, max_iter=6, **kw),
    "halving": lambda **kw: dhpo.SuccessiveHalvingSearchCV(SGDClassifier(), GRID, 3, 2, max_iter=6, **kw),
    "hyperband": lambda **kw: dhpo.HyperbandSearchCV(SGDClassifier(), GRID, max_iter=9, **kw),
}


@pytest.fixture(scope="module")
def others():
    """Clusters that every search has to give the same answer on."""
    loopback = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=4, threads_per_worker=1, memory_limit="1GB", **loopback) as many,
        LocalCluster(n_workers=1, threads_per_worker=3, processes=False, protocol="tcp://", **loopback) as threads,
        Client(many, set_as_default=False) as one,
        Client(threads, set_as_default=False) as other,
    ):
        yield [one, other]


@pytest.mark.parametrize("face", FACES)
def test_any_cluster_gives_the_same_answer(client, others, face):
    options = {"cv": FOLDS, "scoring": ["accuracy", "f1", "roc_auc"], "refit": "f1", **SEED}
    expected = FACES[face](**options).fit(*LAZY)
    assert len([name for name in expected.cv_results_ if name.startswith("split")]) == 9
    for other in others:
        with other.as_current():
            search = FACES[face](**options).fit(*LAZY)
        np.testing.assert_equal(without_times(search.cv_results_), without_times(expected.cv_results_))
        np.testing.assert_array_equal(search.best_estimator_.coef_, expected.best_estimator_.coef_)
        assert search.best_params_ == expected.best_params_


def test_workers_that_share_no_folder_give_the_same_answer(client, monkeypatch):
    search = FACES["hyperband"](cv=FOLDS, **SEED)
    expected = clone(search).fit(*LAZY)

    async def shares_nothing(self, token):
        return False

    monkeypatch.setattr("dhpo.cluster.workers.Workers.share_folder", shares_nothing)
    search.fit(*LAZY)
    np.testing.assert_equal(without_times(search.cv_results_), without_times(expected.cv_results_))
    np.testing.assert_array_equal(search.best_estimator_.coef_, expected.best_estimator_.coef_)


def test_folds_of_a_trial_share_the_reads_of_blocks(client):
    alone = FACES["grid"](**SEED).fit(*LAZY).metadata_
    folded = FACES["grid"](cv=FOLDS, **SEED).fit(*LAZY).metadata_
    assert folded["blocks_read"] <= alone["blocks_read"] + 2 * BLOCKS


@pytest.mark.parametrize("cv", [KFold(FOLDS), StratifiedKFold(FOLDS, shuffle=True)])
def test_splitters_that_mean_a_number_of_folds_are_taken(client, cv):
    expected = FACES["grid"](cv=FOLDS, **SEED).fit(*LAZY)
    search = FACES["grid"](cv=cv, **SEED).fit(*LAZY)
    np.testing.assert_equal(without_times(search.cv_results_), without_times(expected.cv_results_))


@pytest.mark.parametrize("cv", [1, 0, True, 2.5, [(np.arange(2), np.arange(2))], "five"])
def test_other_splitters_are_refused_at_the_door(cv):
    with pytest.raises(ValueError, match=r"cv=.* is not allowed over blocks"):
        FACES["hyperband"](cv=cv).fit(*LAZY)


def test_folds_and_a_hold_out_exclude_each_other():
    with pytest.raises(ValueError, match="cv=3 and test_size"):
        FACES["grid"](cv=3, test_size=0.1).fit(*LAZY)
    with pytest.raises(ValueError, match="cv=3 and validation_data"):
        FACES["grid"](cv=3).fit(*LAZY, validation_data=LAZY)


def test_fewer_rows_than_folds_are_refused(client):
    with pytest.raises(ValueError, match=r"cv=9 needs at least as many rows; X has n_samples=8"):
        FACES["grid"](cv=9, **SEED).fit(da.from_array(X[:8], (4, -1)), da.from_array(Y[:8], 4))


class Fails(ClassifierMixin, BaseEstimator):
    """Raises where it sees the row that begins with `at`, or as many rows as `on`."""

    def __init__(self, at=None, on=None, bias=0):
        self.at = at
        self.on = on
        self.bias = bias

    def partial_fit(self, X, y, classes=None):
        self.classes_ = np.array([0, 1])
        if (self.at is not None and self.at in X[:, 0]) or len(X) == self.on:
            raise RuntimeError("it sees the row")
        return self

    fit = partial_fit

    def predict(self, X):
        return np.full(len(X), self.bias)


def test_a_fold_that_fails_fails_its_trial(client):
    space = [{"bias": [0]}, {"at": [X[7, 0]], "bias": [0]}]
    search = dhpo.GridSearchCV(Fails(), space, max_iter=BLOCKS, cv=FOLDS, **SEED).fit(*LAZY)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    assert search.best_params_ == {"bias": 0}
    assert "it sees the row" in search.summary()["error"][1]
    assert search.predict(X).tolist() == [0] * len(X)


def test_folds_that_fail_together_cost_their_trial_alone(client, others):
    # A negative alpha is refused by each fold's first call, all of them in one step.
    grid = {"alpha": [1e-3, -1.0, 1e-2]}
    searches = [dhpo.GridSearchCV(SGDClassifier(), grid, max_iter=4, cv=FOLDS, **SEED).fit(*LAZY)]
    for other in others:
        with other.as_current():
            searches.append(dhpo.GridSearchCV(SGDClassifier(), grid, max_iter=4, cv=FOLDS, **SEED).fit(*LAZY))
    for search in searches:
        assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True, False]
        np.testing.assert_equal(without_times(search.cv_results_), without_times(searches[0].cv_results_))


def test_a_refit_that_fails_is_an_error_and_what_was_scored_stays(client):
    search = dhpo.GridSearchCV(Fails(on=CHUNK), {"bias": [0]}, max_iter=2, cv=FOLDS, **SEED)
    message = r"trial 0 is the best, but training it again on all rows failed:[\s\S]*it sees the row"
    with pytest.raises(SearchFailed, match=message):
        search.fit(*LAZY)
    assert search.best_params_ == {"bias": 0}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    with pytest.raises(NotFittedError):
        search.predict(X)


def test_no_refit_leaves_no_model(client):
    search = FACES["hyperband"](cv=FOLDS, refit=False, **SEED).fit(*LAZY)
    assert search.best_params_ in search.cv_results_["params"].tolist()
    assert not hasattr(search, "best_estimator_")
    assert not hasattr(search, "predict")
    with pytest.raises(AttributeError, match="refit=False"):
        search.score(X, Y)


def test_regressors_and_clusterers(client):
    target = X @ [2.0, -1.0, 0.5, 0.0, 0.0]
    search = dhpo.HyperbandSearchCV(SGDRegressor(), GRID, max_iter=9, cv=2, **SEED)
    assert search.fit(LAZY[0], da.from_array(target, CHUNK)).best_score_ > 0.6
    search = dhpo.GridSearchCV(MiniBatchKMeans(n_init=1), {"n_clusters": [2, 3]}, max_iter=3, cv=2, **SEED)
    assert search.fit(LAZY[0]).cv_results_["split1_test_score"].shape == (2,)


METRICS = {
    "accuracy": "accuracy",
    "f2": make_scorer(fbeta_score, beta=2),
    "auc": "roc_auc",
    "loss": "neg_log_loss",
    "own": lambda model, X, y: float(np.mean(model.decision_function(X)[y == 1])),
}


def test_several_metrics_are_those_of_scikit_learn_on_all_validation_rows(client):
    held_out = RNG.standard_normal((130, 5))
    labels = (held_out[:, 0] > 0.3).astype(int)
    search = dhpo.GridSearchCV(
        SGDClassifier(loss="log_loss"), GRID, max_iter=6, scoring=METRICS, refit="f2", **SEED
    ).fit(*LAZY, validation_data=(da.from_array(held_out, (40, -1)), da.from_array(labels, 40)))
    model, row = search.best_estimator_, search.best_index_
    found = {name: search.cv_results_[f"mean_test_{name}"][row] for name in METRICS}
    assert search.multimetric_
    assert set(search.scorer_) == set(METRICS)
    for name, scorer in search.scorer_.items():
        assert found[name] == pytest.approx(scorer(model, held_out, labels), rel=1e-12), name
    assert found["f2"] == search.best_score_ == search.score(held_out, labels)
    assert found["auc"] == roc_auc_score(labels, model.decision_function(held_out))
    record = search.model_history_[row][-1]
    assert (record["score"], record["test_auc"]) == (found["f2"], found["auc"])
    assert search.score(da.from_array(held_out, (40, -1)), da.from_array(labels, 40)) == found["f2"]


def test_the_metric_named_by_refit_decides(client):
    for deciding, other in (("accuracy", "recall"), ("recall", "accuracy")):
        search = dhpo.GridSearchCV(
            Fails(), {"bias": [0, 1]}, max_iter=1, scoring=[deciding, other], refit=deciding, **SEED
        )
        search.fit(*LAZY)
        assert search.best_params_ == {"bias": int(deciding == "recall")}
        assert search.cv_results_[f"rank_test_{other}"][search.best_index_] == 2
        assert f1_score(Y, search.predict(X), zero_division=0) >= 0


def test_a_metric_that_fails_costs_its_trial_only_where_it_decides(client):
    def broken(model, X, y):
        raise RuntimeError("no score")

    scoring = {"good": "accuracy", "bad": broken}
    search = dhpo.GridSearchCV(Fails(), {"bias": [0, 1]}, max_iter=1, scoring=scoring, refit="good", **SEED).fit(*LAZY)
    assert np.isnan(search.cv_results_["mean_test_bad"]).all()
    assert np.isfinite(search.cv_results_["mean_test_good"]).all()
    with pytest.raises(SearchFailed, match="no score"):
        dhpo.GridSearchCV(Fails(), {"bias": [0]}, max_iter=1, scoring=scoring, refit="bad", **SEED).fit(*LAZY)


@pytest.mark.parametrize(
    ("scoring", "refit", "error", "said"),
    [
        (["accuracy", "f1"], True, ValueError, "refit=True .*'accuracy', 'f1'"),
        (["accuracy", "f1"], False, ValueError, "refit=False"),
        (["accuracy", "f1"], "recall", ValueError, "refit='recall'"),
        ("accuracy", "f1", ValueError, "refit='f1' is not allowed with a single metric"),
        ("accuracy", lambda results: 0, TypeError, "not supported over blocks"),
        (["accuracy", "accuracy"], "accuracy", ValueError, "more than once"),
        (["accuracy", "wrong"], "accuracy", ValueError, "scoring='wrong' is not the name of a scorer"),
        ({}, "accuracy", TypeError, "scoring={}"),
        ({"a": None}, "a", ValueError, "'a' is None"),
        (3, True, TypeError, "scoring=3"),
    ],
)
def test_metrics_are_checked_at_the_door(scoring, refit, error, said):
    with pytest.raises(error, match=said):
        FACES["hyperband"](scoring=scoring, refit=refit).fit(*LAZY)


def test_the_hold_out_is_stratified_for_classifiers(client):
    rare = np.zeros(400, dtype=int)
    rare[::20] = 1  # five of each hundred, and one of them is held out
    seen = {}

    def count(model, X, y):
        model.predict(X)
        return float(np.bincount(y, minlength=2)[1])

    data = da.from_array(RNG.standard_normal((400, 2)), (100, -1)), da.from_array(rare, 100)
    for name, estimator in (("classifier", SGDClassifier()), ("regressor", SGDRegressor())):
        scores = {
            seed: dhpo.GridSearchCV(
                estimator, {"alpha": [1e-3]}, max_iter=1, scoring=count, test_size=0.2, random_state=seed, verbose=0
            )
            .fit(*data)
            .best_score_
            for seed in range(4)
        }
        seen[name] = set(scores.values())
    assert seen["classifier"] == {4.0}
    assert seen["regressor"] != {4.0}


class Racing(Fails):
    """Touches files when it comes somewhere, and waits for files to be there."""

    def __init__(self, folder="", bias=0):
        super().__init__(bias=bias)
        self.folder = folder

    def partial_fit(self, X, y, classes=None):
        if len(X) == CHUNK:  # it is the best, and is trained on all rows
            Path(self.folder, "refitted").touch()
            self.wait_for("end")
        elif self.bias:
            self.wait_for("go on")
        return super().partial_fit(X, y)

    fit = partial_fit

    def wait_for(self, name):
        ends_at = time.monotonic() + 300
        while not Path(self.folder, name).exists():
            assert time.monotonic() < ends_at
            time.sleep(0.01)

    def predict(self, X):
        if self.bias:
            Path(self.folder, "scored").touch()
        return super().predict(X)


def test_a_trial_that_would_take_the_lead_while_the_best_is_trained_on_all_rows_comes_too_late(client, tmp_path):
    labels = da.ones(len(Y), dtype=int, chunks=CHUNK)  # of which bias=1 is right
    search = dhpo.GridSearchCV(Racing(), {"folder": [str(tmp_path)], "bias": [0, 1]}, max_iter=1, cv=2, **SEED)
    run = search.start(LAZY[0], labels, classes=[0, 1])
    while run.best is None:
        time.sleep(0.01)
    run.stop()
    (racing := Racing(tmp_path)).wait_for("refitted")
    (tmp_path / "go on").touch()
    racing.wait_for("scored")
    ends_at = time.monotonic() + 1
    while run.best.trial.number == 0 and time.monotonic() < ends_at:  # which would be an error
        time.sleep(0.01)
    (tmp_path / "end").touch()
    run.result()
    assert search.best_params_["bias"] == search.best_estimator_.bias == 0
