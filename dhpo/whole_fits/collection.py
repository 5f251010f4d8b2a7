"""Brings dask collections together for estimators that need all rows at once, as far as they fit a worker."""

from __future__ import annotations

import math
from typing import Any

import dask.array as da
from dask.utils import format_bytes

from dhpo.cluster.chunks import bring, measure
from dhpo.cluster.tasks import AnyWorkerClient
from dhpo.data.collections import is_lazy
from dhpo.data.rows import nbytes
from dhpo.whole_fits.fit_job import FitData, LazyInput

__all__ = ["collect", "refuse_what_does_not_fit"]

# X, the training and test rows cut from it, and what the estimator makes of them.
_COPIES = 3
_SHARE_OF_MEMORY = 0.6


async def collect(client: AnyWorkerClient, lazy: LazyInput, memory: int) -> tuple[Any, Any, dict[str, Any]]:
    """Compute the collections on the cluster and bring them here; awaited under a `Watch`, for it has no deadline.

    Parameters
    ----------
    client : AnyWorkerClient
    lazy : LazyInput
    memory : int
        Bytes of the smallest worker.

    Returns
    -------
    X, y, params

    Raises
    ------
    ValueError
        If they do not fit a worker; where their size is not known it is computed first.
    SearchFailed
        If a chunk cannot be computed.
    """
    given = (("X", lazy.X), ("y", lazy.y), *lazy.params.items())
    collections = {name: value for name, value in given if is_lazy(value)}
    known = {name: v.nbytes if isinstance(v, da.Array) else math.nan for name, v in collections.items()}
    unknown = {name: collections[name] for name, size in known.items() if math.isnan(size)}
    known.update(await measure(client, unknown, nbytes, "finding out how large the data is"))
    _check(int(sum(known.values())), memory)
    values = await bring(client, collections, "collecting the data")
    params = {name: values.get(name, value) for name, value in lazy.params.items()}
    return values.get("X", lazy.X), values.get("y", lazy.y), params


def refuse_what_does_not_fit(data: FitData, memory: int) -> None:
    """Raise ValueError if data in memory does not fit a worker."""
    _check(nbytes(data.X) + nbytes(data.y), memory)


def _check(size: int, memory: int) -> None:
    allowed = int(memory * _SHARE_OF_MEMORY / _COPIES)
    if size > allowed:
        raise ValueError(
            f"X and y are {format_bytes(size)}, and each fit needs all of them on one worker: with "
            f"{format_bytes(memory)} of memory for a worker, {format_bytes(allowed)} fit. Use an estimator with "
            "partial_fit (SGDClassifier, MiniBatchKMeans, ... or dhpo.PartialFitPipeline of such) on a dask "
            "collection, which is trained block by block; or fewer rows; or workers with "
            f"{format_bytes(int(size * _COPIES / _SHARE_OF_MEMORY))}."
        )
