"""Jobs: a script that runs in a pod, with a cluster of its own that ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets as randomness
from collections.abc import AsyncIterator
from typing import Any

from clusters.errors import StartError
from clusters.event_loops import in_own_loop
from clusters.kinds.kubernetes.api import Refused, Server
from clusters.kinds.kubernetes.checks import problems
from clusters.kinds.kubernetes.config import KubernetesConfig
from clusters.kinds.kubernetes.manifests import DASK_API, job_manifest, secrets
from clusters.tls import security_of

__all__ = ["job_state", "submit_job"]


def submit_job(config: KubernetesConfig, command: list[str], script: str | None = None) -> str:
    """Hand a job to the operator; it goes on without this process.

    Parameters
    ----------
    config : KubernetesConfig
        The configuration.
    command : list of str
        What the pod runs; with `script`, its arguments.
    script : str, optional
        The text of a Python script.

    Returns
    -------
    str
        The name of the DaskJob. ``kubectl logs NAME-runner`` shows its output, and ``kubectl delete daskjob NAME``
        removes all of it.

    Raises
    ------
    StartError
        If something stands in the way; nothing is left then.
    """
    return in_own_loop(_submit(config, command, script))


def job_state(config: KubernetesConfig, name: str) -> str:
    """What the operator says of a job.

    Parameters
    ----------
    config : KubernetesConfig
        The configuration that it was submitted with.
    name : str
        Its name.

    Returns
    -------
    str
        "Unknown" until the operator has seen it, "JobCreated", "ClusterCreated", "Running", "Successful" or "Failed";
        "Absent" where there is no such job.
    """
    return in_own_loop(_state(config, name))


@contextlib.asynccontextmanager
async def _reached(config: KubernetesConfig) -> AsyncIterator[Server]:
    options = config.kubernetes
    server = await Server.reach(options.kubeconfig, options.context, options.namespace, config.start_timeout)
    async with contextlib.aclosing(server):
        yield server


async def _submit(config: KubernetesConfig, command: list[str], script: str | None) -> str:
    name = config.kubernetes.name or f"dhpo-{randomness.token_hex(4)}"
    held = secrets(config, name, security_of(config.security, default=True))
    *parts, job = job_manifest(config, command, name, script)
    made: list[dict[str, Any]] = []
    async with _reached(config) as server:
        try:
            async with asyncio.timeout(config.start_timeout):
                for problem in await problems(server, config, job=True):
                    raise StartError(problem.cause, problem.setting)
                for manifest in [*held, *parts]:
                    await server.create(manifest, made=made)
                owner = await server.create(job, made=made)
                for manifest in [*held, *parts]:
                    await server.give(manifest, owner)
        except BaseException as error:
            for manifest in reversed(made):
                with contextlib.suppress(Refused):
                    await server.remove(manifest)
            if isinstance(error, Refused):
                raise StartError(f"the API server refused the job: {error}", "change what the message names") from error
            if isinstance(error, TimeoutError):
                raise StartError("the API server did not answer in time", "allow more start_timeout=") from error
            raise
    return name


async def _state(config: KubernetesConfig, name: str) -> str:
    async with _reached(config) as server:
        found = await server.get(DASK_API, "daskjobs", name)
    if found is None:
        return "Absent"
    return str(found.get("status", {}).get("jobStatus", "Unknown"))
