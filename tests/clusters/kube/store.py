"""The objects of a cluster in memory: what etcd, validation and garbage collection do."""

from __future__ import annotations

import asyncio
import copy
import datetime
import random
import string
import uuid
from dataclasses import dataclass, field
from typing import Any

import jsonschema

from tests.clusters.kube.patching import ApiError, Plain, fields_match, labels_match

Key = tuple[str, str]
"""Group and plural."""


@dataclass
class Kind:
    """A kind of objects."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    subresources: tuple[str, ...] = ()
    schema: Plain | None = None

    @property
    def api(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


BUILT_IN = [
    Kind("", "v1", "pods", "Pod", subresources=("status", "log", "portforward")),
    Kind("", "v1", "services", "Service", subresources=("status",)),
    Kind("", "v1", "events", "Event"),
    Kind("", "v1", "configmaps", "ConfigMap"),
    Kind("", "v1", "secrets", "Secret"),
    Kind("", "v1", "serviceaccounts", "ServiceAccount"),
    Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
    Kind("", "v1", "resourcequotas", "ResourceQuota"),
    Kind("", "v1", "namespaces", "Namespace", namespaced=False),
    Kind("", "v1", "nodes", "Node", namespaced=False),
    Kind("apps", "v1", "deployments", "Deployment", subresources=("status",)),
    Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False),
]
_KEPT = ("uid", "creationTimestamp", "name", "namespace", "generation", "deletionTimestamp")
_FIRST_STATUS: dict[str, Plain] = {"Pod": {"phase": "Pending", "conditions": []}, "Deployment": {}}


def now() -> str:
    """The time as Kubernetes writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fill_in(schema: Plain, obj: Any) -> None:
    """Put defaults where a custom resource has nothing."""
    if isinstance(obj, dict):
        for key, part in schema.get("properties", {}).items():
            if "default" in part and key not in obj:
                obj[key] = copy.deepcopy(part["default"])
            if key in obj:
                fill_in(part, obj[key])
    elif isinstance(obj, list):
        for entry in obj:
            fill_in(schema.get("items", {}), entry)


