"""Deployments, quotas, the pod scheduler and the names of services: the loop that makes what is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os

from dask.utils import parse_bytes

from tests.clusters.kube.kubelet import PODS, Kubelet
from tests.clusters.kube.patching import Plain
from tests.clusters.kube.store import Key, Store

DEPLOYMENTS: Key = ("apps", "deployments")
SERVICES: Key = ("", "services")
_LOOK_SECONDS = 0.2


class Controllers:
    """Looks at everything whenever something changes.

    Parameters
    ----------
    store : Store
        The objects.
    kubelet : Kubelet
        Runs the pods.
    """

    def __init__(self, store: Store, kubelet: Kubelet) -> None:
        self.store = store
        self.kubelet = kubelet
        self._read = 0
        self._names: dict[tuple[str, str], Plain] = {}

    async def run(self) -> None:
        """Until cancelled."""
        changed = asyncio.Event()
        self.store.waiting.add(changed)
        while True:
            changed.clear()
            for deployment in list(self.store.objects[DEPLOYMENTS].values()):
                self._deploy(deployment)
            self._collect_garbage()
            self._schedule()
            self.kubelet.look()
            self._name_services()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), _LOOK_SECONDS)

    def _collect_garbage(self) -> None:
        """Delete what was made for an owner that was gone by then."""
        alive = {obj["metadata"]["uid"] for objects in self.store.objects.values() for obj in objects.values()}
        for key, objects in self.store.objects.items():
            for obj in list(objects.values()):
                owners = obj["metadata"].get("ownerReferences", [])
                if owners and not any(owner["uid"] in alive for owner in owners):
                    self.store.delete(key, obj)

    def _deploy(self, deployment: Plain) -> None:
        metadata = deployment["metadata"]
        pods = [
            pod
            for pod in self.store.list(PODS, metadata["namespace"])
            if any(owner["uid"] == metadata["uid"] for owner in pod["metadata"].get("ownerReferences", []))
        ]
        status: Plain = {"replicas": len(pods)}
        if len(pods) < deployment["spec"].get("replicas", 1):
            template = copy.deepcopy(deployment["spec"]["template"])
            owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"]}
            inner = {name: value for name, value in template["metadata"].items() if name != "name"}
            inner |= {"generateName": f"{metadata['name']}-", "ownerReferences": [{**owner, "controller": True}]}
            if refusal := self._refusal(metadata["namespace"], template["spec"]):
                message = f'pods "{metadata["name"]}-x" is forbidden: {refusal}'
                failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
                status["conditions"] = [failure]
            else:
                self.store.create(PODS, metadata["namespace"], {"metadata": inner, "spec": template["spec"]})
        if deployment["status"] != status:
            self.store.update(DEPLOYMENTS, deployment, {**deployment, "status": status}, "status")

    def _refusal(self, namespace: str, spec: Plain) -> str:
        used = self.store.list(PODS, namespace)
        for quota in self.store.list(("", "resourcequotas"), namespace):
            hard = quota["spec"]["hard"]
            memory = sum(_memory(pod["spec"]) for pod in used)
            if len(used) >= int(hard.get("pods", 1000)):
                return (
                    f"exceeded quota: {quota['metadata']['name']}, used: pods={len(used)}, limited: pods={hard['pods']}"
                )
            if "requests.memory" in hard and memory + _memory(spec) > parse_bytes(hard["requests.memory"]):
                return (
                    f"exceeded quota: {quota['metadata']['name']}, limited: requests.memory={hard['requests.memory']}"
                )
        return ""

    def _schedule(self) -> None:
        nodes = self.store.list(("", "nodes"))
        pods = self.store.list(PODS)
        for pod in pods:
            if pod["spec"].get("nodeName"):
                continue
            why = [self._unfit(pod, node, pods) for node in nodes]
            fit = next((node for node, reason in zip(nodes, why, strict=True) if not reason), None)
            if fit is not None:
                bound = {**pod, "spec": {**pod["spec"], "nodeName": fit["metadata"]["name"]}}
                pods = [self.store.update(PODS, pod, bound) if one is pod else one for one in pods]
                continue
            message = f"0/{len(nodes)} nodes are available: " + ", ".join(f"1 {reason}" for reason in why) + "."
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
            if pod["status"].get("conditions") != [condition]:
                status = {**pod["status"], "conditions": [condition]}
                self.store.update(PODS, pod, {**pod, "status": status}, "status")

    def _unfit(self, pod: Plain, node: Plain, pods: list[Plain]) -> str:
        for key, value in pod["spec"].get("nodeSelector", {}).items():
            if node["metadata"].get("labels", {}).get(key) != value:
                return "node(s) didn't match Pod's node affinity/selector"
        there = [one["spec"] for one in pods if one["spec"].get("nodeName") == node["metadata"]["name"]]
        if sum(map(_memory, [*there, pod["spec"]])) > parse_bytes(node["status"]["capacity"]["memory"]):
            return "Insufficient memory"
        return ""

    def _name_services(self) -> None:
        while self._read < len(self.store.log):
            _, what, key, service = self.store.log[self._read]
            self._read += 1
            if (what, key) == ("ADDED", SERVICES):
                self._names[service["metadata"]["name"], service["metadata"]["namespace"]] = service
        lines = []
        for (name, namespace), service in self._names.items():
            selector = ",".join(f"{key}={value}" for key, value in service["spec"].get("selector", {}).items())
            pods = self.store.list(PODS, namespace, selector)
            # A service has its name from the first moment on, and some time beyond its end: without one, the operator
            # would wait for a forwarded port, and do nothing else for minutes. It refuses while no pod is behind it.
            address = next((pod["status"]["podIP"] for pod in pods if "podIP" in pod["status"]), self.kubelet.nobody)
            full = f"{name}.{namespace}"
            lines.append(f"{address} {name} {full} {full}.svc {full}.svc.cluster.local\n")
        path = self.kubelet.folder / "hosts"
        if path.read_text() != "".join(lines):
            path.with_suffix(".new").write_text("".join(lines))
            os.replace(path.with_suffix(".new"), path)


def _memory(spec: Plain) -> int:
    amounts = [c.get("resources", {}).get("requests", {}).get("memory", "0") for c in spec["containers"]]
    return int(sum(parse_bytes(amount) for amount in amounts))
