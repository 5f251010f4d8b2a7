"""What is sent to the API server, as plain mappings. Pure; `secrets` apart, nothing here holds a secret in clear."""

from __future__ import annotations

import base64
from typing import Any

import yaml
from distributed.security import Security

from clusters.errors import ConfigError
from clusters.kinds.kubernetes.config import KubernetesConfig, WorkerGroup
from clusters.kinds.kubernetes.pods import (
    DASHBOARD_PORT,
    SCHEDULER_PORT,
    encrypted,
    env_secret,
    runner_pod,
    scheduler_pod,
    tls_secret,
    worker_pod,
)
from clusters.tls import portable

__all__ = [
    "DASK_API",
    "cluster_manifest",
    "group_manifest",
    "group_manifests",
    "job_manifest",
    "network_policy",
    "render",
    "secrets",
]

DASK_API = "kubernetes.dask.org/v1"

# Where the chart of the operator puts it, and how it labels its pod.
_OPERATOR = {"app.kubernetes.io/name": "dask-kubernetes-operator"}
_SCRIPT_FOLDER = "/etc/dask-job"


def cluster_manifest(config: KubernetesConfig, name: str | None = None) -> dict[str, Any]:
    """The DaskCluster.

    Parameters
    ----------
    config : KubernetesConfig
        The configuration.
    name : str, optional
        The name, where it is not that of the configuration.

    Returns
    -------
    dict
        The manifest.
    """
    name = _name(config, name)
    # Rounded up: 0 would mean that it never ends.
    idle = -int(-config.idle_timeout // 1) if config.idle_timeout else 0
    return _object(config, DASK_API, "DaskCluster", name, {"idleTimeout": idle, **_cluster_spec(config, name)})


def group_manifests(config: KubernetesConfig, name: str | None = None) -> list[dict[str, Any]]:
    """The DaskWorkerGroups that the configuration names, parameters as of `cluster_manifest`."""
    name = _name(config, name)
    return [group_manifest(config, name, key, group) for key, group in config.kubernetes.groups.items()]


def group_manifest(config: KubernetesConfig, name: str, key: str, group: WorkerGroup) -> dict[str, Any]:
    """One further group of workers of the cluster of this name."""
    worker = {"replicas": group.workers, "spec": worker_pod(config, name, group)}
    made = _object(config, DASK_API, "DaskWorkerGroup", f"{name}-{key}", {"cluster": name, "worker": worker})
    made["metadata"]["labels"] |= {"dask.org/cluster-name": name, "dask.org/component": "workergroup"}
    return made


def job_manifest(
    config: KubernetesConfig, command: list[str], name: str | None = None, script: str | None = None
) -> list[dict[str, Any]]:
    """A DaskJob: a pod that runs a command, with a cluster of its own that ends with it.

    Parameters
    ----------
    config : KubernetesConfig
        The configuration. `idle_timeout` means nothing here: the operator hands it to no job's cluster.
    command : list of str
        What the pod runs. `Client()` there finds the scheduler and its certificates by itself. With `script`, what
        follows the script, as its arguments.
    name : str, optional
        The name of job and cluster, where it is not that of the configuration.
    script : str, optional
        The text of a Python script to run; it travels in a ConfigMap, so it is no place for secrets.

    Returns
    -------
    list of dict
        The ConfigMap, where there is a script, and the DaskJob.
    """
    name = _name(config, name)
    manifests = []
    if script is None:
        pod = runner_pod(config, name, command)
    else:
        pod = runner_pod(config, name, [config.python or "python", f"{_SCRIPT_FOLDER}/script.py", *command])
        pod["volumes"] = [*pod.get("volumes", []), {"name": "script", "configMap": {"name": f"{name}-script"}}]
        container = pod["containers"][0]
        mount = {"name": "script", "mountPath": _SCRIPT_FOLDER, "readOnly": True}
        container["volumeMounts"] = [*container.get("volumeMounts", []), mount]
        held = _object(config, "v1", "ConfigMap", f"{name}-script", None)
        manifests.append({**held, "data": {"script.py": script}})
    spec = {"job": {"spec": pod}, "cluster": {"spec": _cluster_spec(config, name)}}
    return [*manifests, _object(config, DASK_API, "DaskJob", name, spec)]


def network_policy(config: KubernetesConfig, name: str | None = None) -> dict[str, Any]:
    """The NetworkPolicy: who may open connections to the pods of the cluster.

    Those of the cluster itself, and to the scheduler also the operator (its dashboard's port) and pods with the labels
    `clients`. What the API server forwards comes from the node, which network policies let through.
    """
    name = _name(config, name)
    mine = {"matchLabels": {"dask.org/cluster-name": name}}
    dashboard = [{"protocol": "TCP", "port": DASHBOARD_PORT}]
    rules: list[dict[str, Any]] = [
        {"from": [{"podSelector": mine}]},
        {"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": dict(_OPERATOR)}}], "ports": dashboard},
    ]
    if config.kubernetes.clients:
        both = [{"protocol": "TCP", "port": SCHEDULER_PORT}, *dashboard]
        clients = {"podSelector": {"matchLabels": dict(config.kubernetes.clients)}}
        rules.append({"from": [clients], "ports": both})
    spec = {"podSelector": mine, "policyTypes": ["Ingress"], "ingress": rules}
    return _object(config, "networking.k8s.io/v1", "NetworkPolicy", name, spec)