@dataclass
class Store:
    """All objects, and the log of what happened to them. Only for the event loop of the server."""

    kinds: dict[Key, Kind] = field(default_factory=dict)
    objects: dict[Key, dict[tuple[str, str], Plain]] = field(default_factory=dict)
    log: list[tuple[int, str, Key, Plain]] = field(default_factory=list)
    waiting: set[asyncio.Event] = field(default_factory=set)
    version: int = 100

    def __post_init__(self) -> None:
        for kind in BUILT_IN:
            self.add_kind(kind)

    def add_kind(self, kind: Kind) -> None:
        self.kinds[kind.group, kind.plural] = kind
        self.objects.setdefault((kind.group, kind.plural), {})

    def define(self, definition: Plain) -> None:
        """Add the kind of a CustomResourceDefinition."""
        spec = definition["spec"]
        (version,) = spec["versions"]
        subresources = tuple(version.get("subresources") or {})
        schema = version["schema"]["openAPIV3Schema"]
        names = spec["names"]
        self.add_kind(Kind(spec["group"], version["name"], names["plural"], names["kind"], True, subresources, schema))
        self.create(("apiextensions.k8s.io", "customresourcedefinitions"), "", definition)

    def list(self, key: Key, namespace: str = "", labels: str | None = None, fields: str | None = None) -> list[Plain]:
        return [
            obj
            for (where, _), obj in sorted(self.objects[key].items())
            if (not namespace or where == namespace)
            and labels_match(labels, obj["metadata"].get("labels") or {})
            and fields_match(fields, obj)
        ]

    def get(self, key: Key, namespace: str, name: str) -> Plain:
        found = self.objects[key].get((namespace, name))
        if found is None:
            raise ApiError(404, "NotFound", f'{".".join(filter(None, reversed(key)))} "{name}" not found')
        return found

    def create(self, key: Key, namespace: str, given: Plain) -> Plain:
        kind, obj = self.kinds[key], copy.deepcopy(given)
        metadata = obj.setdefault("metadata", {})
        obj = {"apiVersion": kind.api, "kind": kind.kind, **obj}
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                raise ApiError(422, "Invalid", "name or generateName is required")
            letters = random.choices(string.ascii_lowercase + string.digits, k=5)
            metadata["name"] = metadata["generateName"] + "".join(letters)
        if kind.namespaced:
            if ("", namespace) not in self.objects["", "namespaces"]:
                raise ApiError(404, "NotFound", f'namespaces "{namespace}" not found')
            if metadata.setdefault("namespace", namespace) != namespace:
                raise ApiError(400, "BadRequest", "the namespace of the object is not that of the request")
        place = (namespace if kind.namespaced else "", metadata["name"])
        if place in self.objects[key]:
            raise ApiError(409, "AlreadyExists", f'{kind.plural} "{metadata["name"]}" already exists')
        self._validate(kind, obj)
        if "status" in kind.subresources:
            obj.pop("status", None)
        if kind.kind in _FIRST_STATUS:
            obj["status"] = copy.deepcopy(_FIRST_STATUS[kind.kind])
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp=now(), generation=1)
        self.objects[key][place] = obj
        self._tell("ADDED", key, obj)
        return obj

    def update(self, key: Key, old: Plain, new: Plain, sub: str | None = None) -> Plain:
        kind = self.kinds[key]
        if sub == "status":
            new = {**copy.deepcopy(old), "status": new.get("status") or {}}
        elif "status" in kind.subresources:
            new = {name: value for name, value in new.items() if name != "status"}
            new |= {"status": old["status"]} if "status" in old else {}
        new["metadata"] = {**new["metadata"], **{k: old["metadata"][k] for k in _KEPT if k in old["metadata"]}}
        given, held = new["metadata"].get("resourceVersion"), old["metadata"]["resourceVersion"]
        if given and given != held:
            raise ApiError(409, "Conflict", "the object has been modified")
        new["metadata"]["resourceVersion"] = held
        if new == old:
            return old
        self._validate(kind, new)
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        self.objects[key][_place(new)] = new
        self._tell("MODIFIED", key, new)
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            self._remove(key, new)
        return new

    def delete(self, key: Key, obj: Plain) -> None:
        if not obj["metadata"].get("finalizers"):
            self._remove(key, obj)
        elif not obj["metadata"].get("deletionTimestamp"):
            new = copy.deepcopy(obj)
            new["metadata"]["deletionTimestamp"] = now()
            self.objects[key][_place(new)] = new
            self._tell("MODIFIED", key, new)

    def _remove(self, key: Key, obj: Plain) -> None:
        if self.objects[key].pop(_place(obj), None) is None:
            return
        self._tell("DELETED", key, copy.deepcopy(obj))
        uid = obj["metadata"]["uid"]
        for other, objects in self.objects.items():
            for dependent in list(objects.values()):
                if any(owner.get("uid") == uid for owner in dependent["metadata"].get("ownerReferences", [])):
                    self.delete(other, dependent)

    def _tell(self, what: str, key: Key, obj: Plain) -> None:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self.log.append((self.version, what, key, copy.deepcopy(obj)))
        for event in self.waiting:
            event.set()

    def _validate(self, kind: Kind, obj: Plain) -> None:
        owners = obj["metadata"].get("ownerReferences", [])
        if sum(bool(owner.get("controller")) for owner in owners) > 1:
            raise ApiError(422, "Invalid", "only one owner can be the controller")
        if kind.schema is None:
            return
        fill_in(kind.schema, obj)
        content = {name: value for name, value in obj.items() if name != "metadata"}
        errors = list(jsonschema.Draft7Validator(kind.schema).iter_errors(content))
        if errors:
            where = "; ".join(f"{'.'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in errors[:5])
            raise ApiError(422, "Invalid", f'{kind.kind} "{obj["metadata"]["name"]}" is invalid: {where}')


def _place(obj: Plain) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
