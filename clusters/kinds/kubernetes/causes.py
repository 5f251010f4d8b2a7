"""Why a cluster is not there yet, read from what the API server knows of its parts. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clusters.errors import Problem

__all__ = ["Seen", "cause_of", "crashed_container"]

Plain = dict[str, Any]

# The kubelet tries these again for ever; nothing changes until somebody does something.
_BAD_IMAGE = ("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ErrImagePull")
_NOT_YET = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True)
class Seen:
    """What the API server knows of a cluster.

    Parameters
    ----------
    cluster : dict or None
        The DaskCluster, or DaskJob.
    deployments, pods, events : list of dict
        Those of the cluster.
    log : str
        The last lines of a container that crashes.
    """

    cluster: Plain | None
    deployments: list[Plain] = field(default_factory=list)
    pods: list[Plain] = field(default_factory=list)
    events: list[Plain] = field(default_factory=list)
    log: str = ""


def cause_of(seen: Seen) -> tuple[Problem, bool]:
    """What keeps the cluster from being there, and whether waiting is useless.

    Parameters
    ----------
    seen : Seen
        What the API server knows.

    Returns
    -------
    problem : Problem
        The cause, and the setting to change.
    final : bool
        Whether it will not pass by itself.
    """
    if seen.cluster is None:
        setting = "allow a longer idle_timeout= if it is shorter than the start, or see who deleted it"
        return Problem("the DaskCluster was deleted while it started", setting), True
    # The scheduler's first: without it, workers wait.
    pods = sorted(seen.pods, key=lambda pod: _role(pod) != "scheduler")
    for pod in pods:
        for status in _containers(pod):
            if found := _waiting(pod, status, seen.log):
                return found
    for deployment in seen.deployments:
        for condition in deployment.get("status", {}).get("conditions", []):
            if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
                return _refused(condition.get("message", "")), False
    for pod in pods:
        for condition in pod.get("status", {}).get("conditions", []):
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return _unschedulable(pod, condition), False
    if not seen.deployments:
        cause = f"the Dask operator did nothing with {seen.cluster['kind']} {seen.cluster['metadata']['name']}"
        return Problem(cause, "make sure that the operator runs and watches this namespace, and read its log"), False
    return _of_events(seen), False


def crashed_container(pods: list[Plain]) -> tuple[str, str] | None:
    """The pod and container whose log tells why it crashes, if one does."""
    for pod in pods:
        for status in _containers(pod):
            if _reason(status) == "CrashLoopBackOff":
                return pod["metadata"]["name"], status["name"]
    return None


def _containers(pod: Plain) -> list[Plain]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _reason(status: Plain) -> str:
    return str(status.get("state", {}).get("waiting", {}).get("reason", ""))


def _waiting(pod: Plain, status: Plain, log: str) -> tuple[Problem, bool] | None:
    reason, message = _reason(status), status.get("state", {}).get("waiting", {}).get("message", "")
    where = f"{_role(pod)} pod {pod['metadata']['name']}"
    if not reason or reason in _NOT_YET:
        return None
    if reason in _BAD_IMAGE:
        cause = f"{where}: {reason}: the image {status.get('image')!r} cannot be pulled: {message}"
        return Problem(cause, "change image=, or give pull_secrets="), reason != "ErrImagePull"
    if reason == "CrashLoopBackOff":
        ended = status.get("lastState", {}).get("terminated", {})
        why = f"exit code {ended.get('exitCode', 'unknown')}, {ended.get('reason', 'no reason')}"
        setting = "change image= or python=: they have to run distributed"
        if ended.get("reason") == "OOMKilled":
            setting = "give it more memory="
        return Problem(f"{where}: CrashLoopBackOff: its container ends with {why}; its log: {log}", setting), True
    setting = "see that the secrets and config maps that volumes= names have the keys it names"
    return Problem(f"{where}: {reason}: {message}", setting), False


def _refused(message: str) -> Problem:
    if "exceeded quota" in message:
        setting = "ask for less with memory=, threads= or workers=, or have the quota of the namespace raised"
        return Problem(f"the quota of the namespace is exceeded: {message}", setting)
    if "serviceaccount" in message:
        return Problem(f"pods cannot be made: {message}", "change service_account=")
    return Problem(f"pods cannot be made: {message}", "change what the message names; pod_fields= reaches all of a pod")


def _unschedulable(pod: Plain, condition: Plain) -> Problem:
    message = condition.get("message", "")
    setting = "ask for less with memory=, threads= or gpus=, or change node_selector= or tolerations="
    if "persistentvolumeclaim" in message.lower():
        setting = "change the claim that volumes= names"
    cause = f"no node takes the {_role(pod)} pod {pod['metadata']['name']}: {condition.get('reason')}: {message}"
    return Problem(cause, setting)


def _of_events(seen: Seen) -> Problem:
    warnings = [event for event in seen.events if event.get("type") == "Warning"]
    said = "; ".join(f"{event.get('reason')}: {event.get('message')}" for event in warnings[-3:])
    phases = ", ".join(f"{pod['metadata']['name']} is {pod.get('status', {}).get('phase')}" for pod in seen.pods)
    cause = f"pods do not become ready ({phases or 'there are none'})" + (f": {said}" if said else "")
    return Problem(cause, "allow more time with start_timeout=, or see the events of the namespace")


def _role(pod: Plain) -> str:
    return str(pod["metadata"].get("labels", {}).get("dask.org/component", "cluster's"))
