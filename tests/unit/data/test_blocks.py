"""Blocks are the rows of X, y and sample_weight, whatever chunks these come in."""

from __future__ import annotations

import operator
import pickle
import warnings

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from dhpo.data.blocks import Block, BlockMismatch, align, check_lengths, needs_lengths
from dhpo.data.collections import Chunks, as_chunks, chunk_lengths
from dhpo.data.rows import concatenate


def chunked(name, lengths, value):
    """Chunks of a made-up graph, without a dask collection."""
    ends = np.cumsum(lengths)
    keys = tuple((f"chunk-of-{name}", i) for i in range(len(lengths)))
    parts = [value[end - n : end] for n, end in zip(lengths, ends, strict=True)]
    return Chunks(name, dict(zip(keys, parts, strict=True)), keys, tuple(lengths))


def load_all(blocks):
    rows = [block.load() for block in blocks]
    return [None if rows[0].y is None and i == 1 else concatenate([list(r)[i] for r in rows]) for i in range(3)]


@st.composite
def cuts(draw, n_rows, min_length=0):
    points = draw(st.lists(st.integers(0, n_rows), max_size=6))
    ends = [*sorted(points), n_rows]
    return [end - start for start, end in zip([0, *ends], ends, strict=False) if end - start >= min_length]


@st.composite
def collections(draw):
    """X, y and sample_weight of the same rows, each in memory or in chunks of its own; X is told by its row number."""
    n_rows = draw(st.integers(1, 12))
    values = {
        "X": np.column_stack([np.arange(n_rows), np.arange(n_rows) + 0.5]),
        "y": 100 + np.arange(n_rows),
        "sample_weight": 200.0 + np.arange(n_rows),
    }
    made = []
    for name, value in values.items():
        if draw(st.booleans()):
            made.append(as_chunks(name, value))
        else:
            made.append(chunked(name, draw(cuts(n_rows)), value))
    return n_rows, made


@settings(derandomize=True, max_examples=200, deadline=None)
@given(collections())
def test_any_chunks_give_the_same_rows_in_the_same_order(case):
    n_rows, made = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that chunks have to be cut
        blocks = align(*made)
    X, y, weight = load_all(blocks)
    np.testing.assert_array_equal(X[:, 0], np.arange(n_rows))
    np.testing.assert_array_equal(y, 100 + np.arange(n_rows))
    np.testing.assert_array_equal(weight, 200 + np.arange(n_rows))
    guide = next((c for c in made if not c.in_memory), made[0])
    assert [len(block.load()) for block in blocks] == [n for n in guide.lengths if n]
    assert [block.index for block in blocks] == list(range(len(blocks)))


