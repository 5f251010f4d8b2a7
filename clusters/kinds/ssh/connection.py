"""SSH connections to hosts, through a bastion where there is one, and what is said when they fail."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections import defaultdict
from pathlib import Path
from typing import Any

import asyncssh

from clusters.deadlines import Deadline
from clusters.errors import StartError
from clusters.kinds.ssh.config import Host, SshConfig

__all__ = ["Connections"]

# An SSH server drops connections at random where more than ten knock at once (MaxStartups).
_AT_ONCE = 4
_KEEPALIVE_SECONDS = 15


class Connections:
    """Opens connections as a configuration says.

    Parameters
    ----------
    config : SshConfig
        Whom to log in as, with which key, through which bastion.
    """

    def __init__(self, config: SshConfig) -> None:
        self._config = config
        self._doors: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))
        self._bastion: asyncssh.SSHClientConnection | None = None
        self._at_bastion = asyncio.Lock()

    async def open(self, host: Host, deadline: Deadline) -> asyncssh.SSHClientConnection:
        """A new connection to a host.

        Raises
        ------
        StartError
            If there is none before the deadline.
        """
        async with self._doors[str(host)]:
            return await self._connect(host, deadline, await self._through(deadline))

    async def close(self) -> None:
        """Close what the connections share."""
        if self._bastion is not None:
            self._bastion.close()
            with contextlib.suppress(TimeoutError, OSError, asyncssh.Error):
                await asyncio.wait_for(self._bastion.wait_closed(), 5)
            self._bastion = None

    async def _through(self, deadline: Deadline) -> asyncssh.SSHClientConnection | None:
        bastion = self._config.ssh.bastion
        async with self._at_bastion:
            if bastion is not None and (self._bastion is None or self._bastion.is_closed()):
                self._bastion = await self._connect(bastion, deadline, None)
        return self._bastion

    async def _connect(
        self, host: Host, deadline: Deadline, tunnel: asyncssh.SSHClientConnection | None
    ) -> asyncssh.SSHClientConnection:
        try:
            async with asyncio.timeout(deadline.left):
                return await asyncssh.connect(host.host, tunnel=tunnel, **self._options(host))
        except (OSError, TimeoutError, ValueError, asyncssh.Error) as error:
            raise self._explained(error, host, deadline) from error

    def _options(self, host: Host) -> dict[str, Any]:
        ssh = self._config.ssh
        options: dict[str, Any] = {"keepalive_interval": _KEEPALIVE_SECONDS}
        chosen = {"port": self._config.port_on(host), "username": self._config.user_on(host)}
        options.update({name: value for name, value in chosen.items() if value is not None})
        if ssh.keys is not None:
            options["client_keys"] = [str(Path(key).expanduser()) for key in ssh.keys]
        if ssh.known_hosts is not None:
            options["known_hosts"] = str(Path(ssh.known_hosts).expanduser())
        if ssh.ssh_config is not None:
            options["config"] = str(Path(ssh.ssh_config).expanduser()) if ssh.ssh_config else None
        return options

    def _explained(self, error: Exception, host: Host, deadline: Deadline) -> StartError:
        ssh = self._config.ssh
        where = f"host {host}" if host is not ssh.bastion else f"bastion {host}"
        user = self._config.user_on(host)
        port = self._config.port_on(host) or 22
        match error:
            case asyncssh.HostKeyNotVerifiable():
                return StartError(
                    f"{where}: its key is not among the known ones ({error.reason})",
                    f"log in once by `ssh {host.host}` to accept it, or change known_hosts=",
                )
            case asyncssh.PermissionDenied():
                whom = f"user {user}" if user else "the login"
                return StartError(f"{where}: {whom} was refused ({error.reason})", "change user= or keys=")
            case asyncssh.ChannelOpenError():
                return StartError(
                    f"{where}: the bastion {ssh.bastion} does not reach port {port} of it ({error.reason})",
                    "change hosts=, port= or bastion=",
                )
            case socket.gaierror():
                return StartError(f"{where}: there is no such name ({error.strerror})", "change hosts=")
            case TimeoutError() if error.errno is None:
                return StartError(
                    f"{where}: no answer on port {port} within {deadline.seconds:g} s",
                    "see that it is up, or change hosts=, port= or bastion=, or start_timeout=",
                )
            case ConnectionRefusedError():
                return StartError(f"{where}: nothing listens on port {port}", "change port=, or start its SSH server")
            case OSError(errno=errno.EHOSTUNREACH | errno.ENETUNREACH | errno.ETIMEDOUT):
                return StartError(
                    f"{where}: is down or out of reach ({error.strerror})", "change hosts= or bastion=, or start it"
                )
            case FileNotFoundError() | PermissionError() if error.filename:
                return StartError(
                    f"{where}: {error.filename}: {error.strerror}", "change keys=, known_hosts= or ssh_config="
                )
            case ValueError() | asyncssh.KeyImportError():
                return StartError(f"{where}: {error}", "change keys=, known_hosts= or ssh_config=")
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        return StartError(f"{where}: no SSH connection on port {port} ({reason})", "change hosts=, port= or keys=")
