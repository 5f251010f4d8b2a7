"""Bad input is refused before a cluster is looked for, naming the parameter, what was given and what is allowed."""

from __future__ import annotations

import dask.array as da
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd
import pytest
from dask import delayed
from scipy.stats import loguniform
from sklearn.linear_model import SGDClassifier
from sklearn.svm import SVC

from dhpo import (
    GridSearchCV,
    HyperbandSearchCV,
    IncrementalSearchCV,
    InverseDecaySearchCV,
    RandomizedSearchCV,
    SuccessiveHalvingSearchCV,
)
from dhpo.samplers import GridSampler
from dhpo.space.parameter_space import Space

X, y = da.ones((100, 3), chunks=(10, 3)), da.zeros(100, chunks=10)
SPACE = {"alpha": loguniform(1e-5, 1)}


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a cluster was asked for")

    monkeypatch.setattr(distributed, "LocalCluster", refuse)
    monkeypatch.setattr(distributed, "default_client", refuse)


def hyperband(estimator=None, parameters=SPACE, **kwargs):
    return HyperbandSearchCV(SGDClassifier() if estimator is None else estimator, parameters, **kwargs)


@pytest.mark.parametrize(
    ("search", "error", "words"),
    [
        (hyperband(parameters={}), ValueError, ["parameters"]),
        (hyperband(parameters={"alpha": []}), ValueError, ["parameters", "alpha", "no values"]),
        (hyperband(parameters={"alpha": 3}), TypeError, ["parameters", "alpha", "3"]),
        (hyperband(parameters={"alfa": [1]}), ValueError, ["alfa", "alpha", "SGDClassifier"]),
        (hyperband(max_iter=-1), ValueError, ["max_iter=-1", ">= 1"]),
        (hyperband(max_iter=2.5), ValueError, ["max_iter=2.5"]),
        (hyperband(aggressiveness=1), ValueError, ["aggressiveness=1", ">= 2"]),
        (hyperband(patience=1), ValueError, ["patience=1"]),
        (hyperband(test_size=0), ValueError, ["test_size=0", "between 0 and 1"]),
        (hyperband(test_size=1.0), ValueError, ["test_size=1.0"]),
        (hyperband(random_state="seed"), ValueError, ["random_state='seed'"]),
        (hyperband(scoring="acuracy"), ValueError, ["scoring='acuracy'", "Did you mean 'accuracy'?"]),
        (hyperband(parameters={"alpah": [1]}), ValueError, ["'alpah'", "Did you mean 'alpha'?"]),
        (hyperband(scoring=["accuracy", "f1"], refit="acuracy"), ValueError, ["Did you mean 'accuracy'?"]),
        (hyperband(scoring=3), TypeError, ["scoring=3"]),
        (hyperband(SVC()), TypeError, ["estimator", "SVC", "partial_fit", "SGDClassifier"]),
        (hyperband(SGDClassifier), TypeError, ["estimator", "class SGDClassifier", "an instance"]),
        (GridSearchCV(SGDClassifier(), SPACE), ValueError, ["param_grid", "RandomizedSearchCV"]),
        (GridSearchCV(SGDClassifier(), {"alpha": [1]}, max_iter=0), ValueError, ["max_iter=0"]),
        (RandomizedSearchCV(SGDClassifier(), SPACE, n_iter=0), ValueError, ["n_iter=0"]),
        (IncrementalSearchCV(SGDClassifier(), SPACE, n_initial_parameters=-3), ValueError, ["n_initial_parameters=-3"]),
        (IncrementalSearchCV(SGDClassifier(), SPACE, n_initial_parameters="grid"), ValueError, ["'grid'", "lists"]),
        (IncrementalSearchCV(SGDClassifier(), SPACE, "gird"), ValueError, ["n_initial_parameters='gird'", "or 'grid'"]),
        (IncrementalSearchCV(SGDClassifier(), SPACE, patience=True), ValueError, ["patience=True"]),
        (hyperband(sampler="gird"), ValueError, ["sampler='gird'", "'random', 'grid'"]),
        (hyperband(sampler=3), TypeError, ["sampler=3", "dhpo.Sampler"]),
        (hyperband(sampler="grid"), ValueError, ["parameters", "alpha"]),
        (
            hyperband(parameters={"alpha": [1, 2, 3]}, sampler="grid", max_iter=9),
            ValueError,
            ["sampler='grid' has 3 points", "17 trials", "'random'"],
        ),
        (
            IncrementalSearchCV(SGDClassifier(), {"alpha": [1, 2]}, 3, sampler="grid"),
            ValueError,
            ["sampler='grid' has 2 points", "3 trials"],
        ),
        (
            IncrementalSearchCV(SGDClassifier(), {"alpha": [1, 2]}, "grid", sampler=GridSampler(Space({"alpha": [3]}))),
            ValueError,
            ["n_initial_parameters='grid'", "GridSampler", "leave the sampler out"],
        ),
        (
            IncrementalSearchCV(SGDClassifier(), {"alpha": [1, 2]}, "grid", sampler="sobol"),
            ValueError,
            ["n_initial_parameters='grid'", "sampler='sobol' gives others"],
        ),
        (
            IncrementalSearchCV(SGDClassifier(), {"alpha": [1, 2]}, "grid", sampler="gird"),
            ValueError,
            ["sampler='gird' is not allowed"],
        ),
        (
            hyperband(max_iter=9, sampler=GridSampler(Space({"alpha": [1, 2, 3]}))),
            ValueError,
            ["GridSampler", "has 3 points", "17 trials"],
        ),
        (
            IncrementalSearchCV(SGDClassifier(), SPACE, scores_per_fit=3, fits_per_score=2),
            ValueError,
            ["scores_per_fit=3", "fits_per_score=2"],
        ),
        (hyperband(delayed(SGDClassifier())), TypeError, ["estimator is a Delayed object", "compute()"]),
        (GridSearchCV(delayed(SVC()), {"C": [1]}), TypeError, ["estimator is a Delayed object", "compute()"]),
        (hyperband(aggressiveness=1.5), ValueError, ["aggressiveness=1.5", ">= 2"]),
        (hyperband(aggressiveness="3"), ValueError, ["aggressiveness='3'", ">= 2"]),
        (InverseDecaySearchCV(SGDClassifier(), SPACE, decay_rate=-1), ValueError, ["decay_rate=-1"]),
        (SuccessiveHalvingSearchCV(SGDClassifier(), SPACE), ValueError, ["n_initial_iter=None"]),
        (SuccessiveHalvingSearchCV(SGDClassifier(), SPACE, n_initial_iter=0), ValueError, ["n_initial_iter=0"]),
    ],
)
def test_bad_parameters(search, error, words):
    with pytest.raises(error) as raised:
        search.fit(X, y)
    message = str(raised.value)
    assert [word for word in words if word not in message] == [], message


