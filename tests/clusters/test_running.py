"""Start and connect by the interface that all kinds share, on this machine."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from distributed import Client, LocalCluster
from distributed.security import Security
from sklearn.datasets import make_classification
from sklearn.linear_model import SGDClassifier

import clusters
from dhpo import RandomizedSearchCV


def loops() -> int:
    return sum(thread.name == "IO loop" for thread in threading.enumerate())


def wait_until(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not within the time allowed"
        time.sleep(0.02)


def test_local_behind_the_common_interface_with_tls_and_adapt() -> None:
    with clusters.start(
        "local", workers=(1, 2), memory="500MB", env={"OF_TEST": "here"}, security=True, start_timeout=300
    ) as cluster:
        assert isinstance(cluster, LocalCluster)
        assert cluster.scheduler_address.startswith("tls://127.0.0.1:")
        with cluster.get_client() as client:
            assert client.submit(os.getenv, "OF_TEST").result() == "here"
            for security in (None, False, Security.temporary()):
                with pytest.raises(clusters.StartError, match="did not let us in"):
                    clusters.connect(cluster.scheduler_address, security=security, timeout=5)


def test_a_search_in_a_notebook() -> None:
    async def cell() -> float:
        # The event loop of the kernel runs while a cell is computed.
        X, y = make_classification(200, 4, random_state=0)
        with clusters.start("local", workers=1, memory="500MB", dashboard=None) as cluster, cluster.get_client():
            assert clusters.check("local", workers=1) == []
            search = RandomizedSearchCV(SGDClassifier(), {"alpha": [1e-4, 1e-3]}, n_iter=2, random_state=0)
            return float(search.fit(X, y).best_score_)

    assert asyncio.run(cell()) > 0.5


def test_a_file_starts_a_cluster_and_others_reach_it(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("kind: local\nworkers: 1\nmemory: 8GB\ndashboard: null\nlocal: {processes: false}\n")
    with clusters.from_config(path) as cluster:
        before = loops()
        with clusters.connect(cluster.scheduler_address) as running, Client(running) as client:
            assert client.submit(sum, [1, 2]).result(timeout=300) == 3
            assert len(running.scheduler_info["workers"]) == 1
            cluster.scale(2)
            for each in (running, cluster):
                wait_until(lambda each=each: len(each.scheduler_info["workers"]) == 2)  # type: ignore[misc]
            for refused in (running.scale, running.adapt):
                with pytest.raises(NotImplementedError, match="was started elsewhere"):
                    refused(3)
        # It goes on, and its owner still hears of its workers.
        cluster.scale(1)
        wait_until(lambda: len(cluster.scheduler_info["workers"]) == 1)
        wait_until(lambda: loops() == before)


def test_nobody_there() -> None:
    with pytest.raises(clusters.StartError, match=r"tcp://127\.0\.0\.1:1 did not let us in"):
        clusters.connect("tcp://127.0.0.1:1", timeout=0.5)


@pytest.mark.parametrize(
    ("address", "security", "timeout", "message"),
    [
        ("127.0.0.1:8786", None, 1, "expected the address of a scheduler"),
        (8786, None, 1, "expected the address of a scheduler"),
        ("tls://127.0.0.1:1", True, 1, "security=True: a running cluster has its certificates"),
        ("tls://127.0.0.1:1", "yes", 1, "expected True, False"),
        ("tls://127.0.0.1:1", None, "soon", "expected a time above 0"),
        ("tls://127.0.0.1:1", None, None, "expected a time above 0"),
        ("moon://127.0.0.1:1", None, 1, "moon"),
    ],
)
def test_errors_at_the_door_of_connect(address: str, security: object, timeout: str, message: str) -> None:
    with pytest.raises(clusters.ClusterError, match=message):
        clusters.connect(address, security=security, timeout=timeout)  # type: ignore[arg-type]


def test_local_tells_what_stands_in_the_way_and_starts_nothing() -> None:
    assert clusters.check("local", workers=1, memory="500MB") == []
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        (problem,) = clusters.check("local", workers=1, dashboard=taken)
        assert problem.setting == "change dashboard="
        with pytest.raises(clusters.StartError, match=f"dashboard='{taken}' cannot be listened on: Address already"):
            clusters.start("local", workers=1, dashboard=taken)
    with pytest.raises(clusters.StartError, match=r"dashboard='no\.such\.host\.invalid:1' cannot be listened on"):
        clusters.start("local", workers=1, dashboard="no.such.host.invalid:1")
    (problem,) = clusters.check("local", workers=2, memory="900TB")
    assert "and this machine has" in problem.cause
    with pytest.raises(clusters.ConfigError, match="and this machine has"):
        clusters.start("local", workers=2, memory="900TB")
