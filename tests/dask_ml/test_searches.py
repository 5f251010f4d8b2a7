"""What dask-ml documents of its searches holds for those of the same names here, or the error says what to write.

In our own words, from its documentation and its behaviour; what differs on purpose is in the table of
docs/how-to/migrate.md, and tested to be so.
"""

from __future__ import annotations

import asyncio
import inspect
import pickle

import dask.array as da
import dask.dataframe as dd
import dask_ml.model_selection
import distributed
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import sklearn.model_selection
from dask import delayed
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GroupKFold, ShuffleSplit
from sklearn.svm import SVC

import dhpo

INCREMENTAL = ["IncrementalSearchCV", "InverseDecaySearchCV", "SuccessiveHalvingSearchCV", "HyperbandSearchCV"]
WHOLE = ["GridSearchCV", "RandomizedSearchCV"]
SPACE = {"alpha": scipy.stats.loguniform(1e-5, 1e-1), "average": [True, False]}
QUIET = {"random_state": 0, "verbose": False}


@pytest.fixture(scope="module")
def arrays():
    X = np.random.default_rng(0).normal(size=(300, 4))
    return X, (X @ [2.0, -1.0, 0.5, 0.0] > 0).astype(int)


@pytest.fixture(scope="module")
def lazy(arrays):
    return da.from_array(arrays[0], (60, -1)), da.from_array(arrays[1], 60)


def make(name, estimator=None, space=None, **options):
    if name == "SuccessiveHalvingSearchCV":
        options = {"n_initial_parameters": 6, "n_initial_iter": 2, **options}
    else:
        options = {"max_iter": 9, **options}
    estimator = SGDClassifier(tol=1e-3) if estimator is None else estimator
    return getattr(dhpo, name)(estimator, SPACE if space is None else space, **{**QUIET, **options})


class Constant(ClassifierMixin, BaseEstimator):
    """Scores its `value` whatever it sees, or that and `slope` for each call."""

    def __init__(self, value=0.0, slope=0.0):
        self.value = value
        self.slope = slope

    def partial_fit(self, X, y=None, classes=None):
        self.calls_ = getattr(self, "calls_", 0) + 1
        self.type_ = type(X).__name__
        return self

    def fit(self, X, y=None):
        return self.partial_fit(X, y)

    def score(self, X, y=None):
        return self.value + self.slope * self.calls_


def signatures(name):
    return tuple(inspect.signature(getattr(of, name)).parameters for of in (dask_ml.model_selection, dhpo))


@pytest.mark.parametrize("name", INCREMENTAL)
def test_parameters_have_their_names_order_and_defaults(name):
    theirs, ours = signatures(name)
    assert list(ours)[: len(theirs)] == list(theirs)
    others = {key for key, parameter in theirs.items() if repr(parameter.default) != repr(ours[key].default)}
    assert others <= {"verbose", "decay_rate"}  # progress is drawn on terminals alone; decay is deprecated


@pytest.mark.parametrize("name", WHOLE)
def test_parameters_are_those_of_scikit_learn_where_the_two_differ(name):
    theirs, ours = signatures(name)
    assert theirs.keys() - ours.keys() == {"iid", "scheduler", "cache_cv"}
    scikit_learn = inspect.signature(getattr(sklearn.model_selection, name)).parameters
    for key in theirs.keys() & scikit_learn.keys():
        assert ours[key].kind == scikit_learn[key].kind
        assert repr(ours[key].default) == repr(scikit_learn[key].default)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize(("gone", "instead"), [("iid", "plain"), ("scheduler", "Client"), ("cache_cv", "leave it out")])
def test_a_parameter_that_is_gone_is_told_with_what_to_write_instead(name, gone, instead):
    with pytest.raises(TypeError, match=f"{name} has no {gone}=, unlike dask-ml's: .*{instead}"):
        getattr(dhpo, name)(SVC(), {"C": [1]}, **{gone: None})


