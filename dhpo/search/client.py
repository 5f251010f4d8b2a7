"""The cluster that a search runs on."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import distributed
from distributed.utils import silence_logging_cmgr

__all__ = ["current_client"]

# For the threads of our own cluster to end what they do.
_CLOSE_SECONDS = 5.0


def current_client() -> tuple[Any, Callable[..., None] | None]:
    """The current client, or one of our own and the way to close it, which waits for no thread if told `at_once=True`.

    In a task of Dask it is the client of the worker, and the task gives its thread back to the worker, as under
    `distributed.worker_client`: steps that the scheduler sends to that very thread would wait for it for ever.

    Raises
    ------
    ValueError
        If the current client is closed.
    """
    in_task = _in_task()
    try:
        client = distributed.get_client() if in_task else distributed.default_client()
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

        def close(at_once: bool = False) -> None:
            loop: Any = own.loop
            if not loop.asyncio_loop.is_running():  # it has ended with all that ran in it
                return
            # It would warn of calls that are still under way, where a search was stopped or had looked ahead.
            with silence_logging_cmgr(logging.ERROR):
                own.close()
                for worker in list(cluster.workers.values()):
                    # By itself the cluster would wait half a minute for a thread that is stuck in `partial_fit`.
                    cluster.sync(worker.close, timeout=_CLOSE_SECONDS, executor_wait=not at_once)
                cluster.close()

        return own, close
    if client.status != "running":
        raise ValueError(
            f"the current client is {client.status}: {client!r}. Start a new distributed.Client, or close this one's "
            "`as_current` block to search on a cluster of this machine."
        )
    if in_task:
        # For good: the thread ends with its task. To take it back would mean to wait for the end of some other task.
        with suppress(AttributeError, KeyError):  # a task without a thread of its own, or that has left it already
            distributed.secede()
    return client, None


def _in_task() -> bool:
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True
