"""Rows of any container: counted, weighed, taken and put together alike."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dask.sizeof import sizeof

from dhpo.data.rows import Rows, all_finite, as_target, concatenate, n_rows, nbytes, take

TABLE = np.arange(12.0).reshape(6, 2)
CONTAINERS = {
    "ndarray": TABLE,
    "frame": pd.DataFrame(TABLE, columns=["a", "b"]),
    "csr": sp.csr_array(TABLE),
    "csc": sp.csc_array(TABLE),
    "coo": sp.coo_array(TABLE),
    "coo matrix": sp.coo_matrix(TABLE),
    "bsr": sp.bsr_array(TABLE),
    "dia": sp.dia_array(TABLE),
    "lil": sp.lil_array(TABLE),
}


def dense(part):
    return part.toarray() if sp.issparse(part) else np.asarray(part)


@pytest.fixture(params=CONTAINERS)
def container(request):
    return CONTAINERS[request.param]


def test_rows_are_counted(container):
    assert n_rows(container) == 6
    assert len(Rows(container)) == 6


def test_a_list_is_counted():
    assert n_rows([[1, 2], [3, 4], [5, 6]]) == 3


def test_rows_are_taken_by_position(container):
    np.testing.assert_array_equal(dense(take(container, np.array([4, 0, 4]))), TABLE[[4, 0, 4]])
    np.testing.assert_array_equal(dense(take(container, slice(2, 5))), TABLE[2:5])
    assert n_rows(take(container, np.arange(0))) == 0


def test_a_frame_is_taken_by_position_and_not_by_label():
    frame = pd.DataFrame({"a": [10, 20, 30]}, index=[2, 1, 0])
    assert take(frame, np.array([0]))["a"].tolist() == [10]


def test_parts_come_one_below_the_other(container):
    parts = [take(container, slice(0, 1)), take(container, slice(1, 4)), take(container, slice(4, 6))]
    np.testing.assert_array_equal(dense(concatenate(parts)), TABLE)


def test_one_part_is_not_copied():
    assert concatenate([TABLE]) is TABLE


def test_a_frame_stays_a_frame_and_sparse_stays_sparse():
    frame = CONTAINERS["frame"]
    assert concatenate([frame, frame]).columns.tolist() == ["a", "b"]
    assert sp.issparse(concatenate([CONTAINERS["coo"], CONTAINERS["csc"]]))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (None, 0),
        (TABLE, 96),
        (TABLE[:2], 32),
        (sp.csr_array(TABLE), 11 * 8 + 11 * 4 + 7 * 4),
        (sp.coo_array(TABLE), 11 * 8 + 2 * 11 * 4),
        (pd.Series([1.0, 2.0]), 16 + pd.RangeIndex(2).memory_usage()),
        (pd.DataFrame({"a": [1.0, 2.0]}), 16 + pd.RangeIndex(2).memory_usage()),
    ],
)
def test_bytes_are_those_of_the_data(part, expected):
    assert nbytes(part) == expected


def test_strings_of_a_frame_are_weighed():
    short, long = (pd.DataFrame({"a": [letter]}) for letter in ("x", "x" * 10_000))
    assert nbytes(long) - nbytes(short) == 9_999


def test_the_bytes_of_rows_are_those_of_all_parts():
    assert Rows(TABLE, np.zeros(6), np.ones(6, dtype=np.float32)).nbytes == 96 + 48 + 24
    assert Rows(TABLE).nbytes == 96


def test_dask_can_weigh_rows():
    # Rows are a task's result where workers and client share no folder.
    assert sizeof(Rows(np.zeros((1000, 2)), np.zeros(1000))) >= 24_000


def test_rows_are_taken_together():
    rows = Rows(TABLE, np.arange(6), None).take(np.array([5, 1]))
    np.testing.assert_array_equal(rows.X, TABLE[[5, 1]])
    np.testing.assert_array_equal(rows.y, [5, 1])
    assert rows.sample_weight is None


def test_rows_survive_a_pickle():
    rows = pickle.loads(pickle.dumps(Rows(TABLE, np.arange(6), np.ones(6))))
    for part, expected in zip(rows, (TABLE, np.arange(6), np.ones(6)), strict=True):
        np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize(
    "target",
    [
        [1, 2, 3],
        np.array([1, 2, 3]),
        np.array([[1], [2], [3]]),
        pd.Series([1, 2, 3], index=[7, 8, 9]),
        pd.DataFrame({"y": [1, 2, 3]}),
    ],
)
def test_a_target_is_one_dimensional(target):
    result = as_target(target)
    assert isinstance(result, np.ndarray)
    np.testing.assert_array_equal(result, [1, 2, 3])


def test_several_outputs_stay_two_dimensional():
    assert as_target(pd.DataFrame({"a": [1, 2], "b": [3, 4]})).shape == (2, 2)
    assert as_target(None) is None


FINITE = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    "X",
    [
        FINITE,
        FINITE.astype(np.float32),
        FINITE.astype(int),
        FINITE > 2,
        np.full((2, 2), np.finfo(float).max),  # whose sum is infinite
        np.empty((0, 2)),
        sp.csr_array(FINITE),
        sp.coo_array(FINITE),
    ],
)
def test_finite_numbers_are_known_as_such(X):
    assert all_finite(Rows(X))
    assert all_finite(Rows(X, np.zeros(len(FINITE), dtype=np.int8), np.ones(len(FINITE))))
    assert all_finite(Rows(X, np.array(["a", "b"])))
    assert not all_finite(Rows(X, np.array(["a", None], dtype=object)))


def with_value(value):
    X = FINITE.copy()
    X[1, 0] = value
    return X


BAD = [with_value(np.nan), with_value(np.inf), with_value(-np.inf)]


@pytest.mark.parametrize("part", [*BAD, *map(sp.csr_array, BAD)])
def test_one_value_that_is_not_finite_is_found_in_each_part(part):
    assert not all_finite(Rows(part))
    if isinstance(part, np.ndarray):
        assert not all_finite(Rows(FINITE, part[:, 0]))
        assert not all_finite(Rows(FINITE, None, part[:, 0]))
    assert not all_finite(Rows(np.ma.masked_invalid(part)) if isinstance(part, np.ndarray) else Rows(part))


@pytest.mark.parametrize(
    "X",
    [
        pd.DataFrame(FINITE),
        FINITE.astype(object),
        FINITE.astype(np.longdouble),  # which may be infinite as double
        FINITE.astype(complex),
        sp.dok_array(FINITE),
        sp.lil_array(FINITE),
        [{"a": 1.0}],
        np.array(["a", "b"]),
    ],
    ids=lambda X: type(X).__name__,
)
def test_of_others_nothing_is_said(X):
    assert not all_finite(Rows(X))