@pytest.mark.parametrize("name", INCREMENTAL)
def test_what_a_search_leaves(client, arrays, lazy, name):
    search = make(name).fit(*lazy, classes=[0, 1])
    results = search.cv_results_
    n_models = len(results["params"])
    assert {
        *("mean_partial_fit_time", "std_partial_fit_time", "mean_score_time", "std_score_time", "test_score"),
        *("rank_test_score", "model_id", "params", "partial_fit_calls", "param_alpha", "param_average"),
    } <= results.keys()
    assert all(isinstance(column, np.ndarray) and len(column) == n_models for column in results.values())
    assert len(set(results["model_id"].tolist())) == n_models == len(search.model_history_)
    assert results["rank_test_score"][search.best_index_] == 1
    assert isinstance(search.best_index_, int)
    assert search.best_params_ == results["params"][search.best_index_]
    assert search.best_score_ == results["test_score"][search.best_index_] == results["test_score"].max()
    assert isinstance(search.best_estimator_, SGDClassifier)
    assert (search.multimetric_, search.n_splits_) == (False, 1)
    assert callable(search.scorer_)
    assert search.classes_.tolist() == [0, 1]
    for record in search.history_:
        assert {
            *("model_id", "params", "partial_fit_calls", "partial_fit_time", "score", "score_time"),
            "elapsed_wall_time",
        } <= record.keys()
        assert record in search.model_history_[record["model_id"]]
    assert np.all(np.diff([record["elapsed_wall_time"] for record in search.history_]) >= 0)
    for records in search.model_history_.values():
        assert np.all(np.diff([record["partial_fit_calls"] for record in records]) >= 1)
    assert search.score(*arrays) > 0.8


@pytest.mark.parametrize("name", INCREMENTAL)
def test_metadata_is_what_ran_where_nothing_ends_early(client, lazy, name):
    search = make(name).fit(*lazy)
    planned, done = search.metadata, search.metadata_
    if name == "HyperbandSearchCV":
        assert [sorted(b) for b in planned["brackets"]] == [sorted(b) for b in done["brackets"]]
    assert planned.items() <= done.items()


@pytest.mark.parametrize(
    ("max_iter", "aggressiveness"), [(1, 3), (9, 3), (27, 3), (81, 3), (64, 4), (16, 2), (30, 3), (253, 3.5)]
)
def test_hyperband_has_the_brackets_of_dask_ml(max_iter, aggressiveness):
    options = {"max_iter": max_iter, "aggressiveness": aggressiveness}
    theirs = dask_ml.model_selection.HyperbandSearchCV(Constant(), {"value": [1]}, **options).metadata
    ours = dhpo.HyperbandSearchCV(Constant(), {"value": [1]}, **options).metadata
    assert ours["n_models"] == theirs["n_models"]
    assert [b["n_models"] for b in ours["brackets"]] == [b["n_models"] for b in theirs["brackets"]]
    if float(np.log(max_iter) / np.log(aggressiveness)).is_integer():
        assert ours["partial_fit_calls"] == theirs["partial_fit_calls"]
        assert [b["decisions"] for b in ours["brackets"]] == [sorted(b["decisions"]) for b in theirs["brackets"]]


@pytest.mark.parametrize(("max_iter", "calls"), [(15, 111), (20, 148), (30, 390)])
def test_hyperbands_last_rungs_are_at_max_iter_where_it_is_no_power(max_iter, calls):
    metadata = dhpo.HyperbandSearchCV(Constant(), {"value": [1]}, max_iter=max_iter).metadata
    assert metadata["partial_fit_calls"] == calls
    assert {bracket["decisions"][-1] for bracket in metadata["brackets"]} == {max_iter}


def test_each_bracket_of_hyperband_can_be_run_by_itself(client, lazy):
    space = {"value": scipy.stats.uniform(0, 1)}
    hyperband = dhpo.HyperbandSearchCV(Constant(), space, max_iter=9, random_state=3, verbose=False)
    seeds = set()
    for bracket in hyperband.metadata["brackets"]:
        params = bracket["SuccessiveHalvingSearchCV params"]
        seeds.add(params["random_state"])
        search = dhpo.SuccessiveHalvingSearchCV(Constant(), space, **params).fit(*lazy)
        assert search.metadata_["n_models"] == bracket["n_models"]
        assert search.metadata_["partial_fit_calls"] == bracket["partial_fit_calls"]
    assert len(seeds) == len(hyperband.metadata["brackets"])


def test_hyperband_tells_its_models_by_bracket(client, lazy):
    search = make("HyperbandSearchCV").fit(*lazy)
    assert all(model_id.startswith("bracket=") for model_id in search.cv_results_["model_id"])
    for row in pd.DataFrame(search.cv_results_).to_dict("records"):
        last = search.model_history_[row["model_id"]][-1]
        assert (row["bracket"], row["params"], row["test_score"]) == (last["bracket"], last["params"], last["score"])


