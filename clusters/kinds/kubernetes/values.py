"""The types of values that only Kubernetes has: its own plain mappings, looked at lightly; its API server is strict."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import PlainValidator

__all__ = ["Labels", "Mounts", "Names", "ObjectName", "PodFields", "Resources", "Tolerations", "Volumes"]

Plain = dict[str, Any]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
_MOUNT_KEYS = {"name", "mountPath", "readOnly", "subPath", "subPathExpr", "mountPropagation", "recursiveReadOnly"}
_TOLERATION_KEYS = {"key", "operator", "value", "effect", "tolerationSeconds"}
# These have keys of their own in the configuration.
_OWN_POD_FIELDS = {
    "containers": "image=, threads=, memory= and mounts=",
    "imagePullSecrets": "pull_secrets=",
    "nodeSelector": "node_selector=",
    "restartPolicy": "nothing: the operator decides",
    "serviceAccount": "service_account=",
    "serviceAccountName": "service_account=",
    "tolerations": "tolerations=",
    "volumes": "volumes=",
}


def _no_nulls(value: Any, where: str) -> None:
    if value is None:
        raise ValueError(f"{where} is empty, which the API server refuses: leave it out")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{where}: expected text as keys, and {key!r} is none")
            _no_nulls(inner, f"{where}.{key}" if where else key)
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            _no_nulls(inner, f"{where}[{place}]")


def _mappings(value: Any, example: str) -> list[Plain]:
    if not isinstance(value, list | tuple) or not all(isinstance(entry, Mapping) for entry in value):
        raise ValueError(f"expected a list of mappings as Kubernetes has them, for instance {example}")
    for place, entry in enumerate(value):
        _no_nulls(entry, f"[{place}]")
    return [dict(entry) for entry in value]


def _object_name(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 253 or not _SUBDOMAIN.fullmatch(value):
        raise ValueError("expected a name of Kubernetes: lower case letters, digits, '-' and '.'")
    return value


def _names(value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise ValueError("expected a list of names")
    return [_object_name(name) for name in value]


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        raise ValueError("expected names and values that are text; quote true, false and numbers")
    return dict(value)


def _tolerations(value: Any) -> list[Plain]:
    entries = _mappings(value, "[{'key': 'gpu', 'operator': 'Exists', 'effect': 'NoSchedule'}]")
    for entry in entries:
        if unknown := set(entry) - _TOLERATION_KEYS:
            raise ValueError(f"unknown key {min(unknown)!r}; expected {', '.join(sorted(_TOLERATION_KEYS))}")
    return entries


def _volumes(value: Any) -> list[Plain]:
    entries = _mappings(value, "[{'name': 'data', 'persistentVolumeClaim': {'claimName': 'data'}}]")
    seen: set[str] = set()
    for entry in entries:
        name = entry.get("name")
        if not isinstance(name, str) or not _LABEL.fullmatch(name):
            raise ValueError("each volume has a name of lower case letters, digits and '-'")
        if name in seen or name == "tls":
            raise ValueError(f"the name {name!r} is taken")
        seen.add(name)
        sources = [key for key in entry if key != "name"]
        if len(sources) != 1 or not isinstance(entry[sources[0]], Mapping):
            raise ValueError(f"volume {name!r}: expected one source, as persistentVolumeClaim, hostPath or configMap")
    return entries


def _mounts(value: Any) -> list[Plain]:
    entries = _mappings(value, "[{'name': 'data', 'mountPath': '/data', 'readOnly': True}]")
    for entry in entries:
        if unknown := set(entry) - _MOUNT_KEYS:
            raise ValueError(f"unknown key {min(unknown)!r}; expected {', '.join(sorted(_MOUNT_KEYS))}")
        path = entry.get("mountPath")
        if not isinstance(entry.get("name"), str) or not isinstance(path, str) or not path.startswith("/"):
            raise ValueError("each mount has the name of a volume, and a mountPath that starts with '/'")
    return entries


def _resources(value: Any) -> dict[str, dict[str, str]]:
    if not isinstance(value, Mapping) or set(value) - {"requests", "limits"}:
        raise ValueError("expected {'requests': {...}, 'limits': {...}}, or one of them")
    result = {}
    for part, amounts in value.items():
        if not isinstance(amounts, Mapping):
            raise ValueError(f"{part}: expected amounts by resource, as {{'cpu': '2', 'memory': '8Gi'}}")
        for name, amount in amounts.items():
            if isinstance(amount, bool) or not isinstance(amount, str | int | float):
                raise ValueError(f"{part}: the amount of {name} is neither text nor a number")
        result[part] = {str(name): str(amount) for name, amount in amounts.items()}
    return result


def _pod_fields(value: Any) -> Plain:
    if not isinstance(value, Mapping):
        raise ValueError("expected fields of a pod's spec, as {'priorityClassName': 'low'}")
    for key, instead in _OWN_POD_FIELDS.items():
        if key in value:
            raise ValueError(f"{key} is set with {instead}")
    _no_nulls(value, "")
    return dict(value)


def _plain(check: Callable[[Any], Any]) -> PlainValidator:
    return PlainValidator(check)


ObjectName = Annotated[str, _plain(_object_name)]
Names = Annotated[list[str], _plain(_names)]
Labels = Annotated[dict[str, str], _plain(_labels)]
Tolerations = Annotated[list[Plain], _plain(_tolerations)]
Volumes = Annotated[list[Plain], _plain(_volumes)]
Mounts = Annotated[list[Plain], _plain(_mounts)]
Resources = Annotated[dict[str, dict[str, str]], _plain(_resources)]
PodFields = Annotated[Plain, _plain(_pod_fields)]
