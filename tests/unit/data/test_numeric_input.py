"""What an estimator that takes numbers alone refuses is told from the types; what it takes is never refused."""

from __future__ import annotations

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dask import delayed
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from dhpo import HyperbandSearchCV, PartialFitPipeline
from dhpo.data.numeric_input import NotNumbers, check_rows, refuse_what_is_no_number, takes_numbers_alone, takes_text

NUMBERS = [1.0, 2.0, 3.0, 4.0]
Y = np.array([0, 1, 0, 1])


class Own(SGDClassifier):
    """Of the user: what it does with X nobody knows."""


def frame(column):
    return pd.DataFrame({"a": column, "b": NUMBERS})


REFUSED = {
    "strings": frame(["x", "y", "x", "y"]),
    "strings as objects": frame(np.array(["x", "y", "x", "y"], dtype=object)),
    "categories": frame(pd.Categorical(["x", "y", "x", "y"])),
    "times": frame(pd.date_range("2020", periods=4)),
    "times with a zone": frame(pd.date_range("2020", periods=4, tz="UTC")),
    "durations": frame(pd.to_timedelta([1, 2, 3, 4])),
    "periods": frame(pd.period_range("2020", periods=4, freq="D")),
    "complex numbers": frame([1j, 2, 3, 4]),
    "a name twice": pd.DataFrame(np.ones((4, 2)), columns=["a", "a"]),
    "an array of strings": np.array([["x", "1"]] * 4),
    "an array of objects": np.array([["x", 1]] * 4, dtype=object),
    "a list": [["x", 1]] * 4,
}
TAKEN = {
    "numbers": frame(NUMBERS),
    "strings of numbers": frame(["1", "2.5", "1", "2"]),
    "objects that are numbers": frame(np.array(["1", 2, 1.5, None], dtype=object)),
    "categories that are numbers": frame(pd.Categorical([1, 2, 1, 2])),
    "booleans": frame([True, False, True, False]),
    "nullable booleans": frame(pd.array([True, False, True, False], dtype="boolean")),
    "nullable integers": frame(pd.array([1, None, 3, 4], dtype="Int64")),
    "numbers of pyarrow": frame(pd.array([1, 2, None, 4], dtype="float64[pyarrow]")),
    "an array of strings of numbers": np.array([["1", "2"]] * 4),
    "an array of objects that are numbers": np.array([[1, 2.5]] * 4, dtype=object),
    "a sparse matrix": sp.csr_matrix(np.eye(4)),
    "a list": [[1, 2]] * 4,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_estimator_will_refuse_is_refused(name):
    with pytest.raises((ValueError, TypeError)):
        SGDClassifier().partial_fit(REFUSED[name], Y, classes=[0, 1])
    with pytest.raises(NotNumbers, match="SGDClassifier takes columns of numbers"):
        refuse_what_is_no_number(SGDClassifier(), REFUSED[name])


@pytest.mark.parametrize("name", TAKEN)
def test_what_the_estimator_takes_is_not_refused(name):
    X = TAKEN[name]
    if not hasattr(X, "isna") or not X.isna().any(axis=None):
        SGDClassifier().partial_fit(X, Y, classes=[0, 1])
    assert refuse_what_is_no_number(SGDClassifier(), X)


def test_the_columns_are_named_with_their_types():
    X = pd.DataFrame({"when": pd.date_range("2020", periods=4), "size": NUMBERS, "kind": ["x", "y", "x", "y"]})
    with pytest.raises(
        NotNumbers, match=r"'when' \(datetime64\[.*\]\), 'kind' \(str\)\. .*PartialFitColumnTransformer"
    ):
        refuse_what_is_no_number(SGDClassifier(), X)


@pytest.mark.parametrize(
    "name", ["times", "times with a zone", "durations", "periods", "complex numbers", "categories"]
)
def test_of_a_lazy_frame_the_types_tell(name):
    with pytest.raises(NotNumbers, match=r"'a' \("):
        refuse_what_is_no_number(SGDClassifier(), dd.from_pandas(REFUSED[name], npartitions=2))


@pytest.mark.parametrize("name", ["strings", "strings as objects"])
def test_of_lazy_strings_the_values_tell(name):
    assert not refuse_what_is_no_number(SGDClassifier(), dd.from_pandas(REFUSED[name], npartitions=2))
    assert not refuse_what_is_no_number(SGDClassifier(), da.from_array(np.array([["1"]] * 4), chunks=2))
    assert not refuse_what_is_no_number(SGDClassifier(), delayed(REFUSED[name]))
    with pytest.raises(NotNumbers, match="'a'"):
        check_rows(SGDClassifier(), REFUSED[name])


@pytest.mark.parametrize(
    "column", [pd.Categorical(["1", "2", "1", "2"]), pd.Categorical([1, 2, 1, 2]), [True, False, True, False]]
)
def test_lazy_categories_of_numbers_are_not_refused(column):
    assert refuse_what_is_no_number(SGDClassifier(), dd.from_pandas(frame(column), npartitions=2))


def test_lazy_categories_that_are_not_known_are_looked_at():
    lazy = dd.from_pandas(frame(pd.Categorical(["x", "y", "x", "y"])), npartitions=2)
    assert not refuse_what_is_no_number(SGDClassifier(), lazy.assign(a=lazy["a"].cat.as_unknown()))


def test_a_lazy_array_is_told_by_its_type():
    assert refuse_what_is_no_number(SGDClassifier(), da.ones((4, 2), dtype=bool))
    with pytest.raises(NotNumbers, match="Complex"):
        refuse_what_is_no_number(SGDClassifier(), da.ones((4, 2), dtype=complex))


def test_only_an_estimator_of_scikit_learns_own_is_known_to_take_numbers_alone():
    assert takes_numbers_alone(SGDClassifier())
    assert not takes_numbers_alone(Own())
    assert not takes_numbers_alone(PartialFitPipeline([("model", SGDClassifier())]))
    assert not takes_numbers_alone(MultiOutputClassifier(SGDClassifier()))
    assert not takes_numbers_alone(FeatureHasher())
    assert not takes_numbers_alone(FunctionTransformer())


def test_text_is_for_those_who_say_so():
    model = ("model", SGDClassifier())
    assert takes_text(PartialFitPipeline([("words", HashingVectorizer()), model]))
    assert takes_text(PartialFitPipeline([("none", "passthrough"), ("words", HashingVectorizer()), model]))
    assert takes_text(PartialFitPipeline([("clean", FunctionTransformer()), ("words", HashingVectorizer()), model]))
    assert takes_text(Own())
    assert not takes_text(SGDClassifier())
    assert not takes_text(PartialFitPipeline([("scale", StandardScaler()), model]))


@pytest.mark.parametrize(
    "X", [np.array(["x"] * 4), pd.Series(["x"] * 4), ["x"] * 4, da.from_array(np.array(["x"] * 4))]
)
def test_a_text_for_each_row_is_refused_where_the_estimator_takes_columns(X):
    with pytest.raises(ValueError, match=r"X has 1 dimension; .*HashingVectorizer"):
        HyperbandSearchCV(SGDClassifier(), {"alpha": [1]}).fit(X, Y)


def test_numbers_in_one_dimension_are_no_text():
    pipeline = PartialFitPipeline([("words", HashingVectorizer()), ("model", SGDClassifier())])
    with pytest.raises(ValueError, match="X has 1 dimension; allowed: 2 dimensions"):
        HyperbandSearchCV(pipeline, {"model__alpha": [1]}).fit(np.ones(4), Y)