def secrets(config: KubernetesConfig, name: str, security: Security) -> list[dict[str, Any]]:
    """The Secrets of the cluster of this name: its certificates, and the values of `env`. They are in clear here."""
    found: list[tuple[str, dict[str, str]]] = []
    if encrypted(config):
        found.append((tls_secret(name), _certificates(security)))
    if config.env:
        found.append((env_secret(name), config.environment()))
    return [
        {
            **_object(config, "v1", "Secret", key, None),
            "type": "Opaque",
            "data": {part: base64.b64encode(value.encode()).decode() for part, value in values.items()},
        }
        for key, values in found
    ]


def render(config: KubernetesConfig) -> str:
    """What `start` sends, as YAML, the Secrets apart: those are made at the start, and hold what is not to be shown.

    Where the configuration has no name, "dhpo" stands for the one that each start makes.
    """
    manifests = [cluster_manifest(config), *group_manifests(config)]
    if config.kubernetes.network_policy:
        manifests.append(network_policy(config))
    note = ""
    names = [tls_secret(_name(config, None))] if encrypted(config) else []
    names += [env_secret(_name(config, None))] if config.env else []
    if names:
        note = f"# Secrets made at the start: {', '.join(names)}\n"
    text: str = yaml.dump_all(manifests, Dumper=_WithoutAnchors, sort_keys=False)
    return note + text


class _WithoutAnchors(yaml.SafeDumper):
    """Parts that stand in two places are written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _name(config: KubernetesConfig, name: str | None) -> str:
    return name or config.kubernetes.name or "dhpo"


def _object(config: KubernetesConfig, api: str, kind: str, name: str, spec: dict[str, Any] | None) -> dict[str, Any]:
    options = config.kubernetes
    metadata: dict[str, Any] = {"name": name}
    if options.namespace:
        metadata["namespace"] = options.namespace
    metadata["labels"] = {"app.kubernetes.io/managed-by": "dhpo", **options.labels}
    if options.annotations:
        metadata["annotations"] = dict(options.annotations)
    made = {"apiVersion": api, "kind": kind, "metadata": metadata}
    return made if spec is None else {**made, "spec": spec}


def _cluster_spec(config: KubernetesConfig, name: str) -> dict[str, Any]:
    chosen = {"dask.org/cluster-name": name, "dask.org/component": "scheduler"}
    ports = [("tcp-comm", SCHEDULER_PORT), ("http-dashboard", DASHBOARD_PORT)]
    return {
        "worker": {"replicas": config.first_workers, "spec": worker_pod(config, name)},
        "scheduler": {
            "spec": scheduler_pod(config, name),
            "service": {
                "type": "ClusterIP",
                "selector": chosen,
                "ports": [{"name": key, "protocol": "TCP", "port": port, "targetPort": key} for key, port in ports],
            },
        },
    }


def _certificates(security: Security) -> dict[str, str]:
    parts: dict[str, str] = {}
    for role in ("scheduler", "worker", "client"):
        held = portable(security, role)
        for key, file in (
            ("tls_ca_file", "ca.pem"),
            (f"tls_{role}_cert", f"{role}.pem"),
            (f"tls_{role}_key", f"{role}.key"),
        ):
            if key not in held:
                raise ConfigError(f"security: the certificates have no {key}, which the pods need")
            parts[file] = held[key]
    return parts
