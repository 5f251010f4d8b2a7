"""The pods of a cluster as the manifests describe them. Pure, and without a secret in clear."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from clusters.dask_settings import quiet_settings
from clusters.kinds.kubernetes.config import KubernetesConfig, WorkerGroup

__all__ = [
    "DASHBOARD_PORT",
    "SCHEDULER_PORT",
    "TLS_FOLDER",
    "encrypted",
    "env_secret",
    "runner_pod",
    "scheduler_pod",
    "tls_secret",
    "worker_pod",
]

SCHEDULER_PORT = 8786
DASHBOARD_PORT = 8787
WORKER_DASHBOARD_PORT = 8788
TLS_FOLDER = "/etc/dask-tls"
_ROLES = ("scheduler", "worker", "client")

# The operator asks the scheduler over HTTP how many workers it wants, which of them may go, and since when it is idle.
# Over Dask's own protocol it could ask only without TLS, since it has no certificate.
_ROUTES = (
    "distributed.http.scheduler.prometheus",
    "distributed.http.scheduler.info",
    "distributed.http.scheduler.json",
    "distributed.http.scheduler.api",
    "distributed.http.health",
    "distributed.http.proxy",
    "distributed.http.statics",
)


@dataclass(frozen=True)
class _Make:
    """What is different from one group of workers to the next."""

    image: str
    threads: int
    memory: int | None
    gpus: int
    resources: dict[str, dict[str, str]]
    node_selector: dict[str, str]
    tolerations: list[dict[str, Any]]


def encrypted(config: KubernetesConfig) -> bool:
    """Whether the pods of the cluster talk to each other over TLS."""
    return config.security is not False


def tls_secret(name: str) -> str:
    """The name of the Secret with the certificates."""
    return f"{name}-tls"


def env_secret(name: str) -> str:
    """The name of the Secret with the values of `env`."""
    return f"{name}-env"


def scheduler_pod(config: KubernetesConfig, name: str) -> dict[str, Any]:
    """The spec of the scheduler's pod."""
    options = config.kubernetes
    health = {"httpGet": {"path": "/health", "port": "http-dashboard"}}
    container = {
        **_container("scheduler", config.image, config, name),
        "args": [
            config.python or "python",
            "-m",
            "distributed.cli.dask_scheduler",
            "--protocol",
            _protocol(config),
            "--port",
            str(SCHEDULER_PORT),
            "--dashboard-address",
            f":{DASHBOARD_PORT}",
        ],
        "ports": [_port("tcp-comm", SCHEDULER_PORT), _port("http-dashboard", DASHBOARD_PORT)],
        "resources": _amounts(options.scheduler_threads, options.scheduler_memory, 0, "", {}),
        "readinessProbe": {**health, "periodSeconds": 1, "timeoutSeconds": 10},
        "livenessProbe": {**health, "initialDelaySeconds": 15, "periodSeconds": 20, "timeoutSeconds": 30},
    }
    return _pod(config, name, container, options.node_selector, options.tolerations)


def worker_pod(config: KubernetesConfig, name: str, group: WorkerGroup | None = None) -> dict[str, Any]:
    """The spec of a worker's pod, of the cluster's own workers or of a further group."""
    make = _make(config, group)
    command = [
        config.python or "python",
        "-m",
        "distributed.cli.dask_worker",
        "--protocol",
        _protocol(config),
        # The operator finds the deployment of a worker by the worker's name, and gives it here.
        "--name",
        "$(DASK_WORKER_NAME)",
        "--nthreads",
        str(make.threads),
        "--dashboard-address",
        f":{WORKER_DASHBOARD_PORT}",
    ]
    if make.memory is not None:
        command += ["--memory-limit", str(make.memory)]
    container = {
        **_container("worker", make.image, config, name, over=config.env),
        "args": command,
        "ports": [_port("http-dashboard", WORKER_DASHBOARD_PORT)],
        "resources": _amounts(make.threads, make.memory, make.gpus, config.kubernetes.gpu_resource, make.resources),
    }
    container |= _environment_of_user(config, name)
    return _pod(config, name, container, make.node_selector, make.tolerations)


