"""One Kubernetes for all tests of a session."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.clusters.kube.machine import Kube, wait_until

QUOTA = {"metadata": {"name": "small"}, "spec": {"hard": {"requests.memory": "4GiB"}}}


def listening(process: psutil.Process | None = None) -> set[tuple[str, int]]:
    """Where a process listens, by default this one."""
    connections = (process or psutil.Process()).net_connections("inet")
    return {tuple(c.laddr) for c in connections if c.status == psutil.CONN_LISTEN}


@pytest.fixture(scope="session")
def kube_machine(no_process_left: None) -> Iterator[Kube]:
    with Kube(memory="8GiB") as kube:
        kube.create("", "namespaces", {"metadata": {"name": "limited"}}, "")
        kube.create("", "resourcequotas", QUOTA, "limited")
        yield kube


@pytest.fixture
def kube(kube_machine: Kube, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Kube]:
    """The same for each test; after each, no object, process or port is left of what it started."""
    monkeypatch.setenv("KUBECONFIG", str(kube_machine.kubeconfig))
    monkeypatch.setenv("HOME", str(tmp_path))
    ports = listening()
    yield kube_machine
    kube_machine.denied.clear()
    wait_until(lambda: not kube_machine.left(), what=f"the end of everything ({kube_machine.left()})")
    wait_until(lambda: listening() <= ports, what="the end of forwarded ports")
    # Of requests at the same time kr8s leaves all connections but one to the garbage collector: not to a later test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
