"""The kind "ssh": a cluster on plain hosts, which need an SSH server and a Python with Dask.

The scheduler runs on the first of the hosts, or on the one of `scheduler=`. It and the workers listen only on the
address that SSH reaches their host by, under TLS with certificates made for this cluster alone. All of them end when
this process does, however it does: each hangs on its SSH connection.
"""

from __future__ import annotations

from distributed.deploy import Cluster

from clusters.deadlines import Deadline
from clusters.errors import Problem
from clusters.kinds import Kind
from clusters.kinds.ssh.config import SshConfig
from clusters.kinds.ssh.orders import render

__all__ = ["KIND"]


def _start(config: SshConfig, deadline: Deadline) -> Cluster:
    from clusters.kinds.ssh.cluster import start

    return start(config, deadline)


def _check(config: SshConfig) -> list[Problem]:
    from clusters.kinds.ssh.checks import check

    return check(config)


KIND = Kind(
    name="ssh",
    config=SshConfig,
    render=render,
    start=_start,
    check=_check,
    extra="ssh",
    needs=("asyncssh", "cryptography"),
)
