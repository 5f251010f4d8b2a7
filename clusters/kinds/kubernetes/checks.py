"""What stands in the way of a cluster on Kubernetes, found without creating anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from clusters.errors import Problem, StartError
from clusters.event_loops import in_own_loop
from clusters.kinds.kubernetes.api import Refused, Server
from clusters.kinds.kubernetes.config import KubernetesConfig
from clusters.kinds.kubernetes.manifests import DASK_API
from clusters.kinds.kubernetes.rights import needed

__all__ = ["check", "problems"]

_KINDS = {"daskclusters", "daskworkergroups", "daskautoscalers", "daskjobs"}
# How sources of volumes name what they hold.
_SOURCES = {
    "persistentVolumeClaim": ("persistentvolumeclaims", "claimName"),
    "configMap": ("configmaps", "name"),
    "secret": ("secrets", "secretName"),
}


def check(config: KubernetesConfig) -> list[Problem]:
    """What would keep `start` from succeeding, as far as the API server can tell."""
    return in_own_loop(_check(config))


async def _check(config: KubernetesConfig) -> list[Problem]:
    options = config.kubernetes
    try:
        server = await Server.reach(options.kubeconfig, options.context, options.namespace, config.start_timeout)
        async with aclosing(server), asyncio.timeout(config.start_timeout):
            return await problems(server, config)
    except StartError as error:
        return [error.problem]
    except TimeoutError:
        return [
            Problem(f"the API server did not answer within {config.start_timeout:g} s", "allow more start_timeout=")
        ]


async def problems(server: Server, config: KubernetesConfig, job: bool = False) -> list[Problem]:
    """The same with a server that has been reached. What we may not look at is not complained of.

    Parameters
    ----------
    server : Server
        The API server.
    config : KubernetesConfig
        The configuration.
    job : bool
        Whether a job is to be submitted, and no cluster to be started.

    Returns
    -------
    list of Problem
        Empty where nothing was found.
    """
    if not await _exists(server, f"/api/v1/namespaces/{server.namespace}"):
        cause = f"the namespace {server.namespace!r} does not exist"
        return [Problem(cause, f"change namespace=, or `kubectl create namespace {server.namespace}`")]
    found = [problem async for problem in _operator(server)]
    if not found:
        found += await _rights(server, needed(config, job))
    found += [problem async for problem in _named(server, config)]
    return found


async def _exists(server: Server, path: str) -> bool:
    try:
        await server.call("GET", path)
    except Refused as error:
        return error.code != 404
    return True


async def _operator(server: Server) -> AsyncIterator[Problem]:
    setting = "install the Dask operator: https://kubernetes.dask.org/en/latest/installing.html"
    try:
        known = {entry["name"] for entry in (await server.call("GET", f"/apis/{DASK_API}"))["resources"]}
    except Refused as error:
        if error.code == 404:
            yield Problem("the cluster knows no DaskCluster: the Dask operator is not installed", setting)
        return
    if missing := _KINDS - known:
        yield Problem(f"the Dask operator is installed in part: {', '.join(sorted(missing))} are unknown", setting)


async def _rights(server: Server, wanted: list[tuple[str, str, str]]) -> list[Problem]:
    answers = await asyncio.gather(*(server.allowed(*right) for right in wanted))
    denied: dict[str, list[str]] = {}
    for (group, resource, verb), allowed in zip(wanted, answers, strict=True):
        if not allowed:
            denied.setdefault(f"{resource}.{group}" if group else resource, []).append(verb)
    if not denied:
        return []
    what = "; ".join(f"{', '.join(verbs)} {resource}" for resource, verbs in denied.items())
    cause = f"in namespace {server.namespace!r} we may not: {what}"
    setting = "bind the role of clusters.kinds.kubernetes.rbac(config) to your account, or change namespace="
    return [Problem(cause, setting)]


async def _named(server: Server, config: KubernetesConfig) -> AsyncIterator[Problem]:
    options = config.kubernetes
    wanted: list[tuple[str, str, str]] = [("secrets", name, "pull_secrets") for name in options.pull_secrets]
    if options.service_account:
        wanted.append(("serviceaccounts", options.service_account, "service_account"))
    for volume in options.volumes:
        for source, (plural, key) in _SOURCES.items():
            held: dict[str, Any] = volume.get(source, {})
            if key in held and not held.get("optional"):
                wanted.append((plural, held[key], "volumes"))
    there = await asyncio.gather(*(_exists(server, server.path("v1", plural, name)) for plural, name, _ in wanted))
    for (plural, name, setting), exists in zip(wanted, there, strict=True):
        if not exists:
            cause = f"there is no {plural[:-1]} {name!r} in namespace {server.namespace!r}"
            yield Problem(cause, f"create it, or change {setting}=")
    if options.name and await _exists_ours(server, options.name):
        cause = f"a DaskCluster {options.name!r} exists already in namespace {server.namespace!r}"
        yield Problem(cause, "change name=, or leave it out for a new one")


async def _exists_ours(server: Server, name: str) -> bool:
    try:
        return await server.get(DASK_API, "daskclusters", name) is not None
    except Refused:
        return False
