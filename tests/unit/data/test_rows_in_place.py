"""Rows are taken apart as `take` would, in the memory of the block where nobody else refers to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from dhpo.data import rows_in_place
from dhpo.data.rows import Rows
from dhpo.data.rows_in_place import copy_rows, keep_rows

N_ROWS = 1000
PLACES = {
    "some": np.flatnonzero(np.random.default_rng(0).random(N_ROWS) < 0.8),
    "few": np.array([0, 7, 998]),
    "none": np.arange(0),
    "the first": np.arange(500),
    "the last": np.arange(500, N_ROWS),
    "all": np.arange(N_ROWS),
}


def table(dtype=np.float32, columns=7):
    return np.random.default_rng(1).normal(size=(N_ROWS, columns)).astype(dtype)


def matrix(kind):
    return kind(sp.random(N_ROWS, 50, density=0.05, format="csr", random_state=0))


def fresh(kind):
    """The same container, made anew: nobody else refers to it."""
    match kind:
        case "array":
            return table()
        case "view of its own":
            return table().reshape(N_ROWS * 7).reshape(N_ROWS, 7)
        case "columns first":
            return np.asfortranarray(table())
        case "objects":
            return table().astype(object)
        case "read-only":
            array = table()
            array.flags.writeable = False
            return array
        case "frame":
            return pd.DataFrame(table(), index=np.arange(N_ROWS)[::-1])
        case "csr matrix":
            return matrix(sp.csr_matrix)
        case "csr array":
            return matrix(sp.csr_array)
        case "csc":
            return matrix(sp.csc_array)
    raise ValueError(kind)


KINDS = ["array", "view of its own", "columns first", "objects", "read-only", "frame", "csr matrix", "csr array", "csc"]


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(rows_in_place, "_SLICE_BYTES", 1000)


def assert_same(part, expected):
    assert type(part) is type(expected)
    if sp.issparse(part):
        assert part.shape == expected.shape
        for name in ("data", "indices", "indptr"):
            one, other = getattr(part, name), getattr(expected, name)
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    elif isinstance(part, pd.DataFrame):
        pd.testing.assert_frame_equal(part, expected)
    else:
        assert part.dtype == expected.dtype
        np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize("where", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_kept_are_those_that_would_be_taken(kind, where):
    y = np.arange(N_ROWS)
    expected = Rows(fresh(kind), y.copy(), y / 2).take(where)
    kept = keep_rows(Rows(fresh(kind), y.copy(), y / 2), where)
    for part, other in zip(kept, expected, strict=True):
        assert_same(part, other)


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("kind", ["array", "view of its own"])
def test_an_array_that_nobody_else_has_is_kept_in_its_own_memory(kind, monkeypatch):
    monkeypatch.setattr(rows_in_place, "_copied", pytest.fail)
    kept = keep_rows(Rows(fresh(kind)), PLACES["some"])
    assert kept.X.flags.owndata  # so its end was given back
    assert kept.nbytes == len(PLACES["some"]) * 7 * 4


@pytest.mark.parametrize("kind", ["csr matrix", "csr array"])
def test_a_sparse_matrix_that_nobody_else_has_is_kept_in_its_own_memory(kind, monkeypatch):
    monkeypatch.setattr(rows_in_place, "take", pytest.fail)
    kept = keep_rows(Rows(fresh(kind)), PLACES["some"])
    for array in (kept.X.data, kept.X.indices):
        owner = array if array.base is None else array.base
        assert owner.nbytes == array.nbytes  # so its end was given back


@pytest.mark.parametrize("kind", ["array", "csr matrix"])
def test_what_others_refer_to_is_left_as_it_is(kind):
    whole = fresh(kind)
    keep_rows(Rows(whole), PLACES["some"])
    assert_same(whole, fresh(kind))


@pytest.mark.parametrize(
    "view", [lambda a: a[:], lambda a: a.reshape(-1), lambda a: memoryview(a), lambda a: a[:, 0]], ids=range(4)
)
def test_an_array_that_others_see_through_a_view_is_left_as_it_is(view):
    whole = table()
    others = view(whole)
    rows = Rows(whole)
    del whole
    keep_rows(rows, PLACES["some"])
    np.testing.assert_array_equal(np.asarray(others), np.asarray(view(table())))


def test_parts_of_a_matrix_that_others_have_are_left_as_they_are():
    whole = fresh("csr matrix")
    data = whole.data
    rows = Rows(whole)
    del whole
    keep_rows(rows, PLACES["some"])
    np.testing.assert_array_equal(data, fresh("csr matrix").data)


def test_x_and_y_of_one_array_are_left_as_they_are():
    both = table()
    rows = Rows(both, both[:, 0])
    del both
    kept = keep_rows(rows, PLACES["some"])
    np.testing.assert_array_equal(kept.X, table()[PLACES["some"]])
    np.testing.assert_array_equal(kept.y, table()[PLACES["some"], 0])


def test_a_part_of_a_larger_array_is_copied_so_that_the_rest_is_freed():
    rows = Rows(table()[: N_ROWS // 2])
    where = np.arange(0, N_ROWS // 2, 2)
    kept = keep_rows(rows, where)
    assert kept.X.base is None
    np.testing.assert_array_equal(kept.X, table()[where])


@pytest.mark.parametrize("mode", ["r", "c"])
@pytest.mark.parametrize("function", [keep_rows, copy_rows])
def test_rows_of_a_mapped_file_are_copied(tmp_path, mode, function):
    path = tmp_path / "x.npy"
    np.save(path, table())
    kept = function(Rows(np.load(path, mmap_mode=mode)), PLACES["some"])
    assert type(kept.X) is np.ndarray or mode == "c"
    np.testing.assert_array_equal(kept.X, table()[PLACES["some"]])
    np.testing.assert_array_equal(np.load(path), table())


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
def test_the_pages_of_a_mapped_file_are_let_go(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((100_000, 10)))
    mapped = np.load(path, mmap_mode="r")
    copy_rows(Rows(mapped), np.arange(0, 100_000, 3))
    lines = Path("/proc/self/smaps").read_text().split("\n")
    at = next(number for number, line in enumerate(lines) if line.endswith(str(path)))
    resident = next(line for line in lines[at:] if line.startswith("Rss:"))
    assert int(resident.split()[1]) == 0


def test_what_was_written_to_a_private_mapping_is_not_lost(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, table())
    mapped = np.load(path, mmap_mode="c")
    mapped[:] = 7
    assert (copy_rows(Rows(mapped), PLACES["some"]).X == 7).all()
    assert (mapped == 7).all()
