"""The kind "kubernetes": pods that the Dask operator runs, with certificates and under a deadline.

`cluster_manifest`, `group_manifests`, `job_manifest`, `network_policy` and `rbac` are the plain manifests.
"""

from __future__ import annotations

import secrets
from typing import Any

from clusters.deadlines import Deadline
from clusters.kinds import Kind
from clusters.kinds.kubernetes.api import without_file_in_dask_config
from clusters.kinds.kubernetes.checks import check
from clusters.kinds.kubernetes.config import KubernetesConfig, KubernetesOptions, WorkerGroup
from clusters.kinds.kubernetes.jobs import job_state, submit_job
from clusters.kinds.kubernetes.manifests import (
    cluster_manifest,
    group_manifests,
    job_manifest,
    network_policy,
    render,
)
from clusters.kinds.kubernetes.rights import rbac
from clusters.tls import security_of

__all__ = [
    "KIND",
    "KubernetesConfig",
    "KubernetesOptions",
    "WorkerGroup",
    "cluster_manifest",
    "group_manifests",
    "job_manifest",
    "job_state",
    "network_policy",
    "rbac",
    "submit_job",
]


def _start(config: KubernetesConfig, deadline: Deadline) -> Any:
    without_file_in_dask_config()
    from clusters.kinds.kubernetes.cluster import KubernetesCluster

    name = config.kubernetes.name or f"dhpo-{secrets.token_hex(4)}"
    return KubernetesCluster(config, name, security_of(config.security, default=True), deadline)


KIND = Kind(
    name="kubernetes",
    config=KubernetesConfig,
    render=render,
    start=_start,
    check=check,
    extra="kubernetes",
    needs=("dask_kubernetes", "kr8s"),
)