def test_halving_by_a_fraction_runs(client, lazy):
    space = {"value": scipy.stats.uniform(0, 1)}
    search = dhpo.SuccessiveHalvingSearchCV(Constant(), space, 20, 2, aggressiveness=2.5, **QUIET).fit(*lazy)
    values, counts = np.unique(search.cv_results_["partial_fit_calls"], return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {2: 12, 5: 5, 12: 2, 31: 1}
    assert search.best_score_ == search.cv_results_["param_value"].max()


@pytest.mark.parametrize("name", INCREMENTAL)
def test_the_same_random_state_gives_the_same_answer(client, lazy, name):
    one, other = (make(name).fit(*lazy) for _ in range(2))
    np.testing.assert_array_equal(one.cv_results_["test_score"], other.cv_results_["test_score"])
    np.testing.assert_array_equal(one.best_estimator_.coef_, other.best_estimator_.coef_)


def test_a_grid_is_searched_whole(client, lazy):
    grid = {"alpha": [1e-4, 1e-3, 1e-2], "average": [True, False]}
    search = make("IncrementalSearchCV", space=grid, n_initial_parameters="grid", max_iter=2).fit(*lazy)
    found = {tuple(sorted(params.items())) for params in search.cv_results_["params"]}
    assert len(found) == len(search.cv_results_["params"]) == 6


def test_patience_stops_what_does_not_improve_and_goes_on_with_what_does(client, lazy):
    options = {"patience": 3, "max_iter": 12, "n_initial_parameters": 3}
    still = make("IncrementalSearchCV", Constant(), {"value": [0.1, 0.5, 0.9]}, tol=0, **options).fit(*lazy)
    assert still.metadata_["max_iter"] < 12
    assert still.best_score_ == still.cv_results_["param_value"].max()
    rising = make("IncrementalSearchCV", Constant(slope=1.0), {"value": [0.1, 0.2, 0.3]}, tol=1, **options).fit(*lazy)
    assert set(rising.cv_results_["partial_fit_calls"]) == {12}
    for tol in (None, np.nan, -10):
        never = make("IncrementalSearchCV", Constant(), {"value": [0.1, 0.5, 0.9]}, tol=tol, **options).fit(*lazy)
        assert set(never.cv_results_["partial_fit_calls"]) == {12}


def test_patience_lower_than_hyperbands_own_is_warned_of(client, lazy):
    with pytest.warns(UserWarning, match="patience=2 stops trials that Hyperband would go on with"):
        make("HyperbandSearchCV", Constant(), {"value": [0.1, 0.5]}, patience=2).fit(*lazy)


def test_inverse_decay_drops_models_on_the_way(client, lazy):
    search = make("InverseDecaySearchCV", n_initial_parameters=8, max_iter=20).fit(*lazy)
    assert len(set(search.cv_results_["partial_fit_calls"])) > 2
    assert len(set(make("InverseDecaySearchCV", decay_rate=0).fit(*lazy).cv_results_["partial_fit_calls"])) == 1


def test_the_former_name_of_fits_per_score_warns_and_works(client, lazy):
    options = {"n_initial_parameters": 2, "max_iter": 9}
    with pytest.warns(UserWarning, match="scores_per_fit is deprecated .* use fits_per_score=3"):
        former = make("IncrementalSearchCV", scores_per_fit=3, **options).fit(*lazy)
    now = make("IncrementalSearchCV", fits_per_score=3, **options).fit(*lazy)
    for search in (former, now):
        calls = [[record["partial_fit_calls"] for record in records] for records in search.model_history_.values()]
        assert calls == [[3, 6, 9], [3, 6, 9]]


def test_a_decay_rate_of_incremental_search_warns_and_does_nothing(client, lazy):
    with pytest.warns(
        FutureWarning, match=r"decay_rate is deprecated .* Use InverseDecaySearchCV\(\.\.\., decay_rate=1"
    ):
        search = make("IncrementalSearchCV", decay_rate=1, n_initial_parameters=3).fit(*lazy)
    assert set(search.cv_results_["partial_fit_calls"]) == {9}


def test_max_iter_is_exact_whatever_the_steps_between_scores(client, lazy):
    search = make("IncrementalSearchCV", fits_per_score=4, max_iter=10, n_initial_parameters=2).fit(*lazy)
    assert {r["partial_fit_calls"] for r in search.history_} == {4, 8, 10}


def test_fit_is_awaited_with_an_asynchronous_client(cluster, arrays, lazy):
    async def search():
        async with distributed.Client(cluster.scheduler_address, asynchronous=True) as client:
            classes = client.compute(da.unique(lazy[1]))
            return await asyncio.wait_for(make("HyperbandSearchCV").fit(*lazy, classes=classes), 300)

    found = asyncio.run(search())
    assert found.classes_.tolist() == [0, 1]
    assert found.predict(arrays[0]).shape == (300,)


def test_arrays_in_memory_are_one_block(client, arrays):
    search = make("IncrementalSearchCV", n_initial_parameters=2).fit(*arrays, classes=[0, 1])
    assert search.metadata_["n_blocks"] == 1
    assert search.best_score_ > 0


def test_frames_reach_the_estimator_as_frames_and_their_arrays_as_arrays(client, arrays):
    frame = dd.from_pandas(pd.DataFrame(arrays[0], columns=list("abcd")), npartitions=3)
    y = dd.from_pandas(pd.Series(arrays[1]), npartitions=3)
    space = {"value": [0.5]}
    as_they_are = make("IncrementalSearchCV", Constant(), space, n_initial_parameters=1).fit(frame, y)
    assert as_they_are.best_estimator_.type_ == "DataFrame"
    for X in (frame.to_dask_array(), frame.to_dask_array(lengths=True)):
        search = make("IncrementalSearchCV", Constant(), space, n_initial_parameters=1).fit(X, y.to_dask_array())
        assert search.best_estimator_.type_ == "ndarray"


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "decision_function"])
def test_prediction_on_a_dask_array_is_lazy_and_that_on_an_array_is_not(client, arrays, lazy, method):
    estimator = SGDClassifier(loss="log_loss")
    search = make("IncrementalSearchCV", estimator, {"alpha": [1.0]}, n_initial_parameters=1, max_iter=2).fit(*lazy)
    at_once, later = getattr(search, method)(arrays[0]), getattr(search, method)(lazy[0])
    assert isinstance(at_once, np.ndarray)
    assert isinstance(later, da.Array)
    assert later.chunks[0] == lazy[0].chunks[0]
    np.testing.assert_allclose(later.compute(), at_once)


