"""What the driver has to be allowed to do: asked of the API server by `check`, and granted by `rbac`. Pure."""

from __future__ import annotations

from typing import Any

from clusters.kinds.kubernetes.config import KubernetesConfig

__all__ = ["needed", "rbac"]

_DASK = "kubernetes.dask.org"
_SECRETS = ("", ("secrets",), ("create", "patch", "delete"))
_RULES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (_DASK, ("daskclusters", "daskworkergroups", "daskautoscalers"), ("get", "list", "create", "patch", "delete")),
    _SECRETS,
    ("", ("pods", "services", "events"), ("get", "list")),
    ("", ("pods/log",), ("get",)),
    ("", ("pods/portforward",), ("get", "create")),
    ("apps", ("deployments",), ("list",)),
)
_POLICIES = ("networking.k8s.io", ("networkpolicies",), ("create", "patch", "delete"))
_JOBS = (
    (_DASK, ("daskjobs",), ("get", "list", "create", "delete")),
    ("", ("configmaps",), ("create", "patch", "delete")),
)


def needed(config: KubernetesConfig, job: bool = False) -> list[tuple[str, str, str]]:
    """What a start does, of a cluster or a job, each as group, resource and verb."""
    rules = (*_RULES, _POLICIES) if config.kubernetes.network_policy else _RULES
    if job:
        rules = (*_JOBS, _SECRETS)
    return [(group, resource, verb) for group, resources, verbs in rules for resource in resources for verb in verbs]


def rbac(config: KubernetesConfig, account: str = "dhpo-driver") -> list[dict[str, Any]]:
    """A ServiceAccount whose pods may start clusters and jobs, with its Role and RoleBinding.

    Parameters
    ----------
    config : KubernetesConfig
        The configuration; it has to name the namespace.
    account : str
        The name of all three.

    Returns
    -------
    list of dict
        The manifests.

    Raises
    ------
    ValueError
        If the configuration names no namespace.
    """
    namespace = config.kubernetes.namespace
    if namespace is None:
        raise ValueError("namespace=None: rights hold in one namespace; name it")
    metadata = {"name": account, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "dhpo"}}
    rules = (*_RULES, _POLICIES) if config.kubernetes.network_policy else _RULES
    api = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {
            "apiVersion": f"{api}/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": [
                {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
                for group, resources, verbs in (*rules, *_JOBS)
            ],
        },
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        },
    ]
