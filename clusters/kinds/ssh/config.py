"""What is said of a cluster over SSH."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator

from clusters.config import ClusterConfig, Section
from clusters.values import Name, Port, Seconds

__all__ = ["Host", "SshConfig", "SshOptions"]

# [user@]name[:port], with an IPv6 address in brackets where a port follows it.
_HOST = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^@:\s\[\]]+))(?::(?P<port>\d+))?")
_BARE_V6 = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


class Host(Section):
    """A host, and how it differs from the others."""

    host: Name = Field(description="its name or address, or its name in the SSH configuration")
    port: Port | None = Field(default=None, description="port of its SSH server")
    user: Name | None = Field(default=None, description="whom to log in as")
    address: Name | None = Field(
        default=None, description="its address to listen on, where that is not the one that SSH reaches it by"
    )
    python: Name | None = Field(default=None, description="its Python")

    def __str__(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return (f"{self.user}@" if self.user else "") + name + (f":{self.port}" if self.port is not None else "")


def _host(given: Any) -> Any:
    if not isinstance(given, str):
        if isinstance(given, Mapping | Host):
            return given
        raise ValueError("expected '[user@]host[:port]', or {host, port, user, address, python}")
    if _BARE_V6.fullmatch(given):
        return {"host": given}
    match = _HOST.fullmatch(given)
    if match is None:
        raise ValueError("expected '[user@]host[:port]', or {host, port, user, address, python}")
    port = match["port"]
    return {"host": match["v6"] or match["name"], "user": match["user"], "port": int(port) if port else None}


def _hosts(given: Any) -> Any:
    if not isinstance(given, list | tuple) or not given:
        raise ValueError("expected a list of at least one host")
    return tuple(given)


def _config_file(given: Any) -> Any:
    if given is False or (isinstance(given, str) and given):
        return given
    raise ValueError("expected a file, or False to read none")


def _files(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


AnyHost = Annotated[Host, BeforeValidator(_host)]
Hosts = Annotated[tuple[AnyHost, ...], BeforeValidator(_hosts)]
ConfigFile = Annotated[str | Literal[False], PlainValidator(_config_file)]
Files = Annotated[tuple[Name, ...] | None, BeforeValidator(_files)]


class SshOptions(Section):
    """The block of clusters over SSH. What is not said comes from the user's own SSH configuration."""

    hosts: Hosts = Field(description="the hosts, each as '[user@]host[:port]' or {host, port, user, address, python}")
    user: Name | None = Field(default=None, description="whom to log in as")
    port: Port | None = Field(default=None, description="port of the SSH servers")
    keys: Files = Field(default=None, description="files of private keys; else those of the agent and of ~/.ssh")
    known_hosts: Name | None = Field(default=None, description="file of the hosts' keys; else ~/.ssh/known_hosts")
    ssh_config: ConfigFile | None = Field(
        default=None, description="file to read in place of ~/.ssh/config; False reads none"
    )
    bastion: AnyHost | None = Field(default=None, description="host through which to reach the others")
    scheduler: AnyHost | None = Field(default=None, description="host of the scheduler; else the first of the hosts")
    scheduler_port: Port = Field(default=0, description="port of the scheduler; 0 takes a free one")
    tunnel: bool | None = Field(
        default=None,
        strict=True,
        description="whether this process talks to the scheduler through SSH; else where it is not reached directly",
    )
    scratch: Name | None = Field(default=None, description="folder on the hosts for what workers spill to disk")
    lost_after: Seconds = Field(
        default=300.0, description="hosts end what runs for this process when they have not heard of it for so long"
    )
    same_versions: bool = Field(
        default=True, strict=True, description="whether Python and Dask on the hosts must be of the versions here"
    )


class SshConfig(ClusterConfig):
    """A cluster on hosts that are reached over SSH."""

    kind: Literal["ssh"] = "ssh"
    ssh: SshOptions = Field(description="the hosts, and how to reach them")

    unused = {"image": "say which Python to run with python="}

    @property
    def scheduler_host(self) -> Host:
        """The host of the scheduler."""
        return self.ssh.scheduler or self.ssh.hosts[0]

    def python_on(self, host: Host) -> str:
        """The Python to run there."""
        return host.python or self.python or sys.executable

    def user_on(self, host: Host) -> str | None:
        """Whom to log in as there; None leaves it to SSH."""
        return host.user or self.ssh.user

    def port_on(self, host: Host) -> int | None:
        """The port of its SSH server; None leaves it to SSH."""
        return self.ssh.port if host.port is None else host.port
