"""The configuration of clusters on Kubernetes."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from distributed.security import Security
from pydantic import Field, PlainValidator, model_validator

from clusters.config import ClusterConfig, Section
from clusters.kinds.kubernetes.values import (
    Labels,
    Mounts,
    Names,
    ObjectName,
    PodFields,
    Resources,
    Tolerations,
    Volumes,
)
from clusters.values import Bytes, Count, Name, Seconds, Workers

__all__ = ["KubernetesConfig", "KubernetesOptions", "WorkerGroup"]

# The operator appends "-scheduler" to it, and a name has at most 63 characters.
_LONGEST_NAME = 53
_LONGEST_LABEL = 63
_GIB = 2**30
_ROLES = ("scheduler", "worker", "client")


def _cluster_name(value: Any) -> str:
    good = isinstance(value, str) and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", value)
    if not good or len(value) > _LONGEST_NAME:
        raise ValueError(f"expected at most {_LONGEST_NAME} lower case letters, digits and '-'")
    return str(value)


def _none_or_count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("expected an integer of at least 0")
    return value


ClusterName = Annotated[str, PlainValidator(_cluster_name)]
NoneOrCount = Annotated[int, PlainValidator(_none_or_count)]


class WorkerGroup(Section):
    """Workers of another make beside those of the cluster; what is not said here is as there."""

    workers: NoneOrCount = Field(default=1, description="number of workers of the group")
    image: Name | None = Field(default=None, description="container image of the group's workers")
    threads: Count | None = Field(default=None, description="threads of each worker")
    memory: Bytes | None = Field(default=None, description="memory of each worker, such as '64GiB'")
    gpus: NoneOrCount | None = Field(default=None, description="GPUs of each worker")
    resources: Resources | None = Field(default=None, description="requests and limits, over those derived")
    node_selector: Labels | None = Field(default=None, description="labels of the nodes that may run the workers")
    tolerations: Tolerations | None = Field(default=None, description="taints of nodes that the workers bear")


class KubernetesOptions(Section):
    """The block of clusters on Kubernetes. Keys inside its plain parts, as claimName, are Kubernetes' own."""

    name: ClusterName | None = Field(default=None, description="name of the cluster; a new one where none is given")
    namespace: ObjectName | None = Field(default=None, description="namespace; by default that of the context")
    context: Name | None = Field(default=None, description="context of the kubeconfig; by default the current one")
    kubeconfig: Name | None = Field(
        default=None, description="path of the kubeconfig; by default $KUBECONFIG, ~/.kube/config or the pod's account"
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        default=None, description="when nodes pull the image"
    )
    pull_secrets: Names = Field(default=[], description="secrets of the registry that holds the image")
    service_account: ObjectName | None = Field(default=None, description="service account of all pods")
    gpus: NoneOrCount = Field(default=0, description="GPUs of each worker")
    gpu_resource: Name = Field(default="nvidia.com/gpu", description="how the nodes call a GPU")
    node_selector: Labels = Field(default={}, description="labels of the nodes that may run the pods")
    tolerations: Tolerations = Field(default=[], description="taints of nodes that the pods bear")
    volumes: Volumes = Field(default=[], description="volumes of all pods, plain: a name and one source each")
    mounts: Mounts = Field(default=[], description="where the volumes appear, plain volumeMounts")
    resources: Resources = Field(
        default={}, description="requests and limits of each worker, over those derived from threads, memory and gpus"
    )
    scheduler_threads: Count = Field(default=1, description="CPUs of the scheduler")
    scheduler_memory: Bytes = Field(default=2 * _GIB, description="memory of the scheduler, such as '2GiB'")
    labels: Labels = Field(default={}, description="labels of everything that is created")
    annotations: Labels = Field(default={}, description="annotations of everything that is created")
    pod_fields: PodFields = Field(default={}, description="further fields of the pods' spec, plain, such as affinity")
    groups: dict[str, WorkerGroup] = Field(default={}, description="further groups of workers by name")
    network_policy: bool = Field(
        default=False, strict=True, description="let only pods of the cluster, the operator and clients reach its pods"
    )
    clients: Labels = Field(default={}, description="labels of pods that the network policy lets reach the scheduler")
    reach: Literal["auto", "forward", "service"] = Field(
        default="auto",
        description="how this process reaches the scheduler: forward goes through the API server, service straight",
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        known = {volume["name"] for volume in self.volumes}
        for mount in self.mounts:
            if mount["name"] not in known:
                raise ValueError(f"mounts: no volume is named {mount['name']!r}; volumes has {sorted(known)}")
        for name in self.groups:
            _cluster_name(name)
            if name == "default":
                raise ValueError("groups: 'default' is the name of the cluster's own workers")
        if self.clients and not self.network_policy:
            raise ValueError("clients: means something only with network_policy=True")
        return self


class KubernetesConfig(ClusterConfig):
    """A cluster of pods on Kubernetes, run by the Dask operator. It has TLS unless told otherwise."""

    kind: Literal["kubernetes"] = "kubernetes"
    image: Name = Field(description="the container image that runs scheduler and workers; dhpo and Dask are in it")
    workers: Workers | None = Field(default=1, description="number of workers, or (fewest, most) to adapt between")
    idle_timeout: Seconds | None = Field(
        default=3600.0,
        description="the operator deletes the cluster after so long without work; None never, also when this process "
        "was killed",
    )
    start_timeout: Seconds = Field(
        default=300.0,
        description="the time a start may take until it is an error; nodes may have to come and to pull the image",
    )
    kubernetes: KubernetesOptions = Field(default=KubernetesOptions(), description="what only Kubernetes has")

    unused = {"dashboard": "it is on port 8787 of the scheduler's pod, and cluster.dashboard_link leads to it"}

    @model_validator(mode="after")
    def _certificates_are_there(self) -> Self:
        if isinstance(self.security, Security):
            wanted = ["tls_ca_file", *(f"tls_{role}_{part}" for role in _ROLES for part in ("cert", "key"))]
            if missing := [name for name in wanted if getattr(self.security, name) is None]:
                raise ValueError(f"security: has no {', '.join(missing)}, which the pods need")
        return self

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        name = self.kubernetes.name or "dhpo-12345678"
        for group in self.kubernetes.groups:
            if len(f"{name}-{group}") > _LONGEST_LABEL:
                raise ValueError(f"groups: {name}-{group} has more than {_LONGEST_LABEL} characters")
        return self

    @property
    def first_workers(self) -> int:
        """The number of workers to start with, groups apart."""
        return 1 if self.least is None else self.least
