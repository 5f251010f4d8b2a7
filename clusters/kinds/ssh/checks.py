"""What stands in the way of a cluster over SSH, asked of all hosts at once; nothing is started."""

from __future__ import annotations

import asyncio

from distributed.security import Security

from clusters.deadlines import Deadline
from clusters.errors import Problem, StartError
from clusters.event_loops import in_own_loop
from clusters.kinds.ssh.config import Host, SshConfig
from clusters.kinds.ssh.connection import Connections
from clusters.kinds.ssh.orders import scheduler_order
from clusters.kinds.ssh.python import RemotePython

__all__ = ["check"]


def check(config: SshConfig) -> list[Problem]:
    """The problems of all hosts."""
    return in_own_loop(_check(config))


async def _check(config: SshConfig) -> list[Problem]:
    connections = Connections(config)
    hosts = {str(host): host for host in (config.scheduler_host, *config.ssh.hosts)}
    deadline = Deadline(config.start_timeout)
    try:
        found = await asyncio.gather(*(_problem(config, host, connections, deadline) for host in hosts.values()))
    finally:
        await connections.close()
    # Through a bastion, all hosts have the problem that the bastion has.
    return list(dict.fromkeys(problem for problem in found if problem is not None))


async def _problem(config: SshConfig, host: Host, connections: Connections, deadline: Deadline) -> Problem | None:
    python = RemotePython(config, host, connections)
    order = scheduler_order(config, Security(require_encryption=False))
    if host != config.scheduler_host:
        order["scheduler"] = "elsewhere"
    try:
        await python.run("inspect", order, deadline)
        await python.ready(deadline)
    except StartError as failure:
        return failure.problem
    finally:
        await python.end()
    return None
