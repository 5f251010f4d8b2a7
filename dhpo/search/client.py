"""The cluster that a search runs on."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import distributed

__all__ = ["current_client"]


def current_client() -> tuple[Any, Callable[[], None] | None]:
    """The current client, or one of our own and the way to close it.

    Raises
    ------
    ValueError
        If the current client is closed.
    """
    try:
        client = distributed.default_client()
    except ValueError:
        # Threads of this process: nothing to guard in a script, and most estimators leave the GIL alone in partial_fit.
        cluster = distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=os.cpu_count(),
            processes=False,
            host="127.0.0.1",
            protocol="tcp://",  # over inproc:// a worker opens its HTTP port on every interface
            dashboard_address="127.0.0.1:0",
        )
        own = distributed.Client(cluster, set_as_default=False)

        def close() -> None:
            own.close()
            cluster.close()

        return own, close
    if client.status != "running":
        raise ValueError(
            f"the current client is {client.status}: {client!r}. Start a new distributed.Client, or close this one's "
            "`as_current` block to search on a cluster of this machine."
        )
    return client, None
