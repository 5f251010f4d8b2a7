"""Brings what Dask has yet to compute here, chunk by chunk."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle
import dask
from dask.base import is_dask_collection
from dask.optimization import cull
from dask.typing import Key

from dhpo.cluster.tasks import AnyWorkerClient, Task, gather
from dhpo.data.graphs import check_repeatable, graph_of, has_barrier, split_futures
from dhpo.data.read_errors import naming_block
from dhpo.data.rows import concatenate
from dhpo.errors.user_code import guarded, in_thread

__all__ = ["bring", "measure", "submit_chunk"]

# Chunks are computed by a task each where that is so many times the work of all, at the most, and none has more tasks.
_MOST_TIMES, _MOST_EACH = 3, 20


async def bring(client: AnyWorkerClient, values: Mapping[str, Any], doing: str) -> dict[str, Any]:
    """Compute on the cluster what is given by name, and bring it here.

    Parameters
    ----------
    client : AnyWorkerClient
    values : mapping of str to (collection, Future, or list of delayed objects)
    doing : str
        For the error.

    Raises
    ------
    SearchFailed
        If a chunk cannot be computed, whatever it raises; it names the chunk. Not where chunks have most of their graph
        in common, as those of a shuffle have: then it is what Dask makes of it.
    """
    parts = {name: _parts(name, value) for name, value in values.items()}
    tasks = {name: part.submit(client) for name, part in parts.items()}
    results = iter(await gather(client, [task for some in tasks.values() for task in some], doing))
    brought = {}
    for name, part in parts.items():
        found = dict(zip(_flat(part.keys), results, strict=False))
        # Large arrays are put together, which takes its time.
        brought[name] = await in_thread(part.together, _nested(part.keys, found))
    return brought


async def measure(
    client: AnyWorkerClient, values: Mapping[str, Any], function: Callable[[Any], int], doing: str
) -> dict[str, int]:
    """What a function says of the chunks of collections, summed up for each; see `bring` for the parameters."""
    tasks = {name: _parts(name, value).submit(client, function) for name, value in values.items()}
    results = iter(await gather(client, [task for some in tasks.values() for task in some], doing))
    return {name: sum(next(results) for _ in some) for name, some in tasks.items()}


@dataclass(frozen=True)
class _Parts:
    """A collection taken apart.

    Parameters
    ----------
    name : str
    graph : mapping
    keys : key, or nested list of keys
        Of the chunks.
    together : callable
        Makes the whole of the results, nested as the keys.
    """

    name: str
    graph: Mapping[Key, Any]
    keys: Any
    together: Callable[[Any], Any]

    def submit(self, client: AnyWorkerClient, function: Callable[[Any], Any] | None = None) -> list[Task]:
        """Have each chunk computed, or what a function says of it."""
        keys = list(_flat(self.keys))
        culled = [cull(self.graph, [key])[0] for key in keys]
        n_tasks, n_apart = len(self.graph), sum(map(len, culled))
        if has_barrier(self.graph) or n_apart > _MOST_TIMES * n_tasks or n_tasks > _MOST_EACH * len(keys):
            return [Task([future]) for future in self._submit_together(client, keys, function)]
        return [
            submit_chunk(client, graph, key, _number(key, n), function, self.name)
            for n, (graph, key) in enumerate(zip(culled, keys, strict=True))
        ]

    def _submit_together(self, client: AnyWorkerClient, keys: list[Key], function: Any) -> list[Any]:
        """By the tasks of the graph, so that what is in common is computed once."""
        graph, wanted = dict(self.graph), keys
        if function is not None:
            wanted = [f"{function.__name__}-{uuid.uuid4().hex}" for _ in keys]
            graph.update({one: (function, key) for one, key in zip(wanted, keys, strict=True)})
        futures: list[Any] = client.client.get(graph, wanted, sync=False, **client.workers.anywhere())
        return futures


def _number(key: Key, position: int) -> int:
    """Of a chunk, as its key tells; the place where it stands otherwise."""
    is_numbered = isinstance(key, tuple) and len(key) > 1 and isinstance(key[1], int)
    return key[1] if is_numbered else position  # type: ignore[index, return-value]


def submit_chunk(
    client: AnyWorkerClient,
    graph: Mapping[Key, Any],
    key: Key,
    number: int,
    function: Callable[[Any], Any] | None = None,
    name: str = "",
) -> Task:
    """Have one chunk computed, or what a function says of it.

    By one task, which knows what it does: what would end its worker is an error, and it can run elsewhere.

    Parameters
    ----------
    client : AnyWorkerClient
    graph : mapping
        Of this chunk alone; its futures go along as dependencies.
    key : key
        Of the chunk in the graph.
    number : int
        Of the chunk, for errors.
    function : callable, optional
    name : str
        Of the collection, for errors; empty where its chunks are the blocks of a search.
    """
    rest, futures = split_futures(graph)
    # As bytes: Dask would take the references inside a graph for dependencies of the task.
    pickled = cloudpickle.dumps((rest, function), protocol=5)
    return client.submit(_compute, pickled, key, number, name, list(futures), list(futures.values()), pure=False)


@guarded
def _compute(pickled: bytes, key: Key, number: int, name: str, names: Sequence[Key], values: Sequence[Any], /) -> Any:
    graph, function = cloudpickle.loads(pickled)
    with naming_block(number, graph, name):
        (chunk,) = dask.get({**graph, **dict(zip(names, values, strict=True))}, [key])
        return chunk if function is None else function(chunk)


def _parts(name: str, value: Any) -> _Parts:
    if isinstance(value, list | tuple):
        (*parts,) = dask.optimize(*value)
        graph = {key: node for part in parts for key, node in part.__dask_graph__().items()}
        check_repeatable(name, graph, as_a_whole=True)
        return _Parts(name, graph, [part.key for part in parts], concatenate)
    if not is_dask_collection(value):
        return _Parts(name, {value.key: value}, value.key, lambda whole: whole)
    graph, keys = graph_of(value)
    check_repeatable(name, graph, as_a_whole=True)
    together, more = value.__dask_postcompute__()
    return _Parts(name, graph, keys, lambda chunks: together(chunks, *more))


def _flat(keys: Any) -> Iterator[Key]:
    if isinstance(keys, list):
        for part in keys:
            yield from _flat(part)
    else:
        yield keys


def _nested(keys: Any, found: Mapping[Key, Any]) -> Any:
    return [_nested(part, found) for part in keys] if isinstance(keys, list) else found[keys]
