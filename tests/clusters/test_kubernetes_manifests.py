"""What would be sent to Kubernetes, and what is refused at the door. Nothing is started here."""

from __future__ import annotations

import re
from typing import Any

import dask
import pytest
import yaml
from distributed.security import Security

import clusters
from clusters.kinds.kubernetes import (
    KubernetesConfig,
    cluster_manifest,
    group_manifests,
    job_manifest,
    network_policy,
    rbac,
)
from clusters.kinds.kubernetes.api import without_file_in_dask_config
from clusters.kinds.kubernetes.causes import Seen, cause_of
from clusters.kinds.kubernetes.manifests import secrets
from clusters.tls import security_of
from tests.clusters.kube.strict import complaints

SECRET = "s3cret-in-the-clear"
EVERYTHING: dict[str, Any] = {
    "image": "registry.example/dhpo:1",
    "workers": (0, 20),
    "threads": 2,
    "memory": "4GiB",
    "env": {"TOKEN": SECRET, "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s"},
    "idle_timeout": "90.5s",
    "python": "/opt/python",
    "name": "search",
    "namespace": "team",
    "image_pull_policy": "Always",
    "pull_secrets": ["registry"],
    "service_account": "robot",
    "gpus": 1,
    "node_selector": {"pool": "gpu"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "volumes": [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}},
        {"name": "host", "hostPath": {"path": "/mnt", "type": "Directory"}},
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "keys", "secret": {"secretName": "keys"}},
    ],
    "mounts": [
        {"name": "data", "mountPath": "/data", "readOnly": True},
        {"name": "settings", "mountPath": "/etc/settings", "subPath": "a"},
    ],
    "resources": {"limits": {"cpu": 4, "ephemeral-storage": "10Gi"}},
    "scheduler_threads": 2,
    "scheduler_memory": "8GiB",
    "labels": {"team": "search"},
    "annotations": {"owner": "somebody"},
    "pod_fields": {"priorityClassName": "low", "securityContext": {"runAsNonRoot": True}},
    "groups": {
        "big": {"memory": "64GiB", "workers": 3, "gpus": 0, "tolerations": [], "node-selector": {"pool": "big"}}
    },
    "network_policy": True,
    "clients": {"app": "notebook"},
}


def configured(**options: Any) -> KubernetesConfig:
    config = clusters.configure("kubernetes", **{"image": "dhpo:test", **options})
    assert isinstance(config, KubernetesConfig)
    return config


def everything(config: KubernetesConfig) -> list[dict[str, Any]]:
    return [
        *yaml.safe_load_all(clusters.render(config)),
        *job_manifest(config, ["--fast"], "job", script="print(1)"),
        *job_manifest(config, ["python", "-c", "print(1)"]),
        network_policy(config),
        *secrets(config, "search", security_of(config.security, default=True)),
    ]


@pytest.mark.parametrize("options", [{}, {"security": False}, EVERYTHING])
def test_manifests_are_what_the_api_server_takes(options: dict[str, Any]) -> None:
    config = configured(**options)
    for manifest in [*everything(config), *rbac(configured(namespace="team", network_policy=True))]:
        assert complaints(manifest) == [], manifest


def test_the_strict_check_is_strict() -> None:
    for path, value in [(["imagePullPolcy"], "Always"), (["env"], None), (["resources", "limits", "cpu"], None)]:
        manifest = cluster_manifest(configured())
        place = manifest["spec"]["worker"]["spec"]["containers"][0]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        assert complaints(manifest)


def test_rendering_is_pure_and_shows_no_secret() -> None:
    config = configured(**EVERYTHING)
    text = clusters.render(config)
    assert text == clusters.render(config)
    assert SECRET not in text
    assert "null" not in text
    assert "search-tls, search-env" in text
    for manifest in [*job_manifest(config, ["a"], script="b"), *group_manifests(config)]:
        assert SECRET not in str(manifest)


