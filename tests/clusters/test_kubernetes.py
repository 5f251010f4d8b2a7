"""Clusters on a Kubernetes of our own, with the real Dask operator."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from distributed import Client
from distributed.security import Security

import clusters
from clusters.kinds.kubernetes import KubernetesConfig, job_state, submit_job
from dhpo import HyperbandSearchCV
from tests.clusters.kube.fixtures import listening
from tests.clusters.kube.machine import Kube, wait_until

IMAGE = "dhpo:test"
DASK = "kubernetes.dask.org"
SECRET = "s3cret-in-the-clear"
ROOT = Path(__file__).parents[2]


def workers_of(cluster: Any) -> int:
    return len(cluster.scheduler_info["workers"])


def address_of(kube: Kube, component: str) -> str:
    pod = kube.objects("pods", f"dask.org/component={component}")[0]
    return str(pod["status"]["podIP"])


def test_a_cluster_lives_and_leaves_nothing(kube: Kube) -> None:
    from dask_kubernetes.operator import KubeCluster

    config = clusters.configure(
        "kubernetes",
        image=IMAGE,
        workers=2,
        memory="500MB",
        env={"TOKEN_OF_TEST": SECRET},
        groups={"big": {"memory": "600MB", "workers": 1}},
        network_policy=True,
        labels={"team": "tests"},
        start_timeout=300,
    )
    with clusters.start(config) as cluster, cluster.get_client() as client:
        assert isinstance(cluster, KubeCluster)
        assert cluster.scheduler_address.startswith("tls://127.0.0.1:")
        assert client.submit(os.getenv, "TOKEN_OF_TEST").result() == SECRET
        assert sorted(w["memory_limit"] for w in cluster.scheduler_info["workers"].values()) == [500e6, 500e6, 600e6]

        X = np.random.default_rng(0).normal(size=(400, 4))
        search = HyperbandSearchCV(_classifier(), {"alpha": np.logspace(-6, 0, 20)}, max_iter=3, random_state=0)
        search.fit(X, (X[:, 0] > 0).astype(int), classes=[0, 1])
        assert search.best_score_ > 0.8

        host = address_of(kube, "scheduler")
        assert_strangers_are_refused(host)

        assert_nothing_listens_beyond(kube)
        assert_secrets_are_only_in_secrets(kube)
        (policy,) = kube.objects("networkpolicies")
        assert policy["spec"]["podSelector"]["matchLabels"] == {"dask.org/cluster-name": cluster.name}

        cluster.scale(3)
        wait_until(lambda: workers_of(cluster) == 4, what="one more worker")
        cluster.scale(1)
        wait_until(lambda: workers_of(cluster) == 2, what="two workers less")
        cluster.add_worker_group("more", n_workers=1, env={"OF_GROUP": "here"})
        wait_until(lambda: workers_of(cluster) == 3, what="the worker of the group")
        (more,) = [name for name in client.scheduler_info(n_workers=-1)["workers"].values() if "-more-" in name["name"]]
        assert client.submit(os.getenv, "OF_GROUP", workers=[more["name"]]).result() == "here"
        cluster.delete_worker_group("more")
        wait_until(lambda: workers_of(cluster) == 2, what="the end of the group")
        assert any("Scheduler at" in log for log in cluster.get_logs().values())
        assert "KubernetesCluster" in cluster._repr_html_()
    assert cluster.status.name == "closed"
    cluster.close()


def _classifier() -> Any:
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(random_state=0)


def assert_strangers_are_refused(host: str) -> None:
    for url, security in ((f"tls://{host}:8786", Security.temporary()), (f"tcp://{host}:8786", None)):
        with pytest.raises(clusters.StartError, match="did not let us in"):
            clusters.connect(url, security=security, timeout=5)
    without_certificate = ssl.create_default_context()
    without_certificate.check_hostname = False
    without_certificate.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, 8786), timeout=5) as plain,
        pytest.raises(ssl.SSLError, match="certificate required"),
        without_certificate.wrap_socket(plain) as encrypted,
    ):
        encrypted.recv(1)


def assert_nothing_listens_beyond(kube: Kube) -> None:
    processes = [psutil.Process(process.pid) for process in list(kube.kubelet.processes.values())]
    processes += [child for process in processes for child in process.children(recursive=True)]
    places: set[tuple[str, int]] = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            places |= listening(process)
    assert places
    assert all(host.startswith(f"{kube.network}.") for host, _ in places), places
    assert {host for host, _ in listening()} <= {"127.0.0.1"}


def assert_secrets_are_only_in_secrets(kube: Kube) -> None:
    for plural in ("daskclusters", "daskworkergroups", "deployments", "pods"):
        text = str(kube.objects(plural))
        assert SECRET not in text
        assert "PRIVATE KEY" not in text
    for secret in kube.objects("secrets"):
        (owner,) = secret["metadata"]["ownerReferences"]
        assert owner["kind"] == "DaskCluster"
        assert secret["metadata"]["labels"]["team"] == "tests"


def test_the_number_of_workers_follows_the_work(kube: Kube) -> None:
    with clusters.start("kubernetes", image=IMAGE, workers=(0, 2), start_timeout=300) as cluster:
        assert workers_of(cluster) == 0
        (scaler,) = kube.objects("daskautoscalers")
        assert (scaler["spec"]["minimum"], scaler["spec"]["maximum"]) == (0, 2)
        with Client(cluster) as client:
            assert client.submit(sum, [1, 2]).result(timeout=300) == 3
        # The operator would rest for a quarter of a minute before it looks again.
        rested = {"metadata": {"annotations": {"kubernetes.dask.org/cooldown-until": "0"}}}
        kube.change(DASK, "daskautoscalers", cluster.name, rested)
        wait_until(lambda: workers_of(cluster) == 0, what="the end of the worker")
    # It would say so, had it not been able to ask the scheduler.
    log = kube.operator_log.read_text()
    assert "LIFO" not in log
    assert "Unable to get desired" not in log


DRIVER = """
import sys
import clusters
if __name__ == "__main__":
    security = sys.argv[1] == "killed"
    cluster = clusters.start("kubernetes", image="dhpo:test", idle_timeout=90, start_timeout=300, security=security)
    answer = cluster.get_client().submit(sum, [1, 2]).result()
    print(cluster.name, cluster.scheduler_address[:6], answer, flush=True)
    input()
