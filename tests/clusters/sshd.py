"""Throw-away hosts with real SSH servers: network namespaces on a bridge of their own, or else ports of loopback."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONFIG = """
ListenAddress {address}:{port}
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
LogLevel ERROR
SetEnv CLUSTERS_TEST={mark} TMPDIR={folder}/tmp
"""


@dataclass
class SshHost:
    """A host: what to dial, and the namespace it lives in, if it has one."""

    address: str
    port: int
    namespace: str | None = None

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"

    def inside(self, *words: str) -> list[str]:
        """A command that runs on it."""
        return ["ip", "netns", "exec", self.namespace, *words] if self.namespace else list(words)


class SshHosts:
    """Some hosts, and what a user has to say to reach them without a look at his own files.

    Two of them are reached from here, `hidden` only through the second, where there are namespaces.
    """

    def __init__(self, folder: Path, namespaces: bool) -> None:
        self.folder = folder
        self.mark = f"{os.getpid()}-{folder.name}"
        self._undo = contextlib.ExitStack()
        (folder / "tmp").mkdir()
        for name in ("id", "other_id", "host_key"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
        shutil.copy(folder / "id.pub", folder / "authorized_keys")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        try:
            self.hosts = self._in_namespaces() if namespaces else [SshHost("127.0.0.1", free_port()) for _ in range(3)]
            key = " ".join((folder / "host_key.pub").read_text().split()[:2])
            lines = [f"[{h.address}]:{h.port} {key}" if h.port != 22 else f"{h.address} {key}" for h in self.hosts]
            (folder / "known_hosts").write_text("\n".join(lines) + "\n")
            (folder / "known_nobody").write_text("")
            for number, host in enumerate(self.hosts):
                self._serve(number, host)
        except BaseException:
            self.close()
            raise

    @property
    def reached(self) -> list[str]:
        return [str(host) for host in self.hosts[:2]]

    @property
    def hidden(self) -> SshHost:
        return self.hosts[2]

    @property
    def login(self) -> dict[str, Any]:
        return {
            "user": getpass.getuser(),
            "keys": [str(self.folder / "id")],
            "known_hosts": str(self.folder / "known_hosts"),
            "ssh_config": False,
            "memory": "500MB",
        }

    def processes(self) -> list[psutil.Process]:
        """What runs on the hosts, their SSH servers apart; the servers mark the environment of all that they start."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("CLUSTERS_TEST") == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def leftovers(self) -> list[str]:
        """Processes and files of theirs; what is neither has ended with a process."""
        left = os.listdir(self.folder / "tmp")
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                left.append(" ".join(process.cmdline())[-200:])
        return left

    def listening(self) -> set[str]:
        """The addresses on which anything on the hosts listens, their SSH servers apart."""
        found = set()
        for host in self.hosts:
            if host.namespace is not None:
                for line in run(*host.inside("ss", "-lntH")).splitlines():
                    address, _, port = line.split()[3].rpartition(":")
                    if (address, int(port)) != (host.address, host.port):
                        found.add(address)
        for process in self.processes():
            # Of a process in a namespace, this finds nothing.
            with contextlib.suppress(psutil.Error):
                found |= {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        return found

    def close(self) -> None:
        """End the servers and all that is left of what they started."""
        self._undo.close()

    def _in_namespaces(self) -> list[SshHost]:
        # Names of interfaces may have 15 characters.
        prefix = f"cl{os.getpid() % 100000}"
        # What a run before has left behind, because it was killed, is in nobody's way.
        taken = run("ip", "-br", "addr")
        net = next(n for n in (*range(os.getpid() % 250, 250), *range(250)) if f" 10.231.{n}.1/" not in taken)
        bridge = f"{prefix}br"
        run("ip", "link", "add", bridge, "type", "bridge")
        self._undo.callback(run, "ip", "link", "del", bridge)
        run("ip", "addr", "add", f"10.231.{net}.1/24", "dev", bridge)
        run("ip", "link", "set", bridge, "up")
        hosts = [SshHost(f"10.231.{net}.{11 + n}", 22, f"{prefix}h{n}") for n in range(2)]
        hosts.append(SshHost(f"10.232.{net}.11", 22, f"{prefix}h2"))
        for host in hosts:
            assert host.namespace is not None
            run("ip", "netns", "add", host.namespace)
            self._undo.callback(run, "ip", "netns", "del", host.namespace)
            run("ip", "-n", host.namespace, "link", "set", "lo", "up")
        for n, host in enumerate(hosts[:2]):
            name = str(host.namespace)
            run("ip", "link", "add", f"{prefix}v{n}", "type", "veth", "peer", "name", "eth0", "netns", name)
            run("ip", "link", "set", f"{prefix}v{n}", "master", bridge, "up")
            self._up(host, "eth0", host.address)
        between = ("ip", "-n", str(hosts[1].namespace), "link", "add", "eth1", "type", "veth", "peer", "name", "eth0")
        run(*between, "netns", str(hosts[2].namespace))
        self._up(hosts[1], "eth1", f"10.232.{net}.1")
        self._up(hosts[2], "eth0", hosts[2].address)
        return hosts

    def _up(self, host: SshHost, interface: str, address: str) -> None:
        run("ip", "-n", str(host.namespace), "addr", "add", f"{address}/24", "dev", interface)
        run("ip", "-n", str(host.namespace), "link", "set", interface, "up")

    def _serve(self, number: int, host: SshHost) -> None:
        path = self.folder / f"sshd_config.{number}"
        path.write_text(CONFIG.format(folder=self.folder, address=host.address, port=host.port, mark=self.mark))
        log = self._undo.enter_context((self.folder / f"sshd.{number}.log").open("wb"))
        words = host.inside(str(SSHD), "-D", "-e", "-f", str(path))
        server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def stop() -> None:
            for process in [*self.processes(), server]:
                with contextlib.suppress(psutil.Error, ProcessLookupError):
                    process.kill()
            server.wait(300)

        self._undo.callback(stop)
        question = host.inside("ssh-keyscan", "-p", str(host.port), host.address)
        wait_until(lambda: subprocess.run(question, capture_output=True, check=False).stdout, seconds=300)


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


def namespaces_allowed() -> bool:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    return subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0
