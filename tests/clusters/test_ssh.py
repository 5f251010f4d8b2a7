"""Clusters over SSH, on hosts with real SSH servers: from start to close, and what is left when a driver dies."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from distributed import SpecCluster, worker_client
from distributed.security import Security

import clusters
from tests.clusters.sshd import SshHosts, wait_until

SECRET = "s3cret-in-the-clear"


def listening_here() -> set[tuple[str, int]]:
    connections = psutil.Process().net_connections("inet")
    return {tuple(c.laddr) for c in connections if c.status == psutil.CONN_LISTEN}


def refused_without_certificate(address: str) -> bool:
    host, _, port = address.removeprefix("tls://").rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, int(port)), 10) as plain:
        try:
            # Under TLS 1.3 a client hears of its refusal when it first reads.
            with context.wrap_socket(plain) as channel:
                return channel.recv(1) == b""
        except (ssl.SSLError, ConnectionError):
            return True


def test_from_start_to_close(ssh_hosts: SshHosts, caplog: pytest.LogCaptureFixture) -> None:
    hosts = ssh_hosts
    caplog.set_level(logging.DEBUG)
    before = listening_here()
    options = {"hosts": hosts.reached, "env": {"OF_TEST": SECRET}, "start_timeout": 300, **hosts.login}
    with (
        dask.config.set({"of-test.key": 5}),
        clusters.start("ssh", workers=1, **options) as cluster,
        cluster.get_client() as client,
    ):
        assert isinstance(cluster, SpecCluster)
        assert len(cluster.scheduler_info["workers"]) == 1, "a start waits for its workers"
        cluster.scale(2)
        wait_until(lambda: len(cluster.scheduler_info["workers"]) == 2)
        workers = cluster.scheduler_info["workers"].values()
        assert [worker["memory_limit"] for worker in workers] == [500_000_000] * 2
        assert len({worker["name"] for worker in workers}) == 2
        assert set(client.run(dask.config.get, "of-test.key").values()) == {5}
        answers = client.run(os.getenv, "OF_TEST")
        assert set(answers.values()) == {SECRET}
        assert all(address.startswith("tls://") for address in answers)

        def ask_from_a_task() -> int:
            with worker_client() as inner:
                return int(inner.submit(sum, [1, 2]).result())

        assert client.submit(ask_from_a_task).result() == 3

        # Nothing listens where it was not asked to, and nobody without the certificates gets in.
        addresses = {host.address for host in hosts.hosts}
        assert hosts.listening() <= addresses | {"127.0.0.1"}
        assert {host for host, _ in listening_here() - before} <= {"127.0.0.1"}
        stranger = Security.temporary()
        for address in (cluster.scheduler_address, *answers):
            assert refused_without_certificate(address)
            with pytest.raises(clusters.StartError, match="did not let us in"):
                clusters.connect(address, security=stranger, timeout=2)
        with urllib.request.urlopen(cluster.dashboard_link, timeout=300) as page:
            assert page.status == 200

        # No command line, no log and no picture shows a secret.
        lines = [word for process in hosts.processes() for word in process.cmdline()]
        assert lines
        shown = [*lines, caplog.text, repr(cluster), clusters.render("ssh", workers=2, **options)]
        assert not any(SECRET in text or "PRIVATE KEY" in text for text in shown)

        cluster.scale(1)
        wait_until(lambda: len(cluster.scheduler_info["workers"]) == 1)
        assert client.submit(sum, [1, 2]).result() == 3
    # Closed is gone, without any further wait.
    assert hosts.leftovers() == []
    assert listening_here() <= before


def test_it_adapts_behind_a_bastion_with_a_scheduler_that_is_not_reached(ssh_hosts: SshHosts) -> None:
    bastion = ssh_hosts.reached[1]
    options = {"hosts": [str(ssh_hosts.hidden)], "bastion": bastion, "dashboard": None, **ssh_hosts.login}
    with clusters.start("ssh", workers=(0, 1), **options) as cluster:
        cluster.adapt(minimum=0, maximum=1, interval="100ms", wait_count=2)
        assert cluster.scheduler_address.startswith("tls://127.0.0.1:")
        assert not cluster.scheduler_info["workers"]
        with cluster.get_client() as client:
            assert client.submit(sum, [1, 2]).result(30) == 3
            wait_until(lambda: not cluster.scheduler_info["workers"])
    assert ssh_hosts.leftovers() == []


INTERRUPTED = """
import json, sys, time
import clusters
if __name__ == "__main__":
    try:
        clusters.start("ssh", **json.loads(sys.stdin.readline()))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    time.sleep(600)
"""
DRIVER = """
import json, sys, time
import clusters
if __name__ == "__main__":
    cluster = clusters.start("ssh", **json.loads(sys.stdin.readline()))
    print("up", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def driver(script: str, folder: Path, options: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """A process that starts a cluster."""
    path = folder / "driver.py"
    path.write_text(script)
    with subprocess.Popen(
        [sys.executable, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        text=True,
    ) as process:
        try:
            print(json.dumps(options), file=process.stdin, flush=True)
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_nothing_outlives_a_driver_that_is_killed(ssh_hosts: SshHosts, tmp_path: Path) -> None:
    options = {"hosts": ssh_hosts.reached, "workers": 1, "dashboard": None, **ssh_hosts.login}
    with driver(DRIVER, tmp_path, options) as process:
        assert said(process) == "up"
        assert ssh_hosts.processes()
        process.kill()
        wait_until(lambda: not ssh_hosts.leftovers(), seconds=300)


def test_nothing_outlives_a_start_that_is_interrupted(ssh_hosts: SshHosts, tmp_path: Path) -> None:
    options = {"hosts": ssh_hosts.reached, "workers": 2, "dashboard": None, **ssh_hosts.login}
    with driver(INTERRUPTED, tmp_path, options) as process:
        # The guard of the scheduler, and what it guards.
        wait_until(lambda: len(ssh_hosts.processes()) >= 2)
        process.send_signal(signal.SIGINT)
        assert said(process) == "interrupted"
        wait_until(lambda: not ssh_hosts.leftovers(), seconds=300)
        assert process.poll() is None


def test_a_worker_that_does_not_come_later_is_told_and_done_without(
    loopback_hosts: SshHosts, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, _ = loopback_hosts.hosts
    broken = {"host": second.address, "port": second.port, "python": "/nowhere/python"}
    options = {"hosts": [str(first), broken], "start_timeout": 300, "dashboard": None, **loopback_hosts.login}
    with clusters.start("ssh", workers=1, **options) as cluster:
        cluster.scale(2)
        wait_until(lambda: "/nowhere/python does not run" in caplog.text)
        wait_until(lambda: len(cluster.worker_spec) == 1)
        with cluster.get_client() as client:
            assert client.submit(sum, [1, 2]).result() == 3
        assert cluster.dashboard_link == ""
    assert loopback_hosts.leftovers() == []