FRAME = dd.from_pandas(pd.DataFrame({"a": range(10)}), npartitions=2)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((X, da.zeros(90, chunks=10)), ValueError, ["same number of rows", "X has 100", "y has 90"]),
        ((np.ones((5, 2)), np.ones(4)), ValueError, ["X has 5", "y has 4"]),
        ((da.ones((0, 3)), da.ones(0)), ValueError, ["X is empty"]),
        ((np.empty((0, 3)), np.empty(0)), ValueError, ["X is empty"]),
        ((da.ones(100, chunks=10), y), ValueError, ["X has 1 dimension"]),
        ((np.ones((3, 3, 3)), np.ones(3)), ValueError, ["X has 3 dimension"]),
        ((None, y), TypeError, ["X is None"]),
        (("text", y), TypeError, ["X is a str", "dask arrays"]),
        (({"a": 1}, y), TypeError, ["X is a dict"]),
        ((X, 3), TypeError, ["y is a int"]),
    ],
)
def test_bad_data(arguments, error, words):
    with pytest.raises(error) as raised:
        hyperband().fit(*arguments)
    message = str(raised.value)
    assert [word for word in words if word not in message] == [], message


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"sample_weight": np.ones(7)}, ValueError, ["sample_weight has 7", "X has 100"]),
        ({"coef_init": da.ones(3)}, TypeError, ["coef_init", "dask collection", "sample_weight"]),
        ({"validation_data": X}, ValueError, ["validation_data", "pair (X, y)"]),
        ({"validation_data": (X, None)}, ValueError, ["validation_data", "pair (X, y)"]),
        ({"validation_data": (X[:, :2], y)}, ValueError, ["validation_data has 2 columns", "3"]),
        ({"validation_data": (X, y[:50])}, ValueError, ["y has 50"]),
        ({"clases": [0, 1]}, TypeError, ["clases=", "Did you mean 'classes'?"]),
    ],
)
def test_bad_arguments_of_fit(arguments, error, words):
    with pytest.raises(error) as raised:
        hyperband().fit(X, y, **arguments)
    message = str(raised.value)
    assert [word for word in words if word not in message] == [], message


def test_plan_and_metadata_tell_before_any_work():
    search = hyperband(max_iter=243)
    assert len(search.plan().brackets) == 6
    assert [b["n_models"] for b in hyperband(max_iter=81).metadata["brackets"]] == [5, 8, 15, 34, 81]
    assert [b["decisions"] for b in hyperband(max_iter=9).metadata["brackets"]] == [[9], [3, 9], [1, 3, 9]]
    assert hyperband(max_iter=81).metadata["partial_fit_calls"] == 1581
    assert len(hyperband(max_iter=1000, aggressiveness=10).plan().brackets) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"return_train_score": True}, "return_train_score=True is not supported"),
        ({"error_score": "raise"}, "error_score='raise' is not supported"),
        ({"refit": lambda results: 0}, "not supported over blocks"),
    ],
)
def test_what_whole_fits_alone_can_do_is_refused_over_blocks(options, said):
    with pytest.raises((ValueError, TypeError), match=said):
        GridSearchCV(SGDClassifier(), {"alpha": [1.0]}, max_iter=2, **options).fit(X, y)


@pytest.mark.parametrize(
    ("options", "arguments", "said"),
    [
        ({"test_size": 0.2}, {}, "test_size=0.2 is for training block by block"),
        ({}, {"validation_data": (1, 2)}, "validation_data=.* is for training block by block"),
        ({"error_score": "none"}, {}, "error_score='none'"),
        ({"refit": 3}, {}, "refit=3"),
        ({"param_grid": {"wrong": [1]}}, {}, "Invalid parameter 'wrong'"),
        ({"scoring": "wrong"}, {}, "wrong"),
        ({"scoring": "acuracy"}, {}, r"Did you mean 'accuracy'\?"),
        ({"scoring": ["acuracy"], "refit": "acuracy"}, {}, r"Did you mean 'accuracy'\?"),
        ({"scoring": ["accuracy", "f1"], "refit": "acuracy"}, {}, r"Did you mean 'accuracy'\?"),
        ({"param_grid": {"kernal": ["rbf"]}}, {}, r"Did you mean 'kernel'\?"),
        ({"cv": 1}, {}, "n_splits=1"),
        ({"scoring": ["accuracy", "f1"]}, {}, "refit must be set to a scorer key"),
    ],
)
def test_whole_fits_are_checked_before_any_task(options, arguments, said):
    search = GridSearchCV(**{"estimator": SVC(), "param_grid": {"C": [1.0]}, **options})
    with pytest.raises((ValueError, TypeError), match=said):
        search.fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1], **arguments)
