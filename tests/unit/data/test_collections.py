"""Whatever X and y come as is taken apart into row chunks, or refused by name."""

from __future__ import annotations

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from dhpo.data.collections import as_chunks, chunk_lengths
from dhpo.data.graphs import is_future
from dhpo.errors import RepeatedWorkWarning

TABLE = np.arange(20.0).reshape(10, 2)
FRAME = pd.DataFrame(TABLE, columns=["a", "b"])


def computed(chunks):
    return [np.asarray(part) for part in dask.get(chunks.graph, list(chunks.keys))]


@pytest.mark.parametrize(
    "value",
    [
        da.from_array(TABLE, (4, -1)),
        da.from_array(TABLE, (4, 1)),  # column chunks are merged
        da.from_array(TABLE - 1, (4, -1)) + 1,
        da.from_array(TABLE, (4, -1)).persist(scheduler="synchronous"),
        da.from_array(TABLE[:, ::-1], (4, 1))[:, ::-1],
    ],
    ids=["array", "column chunks", "lazy", "persisted", "reversed columns"],
)
def test_an_array_is_one_chunk_for_each_of_its_row_chunks(value):
    chunks = as_chunks("X", value)
    assert chunks.lengths == (4, 4, 2)
    assert (chunks.n_rows, chunks.n_columns, chunks.in_memory) == (10, 2, False)
    np.testing.assert_array_equal(np.concatenate(computed(chunks)), TABLE)


def test_a_frame_is_one_chunk_for_each_partition_and_not_counted():
    chunks = as_chunks("X", dd.from_pandas(FRAME, npartitions=2))
    assert (len(chunks.keys), chunks.lengths, chunks.n_rows, chunks.n_columns) == (2, None, None, 2)
    np.testing.assert_array_equal(np.concatenate(computed(chunks)), TABLE)
    assert chunk_lengths(chunks) == [5, 5]
    assert chunks.with_lengths([5, 5]).n_rows == 10


def test_an_array_of_unknown_lengths_is_not_counted():
    chunks = as_chunks("X", dd.from_pandas(FRAME, npartitions=2).to_dask_array())
    assert (chunks.lengths, chunks.n_columns) == (None, 2)
    assert chunk_lengths(chunks) == [5, 5]


def test_an_expression_is_computed_as_it_stands():
    frame = dd.from_pandas(FRAME, npartitions=2)
    chunks = as_chunks("y", (frame["a"] + 1)[frame["b"] > 3])
    np.testing.assert_array_equal(np.concatenate(computed(chunks)), (FRAME["a"] + 1)[FRAME["b"] > 3])


@pytest.mark.parametrize(
    "value",
    [TABLE, FRAME, sp.csr_array(TABLE), sp.coo_matrix(TABLE), TABLE.tolist()],
    ids=["ndarray", "frame", "csr", "coo matrix", "list"],
)
def test_data_in_memory_is_one_chunk(value):
    chunks = as_chunks("X", value)
    assert (chunks.lengths, chunks.n_columns, chunks.in_memory) == ((10,), 2, True)
    assert len(chunks.keys) == 1


def test_targets_may_have_one_dimension_or_two():
    for value in (np.arange(10), pd.Series(range(10)), [0] * 10, da.arange(10, chunks=5)):
        assert as_chunks("y", value).n_columns is None
    assert as_chunks("y", TABLE).n_columns == 2
    assert as_chunks("y", dd.from_pandas(FRAME, npartitions=2)).n_columns == 2


@pytest.mark.parametrize(
    "value",
    [
        np.arange(10),
        pd.Series(range(10)),
        [1, 2, 3],
        np.zeros((2, 2, 2)),
        da.arange(10, chunks=5),
        da.zeros((4, 2, 2), chunks=2),
        dd.from_pandas(FRAME, npartitions=2)["a"],
    ],
    ids=["ndarray", "series", "list", "3-d", "dask array", "3-d dask array", "dask series"],
)
def test_features_that_are_no_table_are_refused(value):
    with pytest.raises(ValueError, match=r"X has . dimension.*allowed: 2 dimensions"):
        as_chunks("X", value)


@pytest.mark.parametrize("value", [np.zeros((2, 2, 2)), da.zeros((4, 2, 2), chunks=2), np.float64(3)])
def test_a_target_of_other_dimensions_is_refused(value):
    with pytest.raises((ValueError, TypeError), match="y "):
        as_chunks("y", value)


@pytest.mark.parametrize(
    "value",
    ["a string", b"bytes", {"a": 1}, 3, None, (i for i in range(3)), db.from_sequence([1, 2], npartitions=2)],
    ids=["str", "bytes", "dict", "int", "None", "generator", "bag"],
)
def test_what_is_no_collection_is_refused_by_name(value):
    with pytest.raises(TypeError, match=rf"y is a .*{type(value).__name__}; allowed are dask arrays"):
        as_chunks("y", value)


@pytest.mark.parametrize("value", [np.empty((0, 2)), FRAME[:0], sp.csr_array((0, 2)), da.zeros((0, 2), chunks=2)])
def test_an_empty_collection_is_refused(value):
    with pytest.raises(ValueError, match="X is empty: it has 0 rows"):
        as_chunks("X", value)


def test_chunks_that_need_the_work_of_all_others_are_told(tmp_path):
    frame = dd.from_pandas(FRAME, npartitions=10)
    with dask.config.set({"dataframe.shuffle.method": "tasks"}):
        shuffled = frame.shuffle("a")
        with pytest.warns(RepeatedWorkWarning, match=r"each of the 10 chunks of X depends on .* Persist X and y"):
            as_chunks("X", shuffled)
    with pytest.warns(RepeatedWorkWarning, match="of the 10 chunks of X"):
        as_chunks("X", frame - frame.mean())
    mapped = np.memmap(tmp_path / "mapped", shape=(1000, 2), mode="w+")
    with pytest.warns(RepeatedWorkWarning, match="of the 20 chunks of X"):
        as_chunks("X", da.from_array(mapped, (50, -1))[np.random.default_rng(0).permutation(1000)])


@pytest.mark.parametrize(
    "value",
    [
        dd.from_pandas(FRAME, npartitions=10).map_partitions(lambda part: part + 1),
        da.from_array(TABLE, (1, -1)) + 1,
        da.random.default_rng(0).random((10, 2), chunks=(1, 1)),
        da.concatenate([da.from_array(TABLE, (1, 1)), da.from_array(TABLE, (3, -1))])
        @ da.from_array(TABLE[:2], (1, 1)),
        [dask.delayed(np.add)(dask.delayed(TABLE), 1) for _ in range(10)],
    ],
    ids=["frame", "array", "random", "several sources", "delayed"],
)
def test_chunks_that_have_little_in_common_are_no_matter(value):
    assert len(as_chunks("X", value).keys) >= 10


def test_data_on_a_cluster_is_known_by_its_type():
    assert not is_future(TABLE)
    assert not is_future(type("Future", (), {})())
    assert is_future(type("Future", (), {"__module__": "distributed.client"})())