def test_a_search_for_clusters_transforms(client, arrays, lazy):
    search = dhpo.IncrementalSearchCV(MiniBatchKMeans(), {"n_clusters": [2, 3]}, "grid", max_iter=3, **QUIET).fit(
        lazy[0]
    )
    assert search.transform(arrays[0]).shape == (300, search.best_params_["n_clusters"])


def test_a_search_can_be_pickled(client, arrays, lazy):
    search = make("HyperbandSearchCV").fit(*lazy)
    copied = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(copied.predict(arrays[0]), search.predict(arrays[0]))
    assert copied.best_params_ == search.best_params_


def test_the_estimator_of_the_user_is_not_touched(client, lazy):
    estimator = SGDClassifier()
    make("HyperbandSearchCV", estimator).fit(*lazy)
    assert not hasattr(estimator, "coef_")


def test_an_estimator_that_is_a_future_is_refused_with_what_to_write_instead(client, lazy):
    future = client.scatter(SGDClassifier())
    with pytest.raises(TypeError, match=r"estimator is a Future: give the estimator itself, its result\(\)"):
        make("IncrementalSearchCV", future).fit(*lazy)
    assert make("IncrementalSearchCV", future.result(), n_initial_parameters=1).fit(*lazy).best_score_ > 0


@pytest.mark.parametrize(("option", "value"), [("max_iter", 0), ("patience", 1), ("patience", 2.5)])
def test_what_is_not_allowed_is_named(option, value):
    with pytest.raises(ValueError, match=f"{option}={value}"):
        make("IncrementalSearchCV", **{option: value}).fit(np.ones((4, 2)), np.arange(4) % 2)


# GridSearchCV and RandomizedSearchCV


def groups_of(y):
    return np.arange(len(y)) % 3


