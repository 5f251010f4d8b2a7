"""Takes whatever the user calls X, y or sample_weight apart into row chunks that a worker can compute on its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import dask
import numpy as np
import pandas as pd
import scipy.sparse as sp
from dask.base import is_dask_collection
from dask.delayed import Delayed
from dask.optimization import cull
from dask.typing import Key

from dhpo.data.graphs import check_repeatable, graph_of, has_futures, is_future, warn_of_repeated_work
from dhpo.data.rows import n_rows
from dhpo.wording import counted

__all__ = [
    "Chunks",
    "as_chunks",
    "as_chunks_together",
    "chunk_lengths",
    "is_delayed",
    "is_lazy",
]


_ALLOWED = (
    "dask arrays, dask dataframes and series, delayed objects and lists of them, NumPy arrays, scipy.sparse matrices, "
    "pandas objects and lists"
)
_TEXT_KINDS = "OSTU"  # of a dtype: objects, bytes and strings


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
    divisions : tuple, optional
        The values of the index between which the chunks of a dataframe lie, where Dask knows them.
    row_nbytes : int or None
        Bytes of a row in memory, None where that depends on what is in it.
    """

    name: str
    graph: Mapping[Key, Any]
    keys: tuple[Key, ...]
    lengths: tuple[int, ...] | None
    n_columns: int | None = None
    in_memory: bool = False
    divisions: tuple[Any, ...] | None = None
    row_nbytes: int | None = None

    @property
    def n_rows(self) -> int | None:
        """Rows in all, None while unknown."""
        return None if self.lengths is None else sum(self.lengths)

    def with_lengths(self, lengths: list[int]) -> Chunks:
        """Return the same chunks, counted."""
        return replace(self, lengths=tuple(lengths))


def as_chunks_together(text: bool = False, /, **collections: Any) -> list[Chunks | None]:
    """Take collections apart that are computed block by block together; None stays None.

    What several dask arrays have in common, such as the rows that both X and y are cut from, is computed once for a
    block and not once for each.

    Parameters
    ----------
    text : bool, default False
        As for `as_chunks`.
    **collections
        X, y and sample_weight; as for `as_chunks`.
    """
    arrays = {
        name: _in_whole_rows(value)
        for name, value in collections.items()
        if _is_dask_array(value) and not has_futures(value)
    }
    # Fusing tasks would copy what is in common into each chain again, and saves little outside of a distributed
    # scheduler.
    with dask.config.set({"optimization.fuse.active": False}):
        optimized = dict(zip(arrays, dask.optimize(*arrays.values()), strict=True))
    return [
        None if value is None else as_chunks(name, optimized.get(name, value), optimized=name in optimized, text=text)
        for name, value in collections.items()
    ]


def as_chunks(name: str, value: Any, *, optimized: bool = False, text: bool = False) -> Chunks:
    """Take a collection apart.

    Parameters
    ----------
    name : str
        What the caller calls it, for messages.
    value : collection
        A dask array, dask dataframe or series, delayed object or list of such, ndarray, scipy.sparse array or matrix,
        pandas object or list. A delayed object is one chunk.
    optimized : bool, default False
        Whether its graph is to be taken as it is.
    text : bool, default False
        Whether X may have one dimension, if it holds text or other objects.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If it holds no rows, or is not two-dimensional where it is X.
    """
    if is_delayed(value):
        chunks = _from_delayed(name, value, text)
    elif is_dask_collection(value):
        chunks = _from_dask(name, value, optimized, text)
    else:
        chunks = _from_memory(name, value, text)
    if chunks.n_rows == 0 or not chunks.keys:
        raise ValueError(
            f"{name} is empty: it has 0 rows, and at least 2 are needed (one to train on, one to score on)."
        )
    return chunks


def is_delayed(value: Any) -> bool:
    """Whether this is a delayed object, or a list of them."""
    if isinstance(value, list | tuple) and value:
        return all(isinstance(part, Delayed) for part in value)
    return isinstance(value, Delayed)


def is_lazy(value: Any) -> bool:
    """Whether this is data that Dask has yet to compute."""
    return is_dask_collection(value) or is_delayed(value)


def _from_delayed(name: str, value: Any, text: bool) -> Chunks:
    as_rows = dask.delayed(_as_rows, pure=True)
    parts = [as_rows(name, part, text) for part in (value if isinstance(value, list | tuple) else [value])]
    parts = dask.optimize(*parts)
    graph: dict[Key, Any] = {}
    for part in parts:
        graph.update(part.__dask_graph__())
    keys = tuple(part.key for part in parts)
    check_repeatable(name, graph)
    warn_of_repeated_work(name, graph, keys)
    return Chunks(name, graph, keys, None)


