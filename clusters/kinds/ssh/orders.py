"""What scheduler and workers on hosts are told, and how that looks as shell lines."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

import dask
from distributed.security import Security

from clusters.dask_settings import quiet_settings
from clusters.kinds.ssh.config import Host, SshConfig
from clusters.kinds.ssh.remote import BOOT
from clusters.tls import portable

__all__ = ["command", "placed", "render", "scheduler_order", "worker_order"]

_LOOPBACK = "127.0.0.1"
# Of this machine alone: its folders, its certificates, and ours.
_NOT_SENT = {"dhpo", "temporary-directory", "temporary_directory", "scheduler-address", "scheduler_address"}


def scheduler_order(config: SshConfig, security: Security) -> dict[str, Any]:
    """What the host of the scheduler is told."""
    return {
        "scheduler": None,
        "options": _scheduler_options(config, _protocol(security)),
        "security": portable(security, "scheduler"),
        "config": _dask_config(),
    }


def worker_order(config: SshConfig, security: Security, name: str) -> dict[str, Any]:
    """What the host of a worker is told."""
    return {
        "options": {**_worker_options(config, _protocol(security)), "name": name},
        "security": portable(security, "worker"),
        "config": _dask_config(),
    }


def placed(config: SshConfig, number: int) -> list[Host]:
    """The hosts of so many workers: they are shared out evenly, in the order of the hosts."""
    hosts = config.ssh.hosts
    return [hosts[n % len(hosts)] for n in range(number)]


def command(python: str) -> str:
    """The command line that is run on a host; all else goes through its standard input."""
    return f"exec {shlex.quote(python)} -u -c {shlex.quote(BOOT)}"


def render(config: SshConfig) -> str:
    """The shell lines that do what a start does, and what goes through their standard input, secrets left out."""
    protocol = "tcp://" if config.security is False else "tls://"
    number = len(config.ssh.hosts) if config.least is None else config.least
    parts = [_rendered(config, config.scheduler_host, "distributed.Scheduler", _scheduler_options(config, protocol))]
    for n, host in enumerate(placed(config, number)):
        options = {**_worker_options(config, protocol), "name": worker_name(n, host)}
        parts.append(_rendered(config, host, "distributed.Nanny", options))
    if config.adapts:
        parts.append(f"# workers follow the work: {config.least} to {config.most}, on the hosts with the fewest\n")
    return "\n".join(parts)


def worker_name(number: int, host: Host) -> str:
    """The name of a worker."""
    return f"{host.host}-{number}"


def _rendered(config: SshConfig, host: Host, server: str, options: Mapping[str, Any]) -> str:
    words = ["ssh"]
    if config.ssh.bastion is not None:
        words += ["-J", _login(config, config.ssh.bastion, with_port=True)]
    if (port := config.port_on(host)) is not None:
        words += ["-p", str(port)]
    for key in config.ssh.keys or ():
        words += ["-i", key]
    if config.ssh.known_hosts is not None:
        words += ["-o", f"UserKnownHostsFile={config.ssh.known_hosts}"]
    if config.ssh.ssh_config is not None:
        words += ["-F", config.ssh.ssh_config or "none"]
    words += [_login(config, host, with_port=False), command(config.python_on(host))]
    listens = host.address or "the address that SSH reaches the host by"
    lines = [
        f"# {server} on {host}, listening on {listens}, through standard input:",
        f"#   options {json.dumps(dict(options))}",
        f"#   variables {', '.join(config.env) or 'none'}; certificates and values are not shown",
        shlex.join(words),
    ]
    return "\n".join(lines) + "\n"


def _login(config: SshConfig, host: Host, with_port: bool) -> str:
    user = config.user_on(host)
    port = config.port_on(host) if with_port else None
    return (f"{user}@" if user else "") + host.host + (f":{port}" if port is not None else "")


def _protocol(security: Any) -> str:
    return "tls://" if security.require_encryption else "tcp://"


def _scheduler_options(config: SshConfig, protocol: str) -> dict[str, Any]:
    return {
        "port": config.ssh.scheduler_port,
        "protocol": protocol,
        "dashboard": config.dashboard is not None,
        # Told no address, Dask would answer health checks and metrics on port 8787 of every interface.
        "dashboard_address": config.dashboard or f"{_LOOPBACK}:0",
        "idle_timeout": config.idle_timeout,
    }


def _worker_options(config: SshConfig, protocol: str) -> dict[str, Any]:
    return {
        "nthreads": config.threads,
        "memory_limit": "auto" if config.memory is None else config.memory,
        "protocol": protocol,
        "dashboard": False,
        "dashboard_address": f"{_LOOPBACK}:0",
        "death_timeout": config.start_timeout,
    }


def _dask_config() -> dict[str, Any]:
    config = {key: _plain(value) for key, value in dask.config.config.items() if key not in _NOT_SENT}
    distributed = config.get("distributed")
    if isinstance(distributed, dict) and isinstance(distributed.get("comm"), dict):
        distributed["comm"].pop("tls", None)
    for name, value in quiet_settings().items():
        *path, last = name.split(".")
        section = config
        for part in path:
            section = section.setdefault(part, {})
        section[last] = value
    return config


def _plain(value: Any) -> Any:
    """A copy that JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): _plain(content) for key, content in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(content) for content in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