def runner_pod(config: KubernetesConfig, name: str, command: list[str]) -> dict[str, Any]:
    """The spec of the pod that runs the script of a job; it may end, and is then not started again."""
    container = {**_container("job", config.image, config, name, over=config.env), "args": command}
    container |= _environment_of_user(config, name)
    pod = _pod(config, name, container, config.kubernetes.node_selector, config.kubernetes.tolerations)
    return {**pod, "restartPolicy": "Never"}


def _make(config: KubernetesConfig, group: WorkerGroup | None) -> _Make:
    options, group = config.kubernetes, group or WorkerGroup()
    return _Make(
        image=group.image or config.image,
        threads=group.threads or config.threads,
        memory=group.memory or config.memory,
        gpus=options.gpus if group.gpus is None else group.gpus,
        resources=options.resources if group.resources is None else group.resources,
        node_selector=options.node_selector if group.node_selector is None else group.node_selector,
        tolerations=options.tolerations if group.tolerations is None else group.tolerations,
    )


def _protocol(config: KubernetesConfig) -> str:
    return "tls" if encrypted(config) else "tcp"


def _port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def _amounts(
    threads: int, memory: int | None, gpus: int, gpu_resource: str, over: dict[str, dict[str, str]]
) -> dict[str, dict[str, str]]:
    derived = {"cpu": str(threads)}
    if memory is not None:
        derived["memory"] = str(memory)
    limits = {**derived, gpu_resource: str(gpus)} if gpus else derived
    return {"requests": {**derived, **over.get("requests", {})}, "limits": {**limits, **over.get("limits", {})}}


def _container(role: str, image: str, config: KubernetesConfig, name: str, over: Container[str] = ()) -> dict[str, Any]:
    options = config.kubernetes
    # What stands here would win over what the Secret of the user's variables says.
    env = [variable for variable in _environment(config, name) if variable["name"] not in over]
    container: dict[str, Any] = {"name": role, "image": image, "env": env}
    if options.image_pull_policy:
        container["imagePullPolicy"] = options.image_pull_policy
    mounts = list(options.mounts)
    if encrypted(config):
        mounts.append({"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True})
    if mounts:
        container["volumeMounts"] = mounts
    return container


def _environment(config: KubernetesConfig, name: str) -> list[dict[str, str]]:
    # Of the scheduler's service, in the namespace of the pods; the operator would write tcp://.
    settings = {"DASK_SCHEDULER_ADDRESS": f"{_protocol(config)}://{name}-scheduler:{SCHEDULER_PORT}"}
    chosen: dict[str, Any] = {"distributed.scheduler.http.routes": list(_ROUTES), **quiet_settings()}
    if encrypted(config):
        chosen["distributed.comm.require-encryption"] = True
        chosen["distributed.comm.tls.ca-file"] = f"{TLS_FOLDER}/ca.pem"
        for role in _ROLES:
            chosen[f"distributed.comm.tls.{role}.cert"] = f"{TLS_FOLDER}/{role}.pem"
            chosen[f"distributed.comm.tls.{role}.key"] = f"{TLS_FOLDER}/{role}.key"
    for key, value in chosen.items():
        settings["DASK_" + key.upper().replace(".", "__").replace("-", "_")] = str(value)
    return [{"name": key, "value": value} for key, value in settings.items()]


def _environment_of_user(config: KubernetesConfig, name: str) -> dict[str, Any]:
    return {"envFrom": [{"secretRef": {"name": env_secret(name)}}]} if config.env else {}


def _pod(
    config: KubernetesConfig,
    name: str,
    container: dict[str, Any],
    node_selector: dict[str, str],
    tolerations: list[dict[str, Any]],
) -> dict[str, Any]:
    options = config.kubernetes
    volumes = list(options.volumes)
    if encrypted(config):
        volumes.append({"name": "tls", "secret": {"secretName": tls_secret(name)}})
    fields = {
        "volumes": volumes,
        "imagePullSecrets": [{"name": secret} for secret in options.pull_secrets],
        "serviceAccountName": options.service_account,
        "nodeSelector": node_selector,
        "tolerations": tolerations,
    }
    # Pods need no access to the API server, nor variables for each service of the namespace: Dask would take those of
    # services named dask-... for its own settings.
    chosen: dict[str, Any] = {
        "automountServiceAccountToken": bool(options.service_account),
        "enableServiceLinks": False,
    }
    chosen |= {**options.pod_fields, "containers": [container]}
    return chosen | {key: value for key, value in fields.items() if value}
