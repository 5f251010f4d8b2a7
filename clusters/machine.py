"""A Dask cluster on this machine."""

from __future__ import annotations

from typing import Any

import dask
import distributed
from dask.system import CPU_COUNT
from dask.utils import format_bytes, parse_bytes
from distributed.system import MEMORY_LIMIT

from clusters.clean_start import opened
from clusters.dask_settings import quiet_settings
from clusters.scheduler_end import EndsWithScheduler
from clusters.script_guard import refuse_unguarded_script

__all__ = ["LocalCluster", "local", "local_arguments", "start_local"]

_LOOPBACK = "127.0.0.1"
_OWN_NAMES = {
    "n_workers": "workers",
    "threads_per_worker": "threads",
    "memory_limit": "memory",
    "dashboard_address": "dashboard",
}


class LocalCluster(EndsWithScheduler, distributed.LocalCluster):
    """Dask's own, which also closes at once where its scheduler has ended by itself."""


def local(
    workers: int | None = None,
    threads: int = 1,
    memory: str | int | None = None,
    dashboard: str | None = "127.0.0.1:0",
    *,
    processes: bool = True,
    **options: Any,
) -> LocalCluster:
    """Start a Dask cluster on this machine.

    Parameters
    ----------
    workers : int, optional
        Number of workers. Default: as many as give each core of the machine one thread.
    threads : int, default 1
        Threads of each worker. One is right for code that holds the GIL, as many `partial_fit` methods do; more threads
        share the memory of one process.
    memory : str or int, optional
        Memory limit of one worker, such as "2GB", or in bytes; all workers together have `workers * memory`, and
        must fit this machine. Default: the memory of the machine (or of its container), shared out evenly.
    dashboard : str or None, default "127.0.0.1:0"
        Host and port of the dashboard; port 0 takes a free one, None starts none. All else listens on loopback whatever
        is said here. Whoever reaches the dashboard can read what runs; whoever reaches a scheduler runs code there.
    processes : bool, default True
        Whether each worker is a process of its own, or all live in this one. In one process Dask can only measure the
        memory of them all, so each is given the sum of their limits.
    **options
        Passed on to `distributed.LocalCluster`.

    Returns
    -------
    distributed.LocalCluster
        A context manager: at the end of the `with` block all its processes and ports are gone.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not allowed; before anything is started.
    RuntimeError
        If a script without a `__main__` guard calls this: each worker process would import it. Before anything starts.

    Notes
    -----
    A worker process begins by importing the script that starts it. So a script calls this below
    ``if __name__ == "__main__":``, or each worker would start a cluster too.

    Examples
    --------
    >>> import clusters
    >>> with clusters.local(workers=2, memory="1GB") as cluster, cluster.get_client() as client:
    ...     client.submit(sum, [1, 2]).result()
    3
    """
    for theirs, ours in _OWN_NAMES.items():
        if theirs in options:
            raise TypeError(f"{theirs}={options[theirs]!r}: say {ours}= to clusters.local()")
    if workers is not None:
        _check_count("workers", workers)
    return start_local(local_arguments(workers, workers, threads, memory, dashboard, processes, options))


def start_local(arguments: dict[str, Any]) -> LocalCluster:
    """Start what `local_arguments` describes."""
    if arguments["processes"]:
        refuse_unguarded_script()
    with dask.config.set(quiet_settings()):
        return opened(LocalCluster, arguments)


def local_arguments(
    workers: int | None,
    most: int | None,
    threads: int,
    memory: str | int | None,
    dashboard: str | None,
    processes: bool,
    options: dict[str, Any],
) -> dict[str, Any]:
    """What `LocalCluster` is given for the parameters of `local`, checked; `most` is how many workers may come."""
    _check_count("threads", threads)
    if workers is None or most is None:
        workers = most = max(1, CPU_COUNT // threads)
    limit = MEMORY_LIMIT // most if memory is None else _bytes(memory)
    if most * limit > MEMORY_LIMIT:
        raise ValueError(
            f"memory={memory!r} for each of workers={most} makes {format_bytes(most * limit)}, "
            f"and this machine has {format_bytes(MEMORY_LIMIT)}"
        )
    _check_address(dashboard)
    # Also for workers in this process: over inproc:// each opens an HTTP port on every interface.
    loopback = {"host": _LOOPBACK, "protocol": "tcp://"}
    if processes:
        # The nannies hand it to workers, also to those that come later, by scale() or adapt().
        options["config"] = {**quiet_settings(), **options.get("config", {})}
    if dashboard is None:
        # Told no address, Dask would answer health checks and metrics on port 8787 of every interface.
        quiet = {"dashboard": False, "dashboard_address": f"{_LOOPBACK}:0"}
        options["scheduler_kwargs"] = {**quiet, **(options.get("scheduler_kwargs") or {})}
    return {
        "n_workers": workers,
        "threads_per_worker": threads,
        "processes": processes,
        "memory_limit": limit if processes else most * limit,
        "dashboard_address": dashboard,
        **loopback,
        **options,
    }


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}={value!r}: expected an integer")
    if value < 1:
        raise ValueError(f"{name}={value!r}: expected at least 1")


def _bytes(memory: object) -> int:
    if isinstance(memory, bool) or not isinstance(memory, str | int):
        raise TypeError(f"memory={memory!r}: expected bytes for one worker, such as '2GB' or an integer")
    try:
        limit: int = parse_bytes(memory)
    except (ValueError, OverflowError):
        limit = 0
    if limit < 1:
        raise ValueError(f"memory={memory!r}: expected bytes for one worker, such as '2GB' or an integer above 0")
    return limit


def _check_address(dashboard: object) -> None:
    if dashboard is None:
        return
    host, _, port = dashboard.rpartition(":") if isinstance(dashboard, str) else ("", "", "")
    # A bare ":8787" would listen on every interface of the machine.
    if not host or not port.isdecimal():
        raise ValueError(f"dashboard={dashboard!r}: expected 'host:port', such as '{_LOOPBACK}:8787', or None")