def test_what_is_said_is_in_the_manifest() -> None:
    config = configured(**EVERYTHING)
    cluster = cluster_manifest(config)
    assert cluster["metadata"]["namespace"] == "team"
    spec = cluster["spec"]
    assert (spec["idleTimeout"], spec["worker"]["replicas"]) == (91, 0)
    for pod in (spec["worker"]["spec"], spec["scheduler"]["spec"]):
        assert pod["imagePullSecrets"] == [{"name": "registry"}]
        assert pod["serviceAccountName"] == "robot"
        assert pod["priorityClassName"] == "low"
        assert {volume["name"] for volume in pod["volumes"]} == {"data", "host", "settings", "keys", "tls"}
    (worker,) = spec["worker"]["spec"]["containers"]
    assert worker["args"][:3] == ["/opt/python", "-m", "distributed.cli.dask_worker"]
    assert worker["args"][-4:] == ["--dashboard-address", ":8788", "--memory-limit", str(4 * 2**30)]
    memory = str(4 * 2**30)
    assert worker["resources"]["requests"] == {"cpu": "2", "memory": memory}
    assert worker["resources"]["limits"] == {
        "cpu": "4",
        "memory": memory,
        "nvidia.com/gpu": "1",
        "ephemeral-storage": "10Gi",
    }
    # What stands in `env` wins over the Secret, so the user's own is left out of it.
    assert "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL" not in {variable["name"] for variable in worker["env"]}
    (big,) = group_manifests(config)
    pod = big["spec"]["worker"]["spec"]
    assert (big["metadata"]["name"], big["spec"]["worker"]["replicas"]) == ("search-big", 3)
    assert "tolerations" not in pod
    assert pod["nodeSelector"] == {"pool": "big"}
    assert pod["containers"][0]["resources"]["limits"]["memory"] == str(64 * 2**30)
    assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]


def test_a_cluster_without_tls_and_without_end() -> None:
    config = configured(security=False, idle_timeout=None, workers=3)
    text = clusters.render(config)
    assert "tls" not in text
    assert "tcp://dhpo-scheduler:8786" in text
    assert cluster_manifest(config)["spec"]["idleTimeout"] == 0
    assert secrets(config, "a", security_of(False, default=True)) == []


def test_certificates_of_dask_s_own_configuration_have_to_be_whole(tmp_path: Any) -> None:
    (tmp_path / "a").write_text("a\n")
    path = str(tmp_path / "a")
    half = {"ca-file": path, "client.cert": path, "client.key": path}
    with dask.config.set({f"distributed.comm.tls.{key}": value for key, value in half.items()}):
        security = security_of(True, default=True)
    with pytest.raises(clusters.ConfigError, match="have no tls_scheduler_cert, which the pods need"):
        secrets(configured(security=True), "a", security)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": None}, "image"),
        ({"name": "Big"}, "name='Big': expected at most 53 lower case letters"),
        ({"name": "a" * 54}, "expected at most 53"),
        ({"namespace": "a b"}, "namespace='a b': expected a name of Kubernetes"),
        ({"pull_secrets": "one"}, "pull_secrets='one': expected a list of names"),
        ({"gpus": -1}, "gpus=-1: expected an integer of at least 0"),
        ({"gpus": True}, "gpus=True: expected an integer of at least 0"),
        ({"node_selector": {"gpu": True}}, "node_selector: expected names and values that are text; quote true"),
        ({"tolerations": [{"keys": "a"}]}, "tolerations=.*unknown key 'keys'; expected effect, key"),
        ({"tolerations": {"key": "a"}}, "tolerations: expected a list of mappings"),
        ({"volumes": [{"name": "a"}]}, "volume 'a': expected one source, as persistentVolumeClaim"),
        ({"volumes": [{"name": "tls", "emptyDir": {}}]}, "the name 'tls' is taken"),
        ({"volumes": [{"name": "a", "emptyDir": {"medium": None}}]}, r"\[0\].emptyDir.medium is empty"),
        ({"mounts": [{"name": "a", "mountPath": "/a"}]}, "mounts: no volume is named 'a'"),
        ({"mounts": [{"name": "a", "mountPath": "a"}]}, "a mountPath that starts with '/'"),
        ({"mounts": [{"name": "a", "path": "/a"}]}, "unknown key 'path'"),
        ({"resources": {"limit": {}}}, r"resources: expected \{'requests'"),
        ({"resources": {"limits": {"cpu": None}}}, "the amount of cpu is neither text nor a number"),
        ({"pod_fields": {"containers": []}}, "containers is set with image="),
        ({"pod_fields": {"affinity": None}}, "affinity is empty, which the API server refuses"),
        ({"groups": {"default": {}}}, "'default' is the name of the cluster's own workers"),
        ({"groups": {"big": {"memry": 1}}}, "unknown key 'memry'; did you mean 'memory'"),
        ({"groups": {"g" * 50: {}}}, "has more than 63 characters"),
        ({"clients": {"a": "b"}}, "clients: means something only with network_policy=True"),
        ({"network_policy": "yes"}, "network_policy='yes'"),
        ({"reach": "moon"}, "reach='moon'"),
        ({"security": Security(require_encryption=True)}, "security: has no tls_ca_file, tls_scheduler_cert"),
        (
            {"dashboard": "127.0.0.1:8787"},
            "dashboard: means nothing to a cluster of kind kubernetes; it is on port 8787",
        ),
        ({"namspace": "a"}, "unknown key 'namspace'; did you mean 'namespace'"),
    ],
)
def test_errors_at_the_door(options: dict[str, Any], message: str) -> None:
    with pytest.raises(clusters.ConfigError, match=re.compile(message, re.DOTALL)):
        configured(**options)


