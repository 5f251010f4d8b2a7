"""What only the cluster can tell of the arguments of `fit`, before the data is read as a whole."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import cloudpickle
import dask
import numpy as np
from dask.base import is_dask_collection
from dask.optimization import cull
from dask.typing import Key

from dhpo.cluster.chunks import bring
from dhpo.cluster.tasks import AnyWorkerClient, gather
from dhpo.data.collections import Chunks
from dhpo.data.graphs import is_future, split_futures
from dhpo.data.numeric_input import NotNumbers, check_rows
from dhpo.wording import counted

__all__ = ["check_first_rows", "check_labels", "computed_arguments"]

logger = logging.getLogger(__name__)

_NAMED = 5


async def computed_arguments(client: AnyWorkerClient, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `partial_fit`, with those computed that are dask collections or futures.

    Parameters
    ----------
    client : AnyWorkerClient
    arguments : mapping of str to object
    """
    lazy = {name: value for name, value in arguments.items() if is_dask_collection(value) or is_future(value)}
    return {**arguments, **await bring(client, lazy, f"computing {', '.join(lazy)}")}


async def check_first_rows(client: AnyWorkerClient, estimator: Any, X: Chunks) -> None:
    """Look at the rows of the first chunk.

    Parameters
    ----------
    client : AnyWorkerClient
    estimator : estimator
        One that takes numbers alone.
    X : Chunks

    Raises
    ------
    NotNumbers
        If scikit-learn's own validation refuses them.
    """
    key = X.keys[0]
    graph, _ = cull(X.graph, [key])
    rest, futures = split_futures(graph)
    # As bytes: Dask would take the references inside a graph for dependencies of the task.
    pickled = cloudpickle.dumps((estimator, rest), protocol=5)
    task = client.submit(_refusal, pickled, key, list(futures), list(futures.values()), pure=False)
    try:
        (refusal,) = await gather(client, [task], "looking at the first rows")
    except Exception:  # what hinders the reading of the data is told, and tried again, where all of it is read
        logger.debug("could not look at the first rows", exc_info=True)
        return
    if refusal is not None:
        raise NotNumbers(refusal)


def _refusal(pickled: bytes, key: Key, names: Sequence[Key], values: Sequence[Any]) -> str | None:
    estimator, graph = cloudpickle.loads(pickled)
    rows = dask.get({**graph, **dict(zip(names, values, strict=True))}, [key])[0]
    try:
        check_rows(estimator, rows)
    except NotNumbers as error:
        return str(error)
    return None


def check_labels(found: np.ndarray, classes: Any) -> None:
    """Raise ValueError if some of the labels are none of the classes that the user told.

    Parameters
    ----------
    found : ndarray
        The distinct labels of y, as far as they could be told.
    classes : array-like
    """
    known = np.asarray(list(classes) if isinstance(classes, set | frozenset) else classes)
    if known.ndim != 1 or (known.dtype.kind in "OUST") != (found.dtype.kind in "OUST"):
        return  # of several outputs, or nothing that NumPy compares as the estimator does
    try:
        strange = found[~np.isin(found, known)]
    except TypeError:  # labels of types that have no order
        return
    if len(strange):
        shown = ", ".join(repr(label.item() if hasattr(label, "item") else label) for label in strange[:_NAMED])
        more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
        raise ValueError(
            f"classes={known.tolist()!r} lacks {counted(len(strange), 'label')} of y: {shown}{more}. Give all of them, "
            "or leave classes out: they are found in y."
        )
