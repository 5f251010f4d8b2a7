"""The graphs of dask collections: whether their chunks can be computed one by one, and what is on the cluster."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dask
from dask.optimization import cull
from dask.typing import Key

from dhpo.errors import RepeatedWorkWarning

__all__ = [
    "check_repeatable",
    "graph_of",
    "has_barrier",
    "has_futures",
    "is_future",
    "split_futures",
    "warn_of_repeated_work",
]

# In the names of tasks: shuffles whose rows come in another order each time, and what waits for all chunks of one.
_SHUFFLES = ("zpartd-", "p2pshuffle-", "hashjoinp2p-")
_BARRIER = "shuffle-barrier-"
# Work that is done again is told from so many chunks on, by some of them, where it is so many times that of all.
_MANY_CHUNKS, _LOOKED_AT, _MUCH_MORE = 8, 3, 1.5


def graph_of(value: Any, optimized: bool = False) -> tuple[dict[Key, Any], Any]:
    """The graph of a dask collection, and the nested keys of its chunks.

    Parameters
    ----------
    value : collection
    optimized : bool, default False
        Whether its graph is to be taken as it is.
    """
    # Dask's other shuffles bring rows in another order each time, or can only be computed as a whole.
    with dask.config.set({"dataframe.shuffle.method": "tasks"}):
        if not optimized and not has_futures(value):
            # dask.optimize() on a dataframe returns keys that its graph computes as something else (seen with 2026.8).
            value = value.optimize() if hasattr(type(value), "optimize") else dask.optimize(value)[0]
        return dict(value.__dask_graph__()), value.__dask_keys__()


def check_repeatable(name: str, graph: Mapping[Key, Any], as_a_whole: bool = False) -> None:
    """Raise ValueError if chunks cannot be computed one by one, or not twice with the same rows.

    Parameters
    ----------
    name : str
        What the caller calls the collection.
    graph : mapping
    as_a_whole : bool, default False
        Whether Dask computes all chunks together, as those of whole fits.
    """
    names = _names(graph)
    shuffled = any(mark in task for task in names for mark in _SHUFFLES)
    if shuffled or (not as_a_whole and _has_barrier(names)):
        what, setting = ("shuffled", "dataframe.shuffle.method") if shuffled else ("rechunked", "array.rechunk.method")
        raise ValueError(
            f"{name} was {what} by Dask on disk or by P2P: its chunks cannot be computed one by one with the same rows "
            "each time. Write the data to files and search on those, or persist what X and y are taken from "
            f"(data = data.persist()), or set dask.config.set({{{setting!r}: 'tasks'}}) before {name} is made."
        )


def warn_of_repeated_work(name: str, graph: Mapping[Key, Any], keys: Sequence[Key]) -> None:
    """Say so where a chunk needs tasks of all others, as after a shuffle; told by a few chunks."""
    if len(keys) < _MANY_CHUNKS:
        return
    sizes = [_n_tasks(cull(graph, [key])[0]) for key in keys[:: -(-len(keys) // _LOOKED_AT)]]
    if min(sizes) < len(keys):
        return
    together, apart = _n_tasks(graph), min(sizes) * len(keys)
    if apart > _MUCH_MORE * together:
        warnings.warn(
            f"each of the {len(keys)} chunks of {name} depends on {min(sizes)} or more of the {together} tasks of the "
            "whole, as after a shuffle, or where a mean of all rows is subtracted. Chunks are computed one by one, so "
            "that work which they share is repeated for each. Persist X and y themselves (X, y = dask.persist(X, y)), "
            "or write them to files and search on those.",
            RepeatedWorkWarning,
            stacklevel=2,
        )


def _n_tasks(graph: Mapping[Key, Any]) -> int:
    """The nodes that are work, and not data."""
    return sum(type(node).__name__ not in ("DataNode", "Alias") and not is_future(node) for node in graph.values())


def has_barrier(graph: Mapping[Key, Any]) -> bool:
    """Whether there are chunks that wait for all others: Dask has to compute all of them at once."""
    return _has_barrier(_names(graph))


def _has_barrier(names: Iterable[str]) -> bool:
    return any(task.startswith(_BARRIER) for task in names)


def _names(graph: Mapping[Key, Any]) -> set[str]:
    return {str(key[0] if isinstance(key, tuple) else key) for key in graph}


def has_futures(value: Any) -> bool:
    """Whether some data of a dask collection already sits on the cluster."""
    # Optimising would fuse the futures of a persisted collection into tasks, where they cannot be exchanged for data.
    return any(is_future(node) for node in dict(value.__dask_graph__()).values())


def is_future(node: Any) -> bool:
    """Whether a node of a graph is data that already sits on the cluster."""
    return type(node).__name__ == "Future" and type(node).__module__.startswith("distributed")


def split_futures(graph: Mapping[Key, Any]) -> tuple[dict[Key, Any], dict[Key, Any]]:
    """The nodes of a graph that compute something, and those that are data on the cluster."""
    futures = {key: node for key, node in graph.items() if is_future(node)}
    return {key: node for key, node in graph.items() if key not in futures}, futures