def test_an_image_is_needed() -> None:
    with pytest.raises(
        clusters.ConfigError, match="image: missing; the container image that runs scheduler and workers"
    ):
        clusters.configure("kubernetes")


def test_rights_need_a_namespace() -> None:
    with pytest.raises(ValueError, match="namespace=None: rights hold in one namespace"):
        rbac(configured())


def test_importing_dask_kubernetes_writes_no_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask.config, "PATH", str(tmp_path / "dask"))
    without_file_in_dask_config()
    assert str(tmp_path / "dask") == dask.config.PATH
    assert not (tmp_path / "dask").exists()


def pod(state: dict[str, Any], **status: Any) -> dict[str, Any]:
    labels = {"dask.org/component": "worker"}
    container = {"name": "worker", "image": "a:b", "state": state, **status}
    return {"metadata": {"name": "w", "labels": labels}, "status": {"containerStatuses": [container]}}


CLUSTER = {"kind": "DaskCluster", "metadata": {"name": "search"}}
DEPLOYED: dict[str, Any] = {"deployments": [{"status": {}}]}
FAILED = {"type": "ReplicaFailure", "status": "True", "message": 'error looking up serviceaccount "robot"'}
CLAIM = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "unbound PersistentVolumeClaims",
}
KILLED = {"lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}


@pytest.mark.parametrize(
    ("seen", "cause", "setting", "final"),
    [
        (Seen(None), "was deleted while it started", "who deleted", True),
        (Seen(CLUSTER), "the Dask operator did nothing with DaskCluster search", "operator runs", False),
        (Seen(CLUSTER, pods=[pod({"waiting": {"reason": "InvalidImageName"}})]), "InvalidImageName", "image=", True),
        (Seen(CLUSTER, pods=[pod({"waiting": {"reason": "ErrImagePull"}})]), "ErrImagePull", "image=", False),
        (
            Seen(CLUSTER, pods=[pod({"waiting": {"reason": "CrashLoopBackOff"}}, **KILLED)]),
            "exit code 137, OOMKilled",
            "memory=",
            True,
        ),
        (
            Seen(CLUSTER, pods=[pod({"waiting": {"reason": "CreateContainerConfigError", "message": "no key a"}})]),
            "CreateContainerConfigError: no key a",
            "volumes=",
            False,
        ),
        (Seen(CLUSTER, [{"status": {"conditions": [FAILED]}}]), "robot", "service_account=", False),
        (
            Seen(CLUSTER, pods=[{"metadata": {"name": "w"}, "status": {"conditions": [CLAIM]}}]),
            "no node takes",
            "the claim that volumes= names",
            False,
        ),
        (
            Seen(
                CLUSTER,
                pods=[pod({"waiting": {"reason": "ContainerCreating"}})],
                events=[{"type": "Warning", "reason": "FailedMount", "message": "no such disk"}],
                **DEPLOYED,
            ),
            "FailedMount: no such disk",
            "start_timeout=",
            False,
        ),
    ],
)
def test_causes(seen: Seen, cause: str, setting: str, final: bool) -> None:
    problem, found_final = cause_of(seen)
    assert cause in problem.cause
    assert setting in problem.setting
    assert found_final == final