def _from_dask(name: str, value: Any, optimized: bool, text: bool) -> Chunks:
    if hasattr(value, "ndim"):
        _check_dimensions(name, value, text)
    row_nbytes = None
    if _is_dask_array(value):
        value = _in_whole_rows(value)
        rows = value.chunks[0]
        row_nbytes = _row_nbytes(value)
        lengths = None if any(np.isnan(n) for n in rows) else tuple(int(n) for n in rows)
        n_columns = None if value.ndim == 1 or np.isnan(value.shape[1]) else int(value.shape[1])
    elif hasattr(value, "ndim") and hasattr(value, "map_partitions"):  # a bag has no dimensions
        lengths = None
        n_columns = len(value.columns) if value.ndim == 2 else None
    else:
        raise TypeError(f"{name} is a {type(value).__module__}.{type(value).__qualname__}; allowed are {_ALLOWED}.")
    graph, nested = graph_of(value, optimized)
    keys = tuple(_flat(nested))
    check_repeatable(name, graph)
    warn_of_repeated_work(name, graph, keys)
    return Chunks(
        name,
        graph,
        keys,
        lengths,
        n_columns,
        divisions=tuple(value.divisions) if getattr(value, "known_divisions", False) else None,
        row_nbytes=row_nbytes,
    )


def _is_dask_array(value: Any) -> bool:
    # dask.array takes tens of megabytes; where nobody has imported it, nothing is an array of its.
    arrays = sys.modules.get("dask.array")
    return arrays is not None and isinstance(value, arrays.Array)


def _row_nbytes(array: Any) -> int | None:
    from dask.array.utils import meta_from_array

    dense = isinstance(meta_from_array(array), np.ndarray) and not array.dtype.hasobject
    if not dense or any(np.isnan(n) for n in array.shape[1:]):
        return None
    return int(array.dtype.itemsize * np.prod(array.shape[1:], dtype=float))


def _in_whole_rows(array: Any) -> Any:
    return array.rechunk({1: -1}) if array.ndim == 2 and array.numblocks[1] > 1 else array


def chunk_lengths(chunks: Chunks) -> list[int]:
    """Count the rows of each chunk, in this process."""
    lengths = []
    for key in chunks.keys:
        graph, _ = cull(chunks.graph, [key])
        data = {k: node.result() for k, node in graph.items() if is_future(node)}
        lengths.append(n_rows(dask.get({**graph, **data}, [key])[0]))
    return lengths


def _from_memory(name: str, value: Any, text: bool) -> Chunks:
    value = _as_rows(name, value, text)
    key = f"{name}-in-memory"
    n_columns = int(value.shape[1]) if value.ndim == 2 else None
    return Chunks(name, {key: value}, (key,), (n_rows(value),), n_columns, in_memory=True)


def _as_rows(name: str, value: Any, text: bool) -> Any:
    """Rows in a container that can be cut."""
    if not (isinstance(value, np.ndarray | pd.DataFrame | pd.Series) or sp.issparse(value)):
        if isinstance(value, str | bytes | Mapping) or not (hasattr(value, "__len__") or hasattr(value, "__array__")):
            raise TypeError(f"{name} is a {type(value).__qualname__}; allowed are {_ALLOWED}.")
        value = _documents(value) if text and name == "X" else np.asarray(value)
    _check_dimensions(name, value, text)
    return value


def _documents(value: Any) -> np.ndarray:
    """A list as an array; texts as objects, for NumPy's strings are all as long as the longest of them."""
    is_text = isinstance(value, list | tuple) and all(isinstance(document, str | bytes) for document in value)
    return np.array(value, dtype=object) if is_text else np.asarray(value)


def _check_dimensions(name: str, value: Any, text: bool) -> None:
    if value.ndim in ((2,) if name == "X" else (1, 2)):
        return
    holds_text = value.ndim == 1 and getattr(value.dtype, "kind", "O") in _TEXT_KINDS
    if name == "X" and holds_text and text:
        return
    allowed = "2 dimensions (rows and columns)" if name == "X" else "1 dimension, or 2 for several outputs"
    hint = ""
    if name == "X" and holds_text:
        hint = (
            " One text for each row is for estimators that take it, such as PartialFitPipeline([('words', "
            "HashingVectorizer()), ('model', SGDClassifier())])."
        )
    raise ValueError(f"{name} has {counted(value.ndim, 'dimension')}; allowed: {allowed}.{hint}")


def _flat(keys: Any) -> list[Key]:
    if isinstance(keys, list):
        return [key for part in keys for key in _flat(part)]
    return [keys]
