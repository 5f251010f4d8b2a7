"""What one model does to its rows reaches no other model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from dhpo.data.row_protection import copied, is_refused_write, lent, sample
from dhpo.data.rows import Rows

ROWS = 40


def dense(**kwargs):
    return np.arange(ROWS * 3, dtype=float).reshape(ROWS, 3, **kwargs)


def frame():
    return pd.DataFrame(
        {
            "a": np.arange(ROWS, dtype=float),
            "b": np.arange(ROWS),
            "s": ["x", "y"] * (ROWS // 2),
            "c": pd.Categorical(["u", "v"] * (ROWS // 2)),
            "o": pd.Series([[i] for i in range(ROWS)], dtype=object),
        }
    )


CONTAINERS = {
    "dense": dense,
    "fortran": lambda: np.asfortranarray(dense()),
    "objects": lambda: np.array([[f"t{i}", [i]] for i in range(ROWS)], dtype=object),
    "frame": frame,
    **{
        name: lambda name=name: sp.random_array((ROWS, 5), density=0.5, format=name, rng=0)
        for name in ("csr", "csc", "coo", "bsr", "lil", "dok", "dia")
    },
}


def same(one, other):
    if sp.issparse(one):
        return one.shape == other.shape and (one.toarray() == other.toarray()).all()
    if isinstance(one, pd.DataFrame):
        return one.equals(other) and one["o"].map(str).equals(other["o"].map(str))
    return np.array_equal(one, other) and list(map(str, one.ravel())) == list(map(str, other.ravel()))


@pytest.mark.parametrize("name", CONTAINERS)
def test_rows_are_lent_and_copied_as_they_are(name):
    rows = Rows(CONTAINERS[name](), np.arange(ROWS), np.ones(ROWS))
    for given in (lent(rows), copied(rows)):
        assert type(given.X) is type(rows.X)
        assert same(given.X, rows.X)
        assert same(given.y, rows.y)
        assert same(given.sample_weight, rows.sample_weight)
    assert lent(Rows(dense())).y is None
    if name == "fortran":
        assert copied(rows).X.flags.f_contiguous


def negate(X):
    X *= -1


def set_first(X):
    X[0, 0] = 77.0


def set_values(X):
    X.data[:] = 5.0


def set_attribute(X):
    X.data = X.data * 2


def drop_zeros(X):
    X.data[0] = 0
    X.eliminate_zeros()


def set_column(X):
    X["a"] = 0.0


def set_cell(X):
    X.loc[0, "a"] = 5.0


def write_through(X):
    X["a"].to_numpy()[:] = 5.0


def rename(X):
    X.columns = list("vwxyz")


WRITES = [
    *(("dense", write) for write in (negate, set_first)),
    *(("fortran", write) for write in (negate, set_first)),
    ("objects", set_first),
    *(("csr", write) for write in (negate, set_values, set_attribute, drop_zeros)),
    *(("csc", write) for write in (negate, set_values, set_attribute, drop_zeros)),
    *(("coo", write) for write in (negate, set_values, set_attribute)),
    *(("lil", write) for write in (set_first,)),
    *(("dok", write) for write in (set_first,)),
    *(("frame", write) for write in (set_column, set_cell, write_through, rename)),
]


@pytest.mark.parametrize(("name", "write"), WRITES, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_written_into_lent_rows_fails_or_reaches_nobody(name, write):
    rows, before = Rows(CONTAINERS[name]()), CONTAINERS[name]()
    refused = None
    try:
        write(lent(rows).X)
    except Exception as error:
        refused = error
    assert refused is None or is_refused_write(refused)
    assert same(rows.X, before)
    if write is not write_through:  # which pandas refuses to everybody
        write(copied(rows).X)
    assert same(rows.X, before)


@pytest.mark.parametrize("name", ["objects", "frame"])
def test_a_copy_shares_no_objects_that_can_change(name):
    rows = Rows(CONTAINERS[name]())
    copy = copied(rows).X
    (copy["o"] if name == "frame" else copy[:, 1])[0].append("more")
    assert same(rows.X, CONTAINERS[name]())


def test_an_array_that_the_user_may_hold_stays_writable():
    X = dense()
    lent(Rows(X))
    X[0, 0] = 1.0


def unlock(X):
    X.flags.writeable = True
    X *= -1


def write_into_array(X):
    X["a"].array[:] = 5.0


def write_into_objects(X):
    for value in X["o"]:
        value.append("more")


@pytest.mark.parametrize(
    ("name", "write"), [("dense", unlock), ("frame", write_into_array), ("frame", write_into_objects)]
)
def test_a_sample_tells_what_was_written_in_spite_of_all_locks(name, write):
    rows = Rows(CONTAINERS[name]())
    before = sample(rows)
    assert sample(rows) == before
    write(lent(rows).X)
    assert sample(rows) != before


@pytest.mark.parametrize("name", ["csr", "csc", "coo"])
def test_a_sample_tells_of_changed_sparse_values(name):
    rows = Rows(CONTAINERS[name]())
    before = sample(rows)
    rows.X.data *= 2
    assert sample(rows) != before


def test_a_sample_of_no_rows_and_of_what_cannot_be_pickled_is_no_error():
    assert sample(Rows(np.empty((0, 3)))) == sample(Rows(np.empty((0, 3))))
    assert sample(Rows(np.array([[lambda: 0]], dtype=object))) == b""


def test_refused_writes_are_told_by_what_they_come_from():
    def step():
        try:
            lent(Rows(dense())).X[0] = 1
        except ValueError as error:
            raise RuntimeError("the step failed") from error

    with pytest.raises(RuntimeError) as failure:
        step()
    assert is_refused_write(failure.value)
    assert not is_refused_write(ValueError("Found array with 0 sample(s)"))
