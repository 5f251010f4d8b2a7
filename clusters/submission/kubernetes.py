"""Scripts that run as a DaskJob of the Dask operator: in a pod, with a cluster of their own that ends with it.

The script travels in a ConfigMap. Its pod keeps no files: what is to stay it writes to a volume, or to a URL.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from clusters.errors import StartError, SubmissionError
from clusters.event_loops import in_own_loop
from clusters.kinds import kind_named
from clusters.kinds.kubernetes import KubernetesConfig, job_manifest, submit_job
from clusters.kinds.kubernetes.api import Refused, Server
from clusters.kinds.kubernetes.manifests import DASK_API
from clusters.submission.backend import Backend, State, Status
from clusters.submission.channels import Channel, Take
from clusters.submission.package import Package
from clusters.submission.records import SubmissionRecord

__all__ = ["BACKEND"]

_STATES: dict[str, State] = {"Running": "running", "Successful": "done", "Failed": "failed"}
_TAIL_LINES = 20
_POLL_SECONDS = 1.0


class KubernetesBackend(Backend):
    """Jobs of the Dask operator."""

    same_files = False

    def channel(self, config: KubernetesConfig) -> Channel:
        """None: there is no folder to reach."""
        raise SubmissionError("the pod of a job keeps no files", _INSTEAD)

    def place(self, config: KubernetesConfig) -> str:
        """The namespace."""
        namespace = config.kubernetes.namespace
        return f"Kubernetes, namespace {namespace}" if namespace else "Kubernetes"

    def python(self, config: KubernetesConfig) -> list[str]:
        """The Python of the image."""
        return [config.python or "python"]

    def folder(self, config: KubernetesConfig, name: str, workdir: str | None) -> str:
        """The pod, in the place of a folder."""
        if workdir is not None:
            raise SubmissionError(f"workdir={workdir!r}: the pod of a job keeps no files", _INSTEAD)
        return f"pod {name}-runner"

    def check_package(self, package: Package) -> None:
        """Refuse files, and what else a job has not."""
        super().check_package(package)
        _text(package)
        if package.files:
            raise SubmissionError(
                f"file={str(package.files[0])!r}: only the script travels", "put it into the image or a volume"
            )
        _named(package)

    def render(self, package: Package) -> str:
        """The manifests, secrets left out."""
        self.check_package(package)
        manifests = job_manifest(_named(package), list(package.arguments), package.name, _text(package))
        # Copied, so that what stands in two places is written twice.
        return str(yaml.safe_dump_all(json.loads(json.dumps(manifests)), sort_keys=False))

    def submit(self, package: Package) -> tuple[str, dict[str, Any]]:
        """Hand it to the operator."""
        self.check_package(package)
        kind_named("kubernetes").require()
        submit_job(_named(package), list(package.arguments), _text(package))
        return package.folder, {"cancelled": False}

    def resume(self, record: SubmissionRecord, config: KubernetesConfig) -> NoReturn:
        """Refuse: what it needs is not kept, for it holds secrets."""
        raise SubmissionError(
            "a job of Kubernetes is not started again",
            "submit the script anew; with its journal on a volume it goes on",
        )

    def status(self, record: SubmissionRecord, config: KubernetesConfig) -> Status:
        """What the operator and the pod tell."""
        return in_own_loop(_status(config, record))

    def logs(self, record: SubmissionRecord, config: KubernetesConfig, follow: bool, take: Take) -> None:
        """Read the log of the pod; while it is followed, what has come since is asked for again and again."""
        taken = 0
        while True:
            over = not follow or self.status(record, config).over
            log = in_own_loop(_whole_log(config, record.name)).encode()
            take(log[taken:])
            taken = max(taken, len(log))
            if over:
                return
            time.sleep(_POLL_SECONDS)

    def cancel(self, record: SubmissionRecord, config: KubernetesConfig) -> bool:
        """Delete the job, and with it all of its pods."""
        if self.status(record, config).over:
            return False
        in_own_loop(_delete(config, record.name))
        record.facts["cancelled"] = True
        record.save()
        return True

    def fetch(self, record: SubmissionRecord, config: KubernetesConfig, take: Take) -> NoReturn:
        """Refuse: its files went with the pod."""
        raise SubmissionError("the pod of a job keeps no files", _INSTEAD)

    def remove(self, record: SubmissionRecord, config: KubernetesConfig) -> None:
        """Delete what is left of the job."""
        if not self.status(record, config).over:
            raise SubmissionError(f"job {record.name} runs", "cancel it first")
        in_own_loop(_delete(config, record.name))


_INSTEAD = "let the script write to a volume of volumes= and mounts=, or to a URL"


def _named(package: Package) -> KubernetesConfig:
    """The configuration with the name of the submission."""
    config: KubernetesConfig = package.config
    options = config.kubernetes
    if options.name not in (None, package.name):
        raise SubmissionError(f"name={package.name!r}: the cluster has the name {options.name!r}", "make them equal")
    try:
        named = type(options).model_validate({**options.model_dump(exclude_unset=True), "name": package.name})
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SubmissionError(f"name={package.name!r}", said) from None
    return config.model_copy(update={"kubernetes": named})


def _text(package: Package) -> str:
    """The text of the script, which a ConfigMap can hold."""
    try:
        return package.script.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SubmissionError(f"script={str(package.script)!r}: cannot be read: {error}", "write it in UTF-8") from None


async def _reached(config: KubernetesConfig) -> Server:
    options = config.kubernetes
    return await Server.reach(options.kubeconfig, options.context, options.namespace, config.start_timeout)


async def _status(config: KubernetesConfig, record: SubmissionRecord) -> Status:
    server = await _reached(config)
    try:
        job = await server.get(DASK_API, "daskjobs", record.name)
        if job is None:
            return Status("cancelled" if record.facts.get("cancelled") else "lost")
        pod = await server.get("v1", "pods", f"{record.name}-runner") or {}
        log = await _log(server, record.name)
    except Refused as error:
        raise SubmissionError(f"the API server refused: {error}", "change what the message names") from error
    finally:
        await server.aclose()
    told = job.get("status", {}).get("jobStatus", "")
    containers = pod.get("status", {}).get("containerStatuses") or [{}]
    ended = containers[0].get("state", {}).get("terminated") or {}
    state = _STATES.get(told, "waiting")
    return Status(
        state,
        ended.get("exitCode") if state in ("done", "failed") else None,
        _seconds(ended.get("startedAt") or pod.get("status", {}).get("startTime")),
        _seconds(ended.get("finishedAt")),
        "\n".join(log.splitlines()[-_TAIL_LINES:]),
        told if state == "waiting" else "",
    )


async def _whole_log(config: KubernetesConfig, name: str) -> str:
    server = await _reached(config)
    try:
        return await _log(server, name)
    finally:
        await server.aclose()


async def _log(server: Server, name: str) -> str:
    import httpx
    import kr8s

    base, _, last = server.path("v1", "pods", f"{name}-runner", "log").rpartition("/")
    try:
        # Not by Server.call: a log may look like JSON.
        async with server.client.call_api("GET", version="", base=base, url=last) as response:
            return str(response.text)
    except kr8s.ServerError as error:
        # There is no pod yet, or its container has not started, or it is gone.
        if error.response is not None and error.response.status_code in (400, 404):
            return ""
        raise StartError(f"the API server refused the log: {error}", "grant `get` for pods/log") from error
    except (httpx.HTTPError, OSError, kr8s.APITimeoutError) as error:
        raise StartError(f"the API server does not answer: {error}", "try again") from error


async def _delete(config: KubernetesConfig, name: str) -> None:
    server = await _reached(config)
    try:
        await server.delete(DASK_API, "daskjobs", name)
    except Refused as error:
        raise SubmissionError(f"the API server refused: {error}", "change what the message names") from error
    finally:
        await server.aclose()


def _seconds(moment: str | None) -> float | None:
    return datetime.fromisoformat(moment).timestamp() if moment else None


BACKEND = KubernetesBackend()
