"""What goes wrong on Kubernetes: one error in time, with the cause and the setting, and nothing left."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from distributed.comm.core import FatalCommClosedError
from distributed.core import Status
from distributed.deploy import Cluster

import clusters
from clusters.kinds.kubernetes import KubernetesConfig
from clusters.kinds.kubernetes import cluster as kubernetes_cluster
from clusters.kinds.kubernetes.api import Server
from clusters.kinds.kubernetes.cluster import KubernetesCluster
from clusters.kinds.kubernetes.scheduler_address import reach_scheduler
from tests.clusters.kube.api import kubeconfig
from tests.clusters.kube.machine import Kube, wait_until


def refused(timeout: float, options: dict[str, Any]) -> clusters.StartError:
    started = time.monotonic()
    with pytest.raises(clusters.StartError) as caught:
        clusters.start("kubernetes", **{"image": "dhpo:test", "start_timeout": timeout, **options})
    # What is started until then is deleted afterwards, which takes the operator a moment.
    assert time.monotonic() - started < timeout + 60
    return caught.value


def refused_after(seconds: float, options: dict[str, Any], cause: str) -> clusters.StartError:
    """The error of a start that comes to a cause within its time, which a slow machine is given more of."""
    error = refused(seconds, options)
    while not re.search(cause, error.problem.cause, re.DOTALL) and seconds < 300:
        seconds *= 3
        error = refused(seconds, options)
    assert f"within {seconds:g} s: " in error.problem.cause
    return error


@pytest.mark.parametrize(
    ("options", "cause", "setting"),
    [
        ({"image": "no:such"}, "scheduler pod .*ImagePullBackOff: the image 'no:such' cannot be pulled", "image="),
        ({"python": "/no/python"}, "CrashLoopBackOff.*No such file or directory: '/no/python'", "python="),
    ],
)
def test_what_will_not_pass_ends_the_start_at_once(
    kube: Kube, options: dict[str, Any], cause: str, setting: str
) -> None:
    started = time.monotonic()
    error = refused(600, options)
    assert time.monotonic() - started < 300
    assert_told(error, cause, setting)


def test_what_may_pass_is_waited_for(kube: Kube) -> None:
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"namespace": "limited", "memory": "3GiB"}, "the quota of the namespace is exceeded.*small", "memory="),
        ({"memory": "32GiB"}, "no node takes the worker pod .*Unschedulable.*Insufficient memory", "memory="),
        ({"node_selector": {"disk": "ssd"}}, "no node takes the scheduler pod .*selector", "node_selector="),
    ]
    with ThreadPoolExecutor(len(wrong)) as threads:
        errors = list(threads.map(lambda case: refused_after(20, *case[:2]), wrong))
    for error, (_, cause, setting) in zip(errors, wrong, strict=True):
        assert_told(error, rf"came within \d+ s: {cause}", setting)
        assert_told(error, cause, "start_timeout=")


def assert_told(error: clusters.StartError, cause: str, setting: str) -> None:
    assert re.search(cause, error.problem.cause, re.DOTALL), error.problem.cause
    assert setting in error.problem.setting


@pytest.mark.parametrize(
    ("options", "cause", "setting"),
    [
        ({"namespace": "nowhere"}, "the namespace 'nowhere' does not exist", "namespace="),
        ({"pull_secrets": ["registry"]}, "there is no secret 'registry' in namespace 'default'", "pull_secrets="),
        ({"service_account": "robot"}, "there is no serviceaccount 'robot'", "service_account="),
        (
            {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]},
            "there is no persistentvolumeclaim 'data'",
            "volumes=",
        ),
        ({"context": "moon"}, "context='moon' is not in ", "context="),
        ({"kubeconfig": "/no/such/file"}, "kubeconfig='/no/such/file' is not a file", "kubeconfig="),
    ],
)
def test_what_is_not_there(kube: Kube, options: dict[str, Any], cause: str, setting: str) -> None:
    assert_told(refused(30, options), cause, setting)
    (problem,) = clusters.check("kubernetes", image="dhpo:test", **options)
    assert_told(clusters.StartError(problem.cause, problem.setting), cause, setting)


def test_a_start_that_is_interrupted_leaves_nothing(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    from clusters.kinds.kubernetes.cluster import KubernetesCluster

    interrupted: list[KubernetesCluster] = []
    wait = KubernetesCluster.sync

    def sync(self: KubernetesCluster, func: Any, *args: Any, **kwargs: Any) -> Any:
        if func.__name__ == "_start" and not interrupted:
            # As Ctrl-C does: the start goes on in its thread.
            interrupted.append(self)
            self.loop.add_callback(func)
            wait_until(lambda: kube.objects("daskclusters"), what="the cluster")
            raise KeyboardInterrupt
        return wait(self, func, *args, **kwargs)

    monkeypatch.setattr(KubernetesCluster, "sync", sync)
    with pytest.raises(KeyboardInterrupt):
        clusters.start("kubernetes", image="dhpo:test", workers=1, memory="500MB", start_timeout=300)
    assert interrupted[0].status.name == "closed"
    # An operator that was in the middle of making it tries again, before it lets go.
    wait_until(lambda: not kube.left(), 300, "the end of the cluster")


def test_no_permission(kube: Kube) -> None:
    assert clusters.check("kubernetes", image="dhpo:test", network_policy=True) == []
    asked_before = len(kube.server.requests)
    kube.denied |= {("driver", "secrets", "create"), ("driver", "pods/portforward", "create")}
    cause = "in namespace 'default' we may not: create secrets; create pods/portforward"
    assert_told(refused(30, {}), cause, "rbac")
    asked = [path for user, method, path in kube.server.requests[asked_before:] if (user, method) == ("driver", "POST")]
    assert {path.rsplit("/", 1)[1] for path in asked} == {"selfsubjectaccessreviews"}


def test_a_permission_that_the_review_promised_and_the_server_refuses(kube: Kube) -> None:
    # As admission webhooks do; what was made before is deleted again.
    kube.server.refused_after_review.add(("driver", "daskworkergroups", "create"))
    try:
        error = refused(30, {"groups": {"big": {}}})
    finally:
        kube.server.refused_after_review.clear()
    assert_told(error, "the API server refused it: daskworkergroups is forbidden", "what the message names")


def test_a_name_that_is_taken_and_a_cluster_that_somebody_else_deletes(kube: Kube) -> None:
    with clusters.start("kubernetes", image="dhpo:test", name="taken", workers=(0, 1), start_timeout=300):
        assert_told(refused(30, {"name": "taken"}), "a DaskCluster 'taken' exists already", "name=")
        assert [cluster["metadata"]["name"] for cluster in kube.objects("daskclusters")] == ["taken"]
        kube.delete("kubernetes.dask.org", "daskclusters", "taken")
        wait_until(lambda: not kube.objects("daskclusters"))


def test_the_service_is_reached_only_from_inside() -> None:
    config = clusters.configure("kubernetes", image="dhpo:test", reach="service")
    assert isinstance(config, KubernetesConfig)
    with pytest.raises(clusters.StartError, match=r"x-scheduler\.nowhere is not known here: say reach='forward'"):
        asyncio.run(reach_scheduler(Server(None, "nowhere"), config, "x"))


def test_no_kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert_told(refused(30, {}), "no credentials of a Kubernetes cluster: ~/.kube/config", "KUBECONFIG")


def test_half_a_kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "config"
    content = kubeconfig("http://127.0.0.1:1", "driver")
    path.write_text(yaml.safe_dump({**content, "users": []}))
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert_told(refused(30, {}), "config", "kube")


def test_api_server_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(kubeconfig("http://127.0.0.1:1", "driver")))
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert_told(refused(30, {}), f"the API server of {path} does not answer", "kubectl version")


def test_credentials_that_are_not_good(kube: Kube, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(kubeconfig(kube.url, "stranger")))
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert_told(refused(30, {}), f"the API server of {path} refuses us: Unauthorized", "credentials")


def test_operator_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with Kube(operator=False) as bare:
        monkeypatch.setenv("KUBECONFIG", str(bare.kubeconfig))
        assert_told(refused(30, {}), "the Dask operator is not installed", "install the Dask operator")
        assert bare.left() == []
        bare.define_dask()
        did_nothing = "the Dask operator did nothing with DaskCluster dhpo-"
        assert_told(refused_after(2, {}, did_nothing), did_nothing, "operator runs")
        assert bare.left() == []


@pytest.mark.parametrize(("cause", "tries"), [(ssl.SSLError("cut off"), 3), (ssl.SSLCertVerificationError(), 1)])
def test_a_tls_handshake_that_is_cut_off_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, cause: Exception, tries: int
) -> None:
    made: list[Any] = []

    async def start(cluster: Any) -> None:
        made.append(cluster)
        if len(made) < 3:
            raise FatalCommClosedError from cause

    class Started(KubernetesCluster):
        def __init__(self) -> None:
            self._status = Status.closed

    monkeypatch.setattr(Cluster, "_start", start)
    monkeypatch.setattr(kubernetes_cluster, "_LOOK_SECONDS", 0.0)
    with contextlib.nullcontext() if tries == 3 else pytest.raises(FatalCommClosedError):
        asyncio.run(Started()._greet_scheduler())
    assert len(made) == tries
