"""Scripts that run on the first host of a cluster over SSH, detached from the connection.

They start their cluster from there. Where it is of that host alone, it is of kind "local" to them, and needs no SSH.
Else that host logs in to the others, and to itself, as it would by hand: a bastion is left out, for the host is behind
it, and keys and further files of SSH are those that are named, where they are on that host, too, and else its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clusters.kinds import kind_named
from clusters.kinds.ssh.config import SshConfig
from clusters.submission.backend import Backend

if TYPE_CHECKING:
    from clusters.submission.ssh_channel import SshChannel

__all__ = ["BACKEND"]

_FOR_LOCAL = ("workers", "threads", "memory", "env", "security", "idle_timeout", "dashboard", "start_timeout")


class SshBackend(Backend):
    """Detached processes of a host."""

    same_files = False
    checks_there = True

    def channel(self, config: SshConfig) -> SshChannel:
        """Through SSH."""
        kind_named("ssh").require()
        from clusters.submission.ssh_channel import SshChannel

        return SshChannel(config, config.ssh.hosts[0])

    def place(self, config: SshConfig) -> str:
        """The first host."""
        return f"host {config.ssh.hosts[0]}"

    def python(self, config: SshConfig) -> list[str]:
        """The Python of the first host."""
        return [config.python_on(config.ssh.hosts[0])]

    def cluster(self, config: SshConfig, secrets: bool) -> dict[str, Any]:
        """The cluster as the first host sees it."""
        said = super().cluster(config, secrets)
        first, *others = config.ssh.hosts
        if not others and config.ssh.scheduler in (None, first):
            shared = {key: said[key] for key in _FOR_LOCAL if key in said}
            return {"kind": "local", "workers": 1, **shared}
        said["ssh"].pop("bastion", None)
        return said

    def cluster_there(self, config: SshConfig) -> dict[str, Any]:
        """The same, without files that are not there."""
        said = self.cluster(config, secrets=True)
        block = said.get("ssh", {})
        files = {key: block[key] for key in ("keys", "known_hosts", "ssh_config") if block.get(key)}
        if not files:
            return said
        paths = [path for found in files.values() for path in ([found] if isinstance(found, str) else found)]
        there = self.channel(config).run("find", {"folder": "~", "paths": paths})["found"]
        for key, found in files.items():
            kept = [path for path in ([found] if isinstance(found, str) else found) if path in there]
            if kept:
                block[key] = kept[0] if isinstance(found, str) else kept
            else:
                del block[key]
        return said


BACKEND = SshBackend()
