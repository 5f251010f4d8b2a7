"""Takes whatever the user calls X, y or sample_weight apart into row chunks that a worker can compute on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import dask
import dask.array as da
import numpy as np
import pandas as pd
import scipy.sparse as sp
from dask.base import is_dask_collection
from dask.optimization import cull
from dask.typing import Key

from dhpo.data.rows import n_rows

__all__ = ["Chunks", "as_chunks", "chunk_lengths", "is_future"]


@dataclass(frozen=True)
class Chunks:
    """One collection as a list of row chunks.

    Parameters
    ----------
    name : str
        "X", "y" or "sample_weight", for messages.
    graph : mapping
        A low-level Dask graph that computes all chunks. In-memory data is a graph of one literal.
    keys : tuple of hashable
        The key of each chunk in the graph.
    lengths : tuple of int, or None
        Rows of each chunk, None while unknown.
    n_columns : int or None
        Columns of a two-dimensional collection.
    in_memory : bool, default False
        Whether the data itself sits in the process of the caller.
    """

    name: str
    graph: Mapping[Key, Any]
    keys: tuple[Key, ...]
    lengths: tuple[int, ...] | None
    n_columns: int | None = None
    in_memory: bool = False

    @property
    def n_rows(self) -> int | None:
        """Rows in all, None while unknown."""
        return None if self.lengths is None else sum(self.lengths)

    def with_lengths(self, lengths: list[int]) -> Chunks:
        """Return the same chunks, counted."""
        return replace(self, lengths=tuple(lengths))


def as_chunks(name: str, value: Any) -> Chunks:
    """Take a collection apart.

    Parameters
    ----------
    name : str
        What the caller calls it, for messages.
    value : dask.array.Array, dask.dataframe.DataFrame or Series, ndarray, scipy.sparse array or matrix, pandas object
    or list

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If it holds no rows, or is not two-dimensional where it is X.
    """
    chunks = _from_dask(name, value) if is_dask_collection(value) else _from_memory(name, value)
    if chunks.n_rows == 0 or not chunks.keys:
        raise ValueError(
            f"{name} is empty: it has 0 rows, and at least 2 are needed (one to train on, one to score on)."
        )
    return chunks


def _from_dask(name: str, value: Any) -> Chunks:
    if hasattr(value, "ndim") and value.ndim not in ((2,) if name == "X" else (1, 2)):
        raise ValueError(_wrong_shape(name, value.ndim))
    if isinstance(value, da.Array):
        if value.ndim == 2 and value.numblocks[1] > 1:
            value = value.rechunk({1: -1})
        rows = value.chunks[0]
        lengths = None if any(np.isnan(n) for n in rows) else tuple(int(n) for n in rows)
        n_columns = None if value.ndim == 1 or np.isnan(value.shape[1]) else int(value.shape[1])
    elif hasattr(value, "ndim") and hasattr(value, "map_partitions"):  # a bag has no dimensions
        lengths = None
        n_columns = len(value.columns) if value.ndim == 2 else None
    else:
        raise TypeError(
            f"{name} is a {type(value).__module__}.{type(value).__qualname__}; allowed are dask arrays, "
            f"dask dataframes and "
            "series, NumPy arrays, scipy.sparse matrices, pandas objects and lists."
        )
    graph, keys = _graph_and_keys(value)
    return Chunks(name, graph, keys, lengths, n_columns)


def _graph_and_keys(value: Any) -> tuple[dict[Key, Any], tuple[Key, ...]]:
    plain = dict(value.__dask_graph__())
    if any(is_future(node) for node in plain.values()):
        # Optimising would fuse the futures of a persisted collection into tasks, where they cannot be exchanged for
        # data.
        return plain, tuple(_flat(value.__dask_keys__()))
    # dask.optimize() on a dataframe returns keys that its graph computes as something else (seen with 2026.8).
    optimized = value.optimize() if hasattr(value, "map_partitions") else dask.optimize(value)[0]
    return dict(optimized.__dask_graph__()), tuple(_flat(optimized.__dask_keys__()))


def chunk_lengths(chunks: Chunks) -> list[int]:
    """Count the rows of each chunk, in this process."""
    lengths = []
    for key in chunks.keys:
        graph, _ = cull(chunks.graph, [key])
        data = {k: node.result() for k, node in graph.items() if is_future(node)}
        lengths.append(n_rows(dask.get({**graph, **data}, [key])[0]))
    return lengths


def is_future(node: Any) -> bool:
    """Whether a node of a graph is data that already sits on the cluster."""
    return type(node).__name__ == "Future" and type(node).__module__.startswith("distributed")


def _from_memory(name: str, value: Any) -> Chunks:
    if not (isinstance(value, np.ndarray | pd.DataFrame | pd.Series) or sp.issparse(value)):
        if isinstance(value, str | bytes | Mapping) or not (hasattr(value, "__len__") or hasattr(value, "__array__")):
            raise TypeError(
                f"{name} is a {type(value).__qualname__}; allowed are dask arrays, dask dataframes and "
                f"series, NumPy arrays, "
                "scipy.sparse matrices, pandas objects and lists."
            )
        value = np.asarray(value)
    if value.ndim not in ((2,) if name == "X" else (1, 2)):
        raise ValueError(_wrong_shape(name, value.ndim))
    key = f"{name}-in-memory"
    n_columns = int(value.shape[1]) if value.ndim == 2 else None
    return Chunks(name, {key: value}, (key,), (n_rows(value),), n_columns, in_memory=True)


def _wrong_shape(name: str, ndim: int) -> str:
    allowed = "2 dimensions (rows and columns)" if name == "X" else "1 dimension, or 2 for several outputs"
    return f"{name} has {ndim} dimension(s); allowed: {allowed}."


def _flat(keys: Any) -> list[Key]:
    if isinstance(keys, list):
        return [key for part in keys for key in _flat(part)]
    return [keys]