"""


@pytest.mark.parametrize(("how", "protocol"), [("killed", "tls://"), ("ended", "tcp://")])
def test_a_driver_that_does_not_close(kube: Kube, tmp_path: Path, how: str, protocol: str) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_CONFIG": str(tmp_path / "dask")}
    command = [sys.executable, str(script), how]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        name, address, answer = driver.stdout.readline().split()
        assert (address, answer) == (protocol, "3")
        assert bool(kube.objects("secrets")) == (protocol == "tls://")
        (cluster,) = kube.objects("daskclusters")
        assert (cluster["metadata"]["name"], cluster["spec"]["idleTimeout"]) == (name, 90)
        if how == "killed":
            driver.send_signal(signal.SIGKILL)
            # The start itself may take longer than what is short enough for a test.
            kube.change(DASK, "daskclusters", name, {"spec": {"idleTimeout": 1}})
        else:
            driver.communicate("\n", timeout=300)
            assert driver.returncode == 0
            assert kube.objects("daskclusters") == []
    # The operator looks every five seconds.
    wait_until(lambda: not kube.left(), 300, "the end of the idle cluster")
    assert not (tmp_path / "dask").exists(), "importing dask_kubernetes writes no file"


SCRIPT = """
import os, sys
from distributed import Client
with Client(timeout=300) as client:
    client.wait_for_workers(1, timeout=300)
    print("RESULT", client.submit(sum, range(100)).result(), client.scheduler.address, sys.argv[1:])
    print("WORKER HAS", client.submit(os.getenv, "TOKEN_OF_TEST").result() is not None)
"""


def test_a_job_runs_to_its_end_by_itself(kube: Kube) -> None:
    config = clusters.configure("kubernetes", image=IMAGE, env={"TOKEN_OF_TEST": SECRET}, start_timeout=300)
    assert isinstance(config, KubernetesConfig)
    name = submit_job(config, ["--fast"], script=SCRIPT)
    wait_until(lambda: job_state(config, name) in ("Successful", "Failed"), 300, "the end of the job")
    (runner,) = kube.objects("pods", "dask.org/component=job-runner")
    log = kube.kubelet.log_of(runner["metadata"]["uid"], "job").read_text()
    assert job_state(config, name) == "Successful", log
    assert f"RESULT 4950 tls://{name}-scheduler:8786 ['--fast']" in log
    assert "WORKER HAS True" in log
    wait_until(lambda: not kube.objects("daskclusters"), what="the end of the job's cluster")
    kube.delete(DASK, "daskjobs", name)
    assert job_state(config, name) == "Absent"
