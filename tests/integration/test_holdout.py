"""Scores rest on enough rows, or it is told that they do not."""

from __future__ import annotations

import warnings

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn.linear_model import SGDClassifier

from dhpo import ImpreciseScoresWarning, RandomizedSearchCV
from dhpo.history.events import DataPrepared

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1000, 4))
Y = (X[:, 0] + RNG.normal(size=len(X)) > 0).astype(int)


def search(alphas=None, **kwargs):
    space = {"alpha": alphas or loguniform(1e-5, 1e-4)}
    return RandomizedSearchCV(
        SGDClassifier(random_state=0), space, n_iter=3, max_iter=2, random_state=0, verbose=0, **kwargs
    )


def rows_to_score_on(fitted):
    return next(event for event in fitted._history.events if isinstance(event, DataPrepared)).n_validation


@pytest.mark.parametrize("known", [True, False])
def test_many_tiny_blocks_hold_out_a_fifth_and_not_one_row(client, known):
    data = da.from_array(X, chunks=(10, 4)), da.from_array(Y, chunks=10)
    if not known:
        frame = dd.from_pandas(pd.DataFrame(X, columns=list("abcd")).assign(y=Y), npartitions=100)
        data = frame[list("abcd")], frame["y"]
    assert rows_to_score_on(search().fit(*data)) == pytest.approx(200, abs=10)


def test_the_default_of_dask_ml_is_there_by_parameter(client):
    data = da.from_array(X, chunks=(10, 4)), da.from_array(Y, chunks=10)
    assert rows_to_score_on(search(test_size="block").fit(*data)) == pytest.approx(10, abs=5)


def test_candidates_that_the_rows_held_out_cannot_tell_apart_are_warned_of(client):
    data = da.from_array(X, chunks=(100, 4)), da.from_array(Y, chunks=100)
    with pytest.warns(ImpreciseScoresWarning, match="standard error") as caught:
        fitted = search().fit(*data)
    assert len([w for w in caught if w.category is ImpreciseScoresWarning]) == 1
    assert fitted.best_score_ > 0.5  # everything is there nevertheless
    assert 0.01 < fitted.metadata_["best_score_error"] < 0.05


def test_candidates_that_differ_by_more_are_not_warned_of(client):
    data = da.from_array(X, chunks=(100, 4)), da.from_array(Y, chunks=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ImpreciseScoresWarning)
        search([1e-4, 1e3, 1e4]).fit(*data)


@pytest.mark.parametrize("known", [True, False])
def test_validation_data_of_ones_own_is_counted(client, known):
    own = da.from_array(X, chunks=(250, 4)), da.from_array(Y, chunks=250)
    if not known:
        frame = dd.from_pandas(pd.DataFrame(X, columns=list("abcd")).assign(y=Y), npartitions=4)
        own = frame[list("abcd")].to_dask_array(), frame["y"].to_dask_array()
    data = da.from_array(X, chunks=(100, 4)), da.from_array(Y, chunks=100)
    with pytest.warns(ImpreciseScoresWarning, match=r"\(1,000 rows to score on\)"):
        fitted = search().fit(*data, validation_data=own)
    assert rows_to_score_on(fitted) == 1000
    assert 0 < fitted.metadata_["best_score_error"] < 0.05
