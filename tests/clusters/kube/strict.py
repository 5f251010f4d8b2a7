"""Whether an API server takes a manifest, told without one, and more strictly: unknown fields are refused, too."""

from __future__ import annotations

import functools
from typing import Any

import jsonschema

from tests.clusters.kube.machine import definitions
from tests.clusters.kube.patching import Plain

_META: Plain = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_TEXT: Plain = {"type": "string"}
_TEXTS: Plain = {"type": "array", "items": _TEXT, "minItems": 1}
_SELECTOR: Plain = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"matchLabels": {"type": "object", "additionalProperties": _TEXT}},
}


def _exactly(**properties: Plain) -> Plain:
    required = list(properties)
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


def _optional(**properties: Plain) -> Plain:
    return {**_exactly(**properties), "required": [], "minProperties": 1}


_PEER = _optional(podSelector=_SELECTOR, namespaceSelector=_SELECTOR)
_POLICY_PORT = _exactly(protocol={"enum": ["TCP"]}, port={"type": "integer"})
_SUBJECT = _exactly(kind={"enum": ["ServiceAccount"]}, name=_TEXT, namespace=_TEXT)
_RBAC = "rbac.authorization.k8s.io"

# The part of the API's own description that is written here; each with the fields beside apiVersion, kind, metadata.
_BUILT_IN: dict[tuple[str, str], Plain] = {
    ("v1", "ServiceAccount"): {},
    ("v1", "ConfigMap"): {"data": {"type": "object", "additionalProperties": _TEXT}},
    ("v1", "Secret"): {"type": {"enum": ["Opaque"]}, "data": {"type": "object", "additionalProperties": _TEXT}},
    (f"{_RBAC}/v1", "Role"): {
        "rules": {
            "type": "array",
            "items": _exactly(
                apiGroups={"type": "array", "items": _TEXT, "minItems": 1}, resources=_TEXTS, verbs=_TEXTS
            ),
        }
    },
    (f"{_RBAC}/v1", "RoleBinding"): {
        "roleRef": _exactly(apiGroup={"enum": [_RBAC]}, kind={"enum": ["Role"]}, name=_TEXT),
        "subjects": {"type": "array", "items": _SUBJECT, "minItems": 1},
    },
    ("networking.k8s.io/v1", "NetworkPolicy"): {
        "spec": _exactly(
            podSelector=_SELECTOR,
            policyTypes={"type": "array", "items": {"enum": ["Ingress", "Egress"]}},
            ingress={
                "type": "array",
                "items": {
                    **_optional(
                        **{"from": {"type": "array", "items": _PEER, "minItems": 1}},
                        ports={"type": "array", "items": _POLICY_PORT, "minItems": 1},
                    )
                },
            },
        )
    },
}


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if schema.get("properties") and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed


@functools.cache
def _schema(api: str, kind: str) -> Plain:
    place = (api, kind)
    if place in _BUILT_IN:
        fields = _BUILT_IN[place]
        return _exactly(apiVersion=_TEXT, kind=_TEXT, metadata=_META, **fields)
    for definition in definitions():
        spec = definition["spec"]
        (version,) = spec["versions"]
        if place == (f"{spec['group']}/{version['name']}", spec["names"]["kind"]):
            closed = _closed(version["schema"]["openAPIV3Schema"])
            closed["properties"] |= {"apiVersion": _TEXT, "kind": _TEXT, "metadata": _META}
            return dict(closed)
    raise AssertionError(f"nothing is known of {place}")


def complaints(manifest: Plain) -> list[str]:
    """What a strict API server would say against a manifest."""
    errors = jsonschema.Draft7Validator(_schema(manifest["apiVersion"], manifest["kind"])).iter_errors(manifest)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in errors]
