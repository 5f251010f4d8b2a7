"""Throw-away hosts to start clusters on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters.kube.fixtures import kube, kube_machine  # noqa: F401
from tests.clusters.slurm_machine import SlurmMachine, missing, slurm_machine
from tests.clusters.sshd import SSHD, SshHosts, namespaces_allowed, wait_until


@pytest.fixture(scope="module", autouse=True)
def as_users_start_workers(spawned_workers: None) -> None:
    """What is tested here is how clusters start."""


def hosts_in(folder: Path, namespaces: bool) -> Iterator[SshHosts]:
    if SSHD is None:
        reason = "no sshd on this machine: apt-get install openssh-server"
        # Where all is to be tested, nothing is skipped in silence.
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    hosts = SshHosts(folder, namespaces)
    try:
        yield hosts
    finally:
        hosts.close()


@pytest.fixture(scope="session")
def all_ssh_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHosts]:
    yield from hosts_in(tmp_path_factory.mktemp("ssh"), namespaces_allowed())


@pytest.fixture(scope="session")
def all_loopback_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHosts]:
    yield from hosts_in(tmp_path_factory.mktemp("ssh"), False)


def leaving_nothing(hosts: SshHosts, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshHosts]:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert hosts.leftovers() == []
    yield hosts
    # A process that has been killed is there until its parent has looked at it.
    wait_until(lambda: not hosts.leftovers(), seconds=300)


@pytest.fixture
def ssh_hosts(all_ssh_hosts: SshHosts, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshHosts]:
    """Hosts in network namespaces where those are permitted; a test of them leaves nothing behind."""
    yield from leaving_nothing(all_ssh_hosts, monkeypatch)


@pytest.fixture
def loopback_hosts(all_loopback_hosts: SshHosts, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshHosts]:
    """Hosts on ports of loopback, as any user may have them."""
    yield from leaving_nothing(all_loopback_hosts, monkeypatch)


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmMachine]:
    """A Slurm of this machine."""
    if reason := missing():
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with slurm_machine() as machine:
        yield machine
