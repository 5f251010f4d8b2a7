"""Starts cluster objects of Dask such that nothing of them is left where their start ends early."""

from __future__ import annotations

import contextlib
from typing import Any, TypeVar

from distributed.deploy import SpecCluster

__all__ = ["opened"]

C = TypeVar("C", bound=SpecCluster)

_BEGUN_SECONDS = 30.0


def opened(cluster_class: type[C], arguments: dict[str, Any]) -> C:
    """A cluster that has started; where Ctrl-C or an error ends its start, what has begun is closed first.

    Parameters
    ----------
    cluster_class : type
        The class of the cluster.
    arguments : dict
        Its keywords.
    """
    # Made in two steps, to have in hand what a start leaves that does not return.
    cluster = cluster_class.__new__(cluster_class)
    try:
        cluster.__init__(**arguments)  # type: ignore[misc]
    except BaseException:
        _end(cluster)
        raise
    return cluster


def _end(cluster: Any) -> None:
    runner = getattr(cluster, "_loop_runner", None)
    if runner is None or not runner.is_started():
        return
    # Ctrl-C ends the waiting for a start, and not the start, which goes on in a thread: closed half-way, it would leave
    # its workers.
    for begun in (cluster._start, cluster._correct_state):
        with contextlib.suppress(Exception):
            cluster.sync(begun, callback_timeout=_BEGUN_SECONDS)
    with contextlib.suppress(Exception):
        cluster.close()