@pytest.mark.parametrize("kind", ["array", "dask array", "delayed"])
def test_groups_and_data_come_as_dask_ml_takes_them(client, arrays, kind):
    X, y = arrays[0][:60], arrays[1][:60]
    take = {"array": lambda a: a, "dask array": lambda a: da.from_array(a, chunks=20), "delayed": delayed}[kind]
    ours = dhpo.GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=GroupKFold(n_splits=3), verbose=0)
    with pytest.raises(ValueError, match="parameter should not be None"):
        ours.fit(take(X), take(y))
    ours.fit(take(X), take(y), groups=take(groups_of(y)))
    theirs = sklearn.model_selection.GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=GroupKFold(n_splits=3))
    theirs.fit(X, y, groups=groups_of(y))
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(ours.best_estimator_.support_, theirs.best_estimator_.support_)
    assert type(ours.best_index_) is type(theirs.best_index_)


def test_mixed_kinds_of_data(client, arrays):
    X, y = arrays[0][:60], arrays[1][:60]
    expected = dhpo.GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=3, verbose=0).fit(X, y).cv_results_["mean_test_score"]
    for mixed in ((delayed(X), y), (X, da.from_array(y, 20)), (da.from_array(X, (20, -1)), delayed(y))):
        search = dhpo.GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=3, verbose=0).fit(*mixed)
        np.testing.assert_array_equal(search.cv_results_["mean_test_score"], expected)


def test_a_dask_frame_for_an_estimator_that_needs_all_rows(client, arrays):
    frame, y = pd.DataFrame(arrays[0], columns=list("abcd")), pd.Series(arrays[1])
    grid = {"C": [0.1, 1]}
    search = dhpo.GridSearchCV(LogisticRegression(), grid, cv=3, verbose=0)
    search.fit(dd.from_pandas(frame, npartitions=2), dd.from_pandas(y, npartitions=2))
    expected = sklearn.model_selection.GridSearchCV(LogisticRegression(), grid, cv=3).fit(frame, y)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
    assert search.feature_names_in_.tolist() == list("abcd")


class Failing(ClassifierMixin, BaseEstimator):
    def __init__(self, fails=False):
        self.fails = fails

    def fit(self, X, y=None):
        if self.fails:
            raise ValueError("this one fails")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_fit_that_fails_scores_nan_unless_error_score_says_raise(client, arrays):
    search = dhpo.GridSearchCV(Failing(), {"fails": [False, True]}, cv=3, verbose=0)
    with pytest.warns(FitFailedWarning):
        search.fit(*arrays)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    assert search.best_params_ == {"fails": False}
    with pytest.warns(FitFailedWarning):
        assert search.set_params(error_score=-1).fit(*arrays).cv_results_["mean_test_score"][1] == -1
    with pytest.raises(ValueError, match="this one fails"):
        search.set_params(error_score="raise").fit(*arrays)


def test_several_metrics_and_no_refit(client, arrays):
    scoring = {"one": "accuracy", "two": "roc_auc"}
    search = dhpo.GridSearchCV(SVC(), {"C": [0.1, 1]}, scoring=scoring, refit="two", cv=3, verbose=0).fit(*arrays)
    assert search.multimetric_
    assert {"mean_test_one", "mean_test_two", "rank_test_two"} <= search.cv_results_.keys()
    assert search.best_score_ == search.cv_results_["mean_test_two"].max()
    assert not hasattr(search.set_params(refit=False).fit(*arrays), "best_estimator_")
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        search.set_params(refit=True).fit(*arrays)


def test_candidates_are_those_of_scikit_learn(client, arrays):
    space = {"C": scipy.stats.expon(scale=10), "gamma": scipy.stats.expon(scale=0.1)}
    options = {"n_iter": 4, "random_state": 5, "cv": ShuffleSplit(2, random_state=0), "return_train_score": True}
    ours = dhpo.RandomizedSearchCV(SVC(), space, verbose=0, **options).fit(*arrays)
    theirs = sklearn.model_selection.RandomizedSearchCV(SVC(), space, **options).fit(*arrays)
    assert list(ours.cv_results_["params"]) == list(theirs.cv_results_["params"])
    assert ours.cv_results_.keys() == theirs.cv_results_.keys()
    np.testing.assert_array_equal(ours.cv_results_["mean_train_score"], theirs.cv_results_["mean_train_score"])
