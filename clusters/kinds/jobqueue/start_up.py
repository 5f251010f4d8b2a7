"""Starts a cluster of jobs, or says why it does not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import dask
from distributed.deploy import Cluster
from distributed.security import Security

from clusters.clean_start import opened
from clusters.dask_settings import quiet_settings
from clusters.deadlines import Deadline
from clusters.errors import Problem, StartError
from clusters.kinds.jobqueue.checks import find_problems
from clusters.kinds.jobqueue.cluster import TellingCluster, cluster_class
from clusters.kinds.jobqueue.keeper import Keeper, log_of
from clusters.kinds.jobqueue.network import Unreachable, scheduler_ip
from clusters.kinds.jobqueue.options import JobConfig
from clusters.kinds.jobqueue.private_folder import PrivateFolder, sweep
from clusters.kinds.jobqueue.script import (
    JobPaths,
    job_arguments,
    uses_tls,
    worker_environment,
    worker_security,
)
from clusters.kinds.jobqueue.system import System
from clusters.scheduler_end import count_idleness
from clusters.tls import portable, security_of

__all__ = ["start_jobs"]

_POLL_SECONDS = 0.05
# Between two questions to the batch system, while nothing has come: at first soon, for what fails at once.
_FIRST_ASK, _LAST_ASK = 0.5, 5.0


def start_jobs(config: JobConfig, system: System, deadline: Deadline) -> Cluster:
    """Start the scheduler here, submit the jobs, and wait for their workers.

    Parameters
    ----------
    config : JobConfig
        The configuration.
    system : System
        Its batch system.
    deadline : Deadline
        Until when.

    Raises
    ------
    StartError
        If it does not start; nothing of it is left.
    """
    for problem in find_problems(config, system, deadline.left):
        raise StartError(problem.cause, problem.setting)
    parent = config.shared_folder
    sweep(parent)
    private = PrivateFolder(parent)
    try:
        logs = _log_directory(config, private)
        cluster = _open(config, system, private, logs)
    except BaseException:
        private.remove()
        raise
    cluster.private = private
    try:
        cluster.scale(config.least or 0)
        _wait(cluster, config.least or 0, logs, deadline)
        count_idleness(cluster, config.idle_timeout)
        Keeper(cluster, logs, config.options.watch_every).begin()
    except BaseException:
        cluster.close()
        raise
    return cluster


def _log_directory(config: JobConfig, private: PrivateFolder) -> Path:
    if config.log_folder is not None:
        return config.log_folder
    logs = private.path / "logs"
    logs.mkdir(mode=0o700)
    return logs


def _open(config: JobConfig, system: System, private: PrivateFolder, logs: Path) -> TellingCluster:
    """The cluster with its scheduler, and no jobs yet."""
    options = config.options
    paths = JobPaths(str(private.path), str(logs))
    try:
        host = scheduler_ip(options, config.interface)
    except Unreachable as error:
        raise StartError(error.problem.cause, error.problem.setting) from None
    private.write_environment("environment", worker_environment(config, paths))
    security = _security(config, private, paths) if uses_tls(config) else None
    protocol = "tls://" if security is not None else "tcp://"
    scheduler_options: dict[str, Any] = {
        "host": host,
        "port": options.port,
        "protocol": protocol,
        "security": security,
        # Told no address, Dask would answer health checks and metrics on port 8787 of every interface.
        "dashboard": config.dashboard is not None,
        "dashboard_address": config.dashboard or "127.0.0.1:0",
    }
    arguments = {
        "security": security,
        "protocol": protocol,
        "scheduler_options": scheduler_options,
        # By default, it hides all warnings of this process, also ours of jobs that fail.
        "silence_logs": "warning",
        **job_arguments(config, system, paths, host),
    }
    try:
        with dask.config.set(quiet_settings()):
            cluster: TellingCluster = opened(cluster_class(system), arguments)
    except (OSError, RuntimeError, ValueError) as error:
        raise StartError(f"the scheduler did not start on {host}: {error}") from error
    return cluster


def _security(config: JobConfig, private: PrivateFolder, paths: JobPaths) -> Security:
    """The certificates of this cluster, those of its workers in files that only their jobs read."""
    security: Any = security_of(config.security, default=True)
    parts = portable(security, "worker")
    for name, path in paths.certificates.items():
        if name in parts:
            private.write(Path(path).name, parts[name])
    own = ("tls_ciphers", *(f"tls_{role}_{part}" for role in ("client", "scheduler") for part in ("cert", "key")))
    return worker_security(paths, **{name: getattr(security, name) for name in own})


def _wait(cluster: TellingCluster, number: int, logs: Path, deadline: Deadline) -> None:
    """Wait for workers, and say at once what became of jobs that fail."""
    pause = _FIRST_ASK
    ask_at = time.monotonic() + pause
    while (come := len(cluster.scheduler_info["workers"])) < number:
        problem = None
        if cluster.ledger.refusals:
            problem = cluster.system.explain(cluster.ledger.refusals[0])
        elif time.monotonic() >= ask_at:
            problem = _failure(cluster, logs, deadline)
            pause = min(_LAST_ASK, 2 * pause)
            ask_at = time.monotonic() + pause
        if problem is not None:
            raise StartError(problem.cause, problem.setting)
        if deadline.over:
            raise StartError(*_overdue(cluster, come, number, logs, deadline))
        time.sleep(_POLL_SECONDS)


def _failure(cluster: TellingCluster, logs: Path, deadline: Deadline) -> Problem | None:
    """What is wrong where a job left the queue before its worker came, or will never start."""
    queue = cluster.system.queue
    if queue is None or (states := queue.states(max(deadline.left, 1.0))) is None:
        return None
    there = {worker["name"] for worker in cluster.scheduler_info["workers"].values()}
    for job, name in list(cluster.ledger.names.items()):
        if name in there:
            continue
        if job in states:
            if problem := queue.stuck(states[job]):
                return problem
            continue
        ending = queue.ending(job, max(deadline.left, 1.0))
        told = f" ({ending})" if ending else ""
        cause = f"job {job} ended, and its worker is not there{told}: {log_of(logs, job)}"
        return Problem(cause, "change what its log complains of, with python=, prologue=, env= or memory=")
    return None


def _overdue(cluster: TellingCluster, come: int, number: int, logs: Path, deadline: Deadline) -> tuple[str, str]:
    states = cluster.system.states(cluster.ledger.submitted, 5.0) or {}
    told = [f"job {job}: {state}" for job, state in states.items()]
    told += [f"log of job {job}: {log_of(logs, job)}" for job in cluster.ledger.submitted[:1]]
    cause = (
        f"{come} of {number} workers came within {deadline.seconds:g} s ({'; '.join(told) or 'no job was submitted'})"
    )
    return cause, "allow more time with start_timeout=, or do not wait for the queue with workers=(0, n)"
