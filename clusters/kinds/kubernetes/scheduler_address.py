"""The way from this process to the scheduler: straight to its service inside the cluster, or by the API server."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from clusters.errors import StartError
from clusters.kinds.kubernetes.api import Server
from clusters.kinds.kubernetes.config import KubernetesConfig
from clusters.kinds.kubernetes.pods import DASHBOARD_PORT, SCHEDULER_PORT, encrypted

__all__ = ["Reached", "reach_scheduler"]

_LOOKUP_SECONDS = 3.0
_CLOSE_SECONDS = 2.0
_TRIES = 10


@dataclass
class Reached:
    """Where the scheduler is for this process.

    Parameters
    ----------
    address : str
        Of the scheduler.
    dashboard_port : int
        On the same host.
    held : AsyncExitStack
        What has to be closed.
    """

    address: str
    dashboard_port: int
    held: AsyncExitStack

    async def close(self) -> None:
        """Stop listening."""
        try:
            # From Python 3.12 on it waits for the connections of others to end.
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.held.aclose()
        except TimeoutError:
            return


async def reach_scheduler(server: Server, config: KubernetesConfig, name: str) -> Reached:
    """Find the way, or make one.

    Parameters
    ----------
    server : Server
        The API server.
    config : KubernetesConfig
        Says which way to take.
    name : str
        Of the cluster.

    Returns
    -------
    Reached
        To be closed.

    Raises
    ------
    StartError
        If there is no such way.
    """
    protocol = "tls" if encrypted(config) else "tcp"
    host = f"{name}-scheduler.{server.namespace}"
    way = config.kubernetes.reach
    inside = way == "service" or (way == "auto" and "KUBERNETES_SERVICE_HOST" in os.environ)
    if inside and await _resolves(host):
        return Reached(f"{protocol}://{host}:{SCHEDULER_PORT}", DASHBOARD_PORT, AsyncExitStack())
    if way == "service":
        raise StartError(f"{host} is not known here", "say reach='forward', or run inside the Kubernetes cluster")
    held = AsyncExitStack()
    try:
        ports = [await _forward(server, held, f"{name}-scheduler", port) for port in (SCHEDULER_PORT, DASHBOARD_PORT)]
    except BaseException:
        await held.aclose()
        raise
    return Reached(f"{protocol}://127.0.0.1:{ports[0]}", ports[1], held)


async def _resolves(host: str) -> bool:
    try:
        async with asyncio.timeout(_LOOKUP_SECONDS):
            await asyncio.get_running_loop().getaddrinfo(host, SCHEDULER_PORT)
    except (socket.gaierror, TimeoutError):
        return False
    return True


async def _forward(server: Server, held: AsyncExitStack, service: str, port: int) -> int:
    import kr8s
    from kr8s.asyncio.objects import Service
    from kr8s.asyncio.portforward import PortForward

    try:
        found: Any = await Service.get(service, namespace=server.namespace, api=server.client)
    except kr8s.NotFoundError as error:
        raise StartError(f"the Dask operator made no service {service}", "see the log of the operator") from error
    for _ in range(_TRIES):
        try:
            return await held.enter_async_context(PortForward(found, port, local_port="auto", address="127.0.0.1"))
        except OSError:
            # It takes a port at random, and somebody was faster.
            continue
    raise StartError(f"no free port on 127.0.0.1 in {_TRIES} tries", "end what listens on this machine")