@settings(derandomize=True, max_examples=50, deadline=None)
@given(collections())
def test_a_block_travels_alone(case):
    _, made = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        blocks = align(*made)
    for block in blocks:
        copy = Block.loads(block.dumps())
        assert copy.index == block.index
        for mine, theirs in zip(copy.load(), block.load(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_a_block_carries_only_its_own_rows():
    X = np.zeros((10_000, 10))
    y = da.zeros(10_000, chunks=100)
    blocks = align(as_chunks("X", X), as_chunks("y", y), None)
    assert max(len(block.dumps()) for block in blocks) < 3 * 100 * 10 * 8
    lazy = align(as_chunks("X", da.from_array(X, (100, -1))), as_chunks("y", y), None)
    assert max(len(block.graph) for block in lazy) < 10


def test_data_in_memory_alone_is_one_block():
    (block,) = align(as_chunks("X", np.eye(5)), as_chunks("y", np.arange(5)), None)
    np.testing.assert_array_equal(block.load().X, np.eye(5))


def test_y_is_optional():
    blocks = align(as_chunks("X", da.from_array(np.eye(4), (2, -1))), None, None)
    assert [block.load().y for block in blocks] == [None, None]


def test_empty_chunks_are_no_blocks_and_leave_no_gap():
    X = da.from_array(np.arange(10.0).reshape(5, 2), chunks=((0, 2, 0, 3), 2))
    blocks = align(as_chunks("X", X), as_chunks("y", np.arange(5)), None)
    assert [(block.index, block.load().y.tolist()) for block in blocks] == [(0, [0, 1]), (1, [2, 3, 4])]


def test_y_in_memory_does_not_take_the_place_of_a_word_in_the_graph_of_the_features():
    frame = {"y": np.array([[1.0], [2.0]])}
    X = Chunks("X", {"frame": frame, ("x", 0): (operator.getitem, "frame", "y")}, (("x", 0),), (2,), 1)
    (block,) = align(X, as_chunks("y", np.array([7, 8])), None)
    rows = block.load()
    np.testing.assert_array_equal(rows.X, [[1.0], [2.0]])
    np.testing.assert_array_equal(rows.y, [7, 8])


def test_misaligned_chunks_are_aligned_with_a_warning_of_what_it_costs():
    X, y = da.zeros((10, 2), chunks=(5, 2)), da.arange(10, chunks=4)
    with pytest.warns(UserWarning, match=r"y do not match those of X.*4 chunks of y .* 3 would do"):
        blocks = align(as_chunks("X", X), as_chunks("y", y), None)
    assert [block.load().y.tolist() for block in blocks] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_aligned_chunks_and_data_in_memory_are_no_reason_to_warn():
    X = as_chunks("X", da.zeros((10, 2), chunks=(5, 2)))
    align(X, as_chunks("y", da.arange(10, chunks=5)), as_chunks("sample_weight", np.ones(10)))  # warnings are errors


def test_different_numbers_of_rows_are_refused_with_the_numbers():
    X, y = as_chunks("X", np.eye(3)), as_chunks("y", np.arange(4))
    with pytest.raises(ValueError, match="X, y must have the same number of rows, but X has 3, y has 4"):
        align(X, y, None)
    check_lengths(X, None, as_chunks("sample_weight", np.ones(3)))


def test_rows_that_turn_out_different_are_refused_when_loaded():
    X = as_chunks("X", dd.from_pandas(pd.DataFrame({"a": range(6)}), npartitions=2))
    y = Chunks("y", {"a": np.arange(3), "b": np.arange(4)}, ("a", "b"), None)
    first, second = align(X, y, None)
    assert len(first.load()) == 3
    with pytest.raises(BlockMismatch, match="block 1 of X has 3 rows and of y 4"):
        second.load()


@pytest.mark.parametrize("format", ["csr", "csc", "coo"])
def test_sparse_rows_are_cut_and_put_together(format):
    dense = np.arange(1.0, 13).reshape(6, 2)
    blocks = align(as_chunks("X", sp.csr_array(dense).asformat(format)), chunked("y", [1, 3, 2], np.arange(6)), None)
    assert [block.load().X.shape for block in blocks] == [(1, 2), (3, 2), (2, 2)]
    np.testing.assert_array_equal(np.vstack([block.load().X.toarray() for block in blocks]), dense)


def test_what_is_counted_is_what_alignment_needs():
    known = chunked("X", [2, 3], np.eye(5))
    equal, other = chunked("y", [2, 3], np.arange(5)), chunked("y", [4, 1], np.arange(5))
    unknown = Chunks("y", equal.graph, equal.keys, None)
    unknown_X = Chunks("X", known.graph, known.keys, None)
    three = Chunks("y", {i: np.arange(1) for i in range(3)}, (0, 1, 2), None)
    in_memory = as_chunks("y", np.arange(5))
    assert needs_lengths(known) == needs_lengths(unknown_X) == []
    assert needs_lengths(known, equal) == needs_lengths(known, other, None) == []
    assert needs_lengths(known, unknown) == needs_lengths(unknown_X, unknown) == []  # presumably equal
    assert needs_lengths(known, three) == [three]
    assert needs_lengths(unknown_X, in_memory) == [unknown_X]
    assert needs_lengths(unknown_X, known, other) == [unknown_X]


def test_unknown_lengths_are_aligned_once_they_are_counted():
    frame = pd.DataFrame({"a": range(10)})
    X = as_chunks("X", dd.from_pandas(frame, npartitions=3))
    y = as_chunks("y", np.arange(10))
    (counted,) = needs_lengths(X, y)
    blocks = align(counted.with_lengths(chunk_lengths(counted)), y, None)
    for block in blocks:
        rows = block.load()
        np.testing.assert_array_equal(rows.X["a"], rows.y)
    assert sum(len(block.load()) for block in blocks) == 10


def test_data_on_the_cluster_stays_out_of_the_graph_and_is_supplied():
    future = type("Future", (), {"__module__": "distributed.client"})()
    X = Chunks("X", {"there": future, "x": (operator.add, "there", 1)}, ("x",), (2,), 2)
    (block,) = align(X, None, None)
    assert dict(block.futures) == {"there": future}
    assert "there" not in pickle.loads(block.dumps())[1]
    np.testing.assert_array_equal(Block.loads(block.dumps()).load({"there": np.eye(2)}).X, np.eye(2) + 1)
