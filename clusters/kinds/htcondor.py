"""The kind "htcondor": workers are jobs of HTCondor. Its job scripts are tested, and no HTCondor is."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from clusters.kinds.jobqueue.kind import kind_of
from clusters.kinds.jobqueue.options import JobConfig, JobOptions
from clusters.kinds.jobqueue.system import System
from clusters.values import Bytes

__all__ = ["KIND", "HtcondorConfig", "HtcondorOptions"]

_DISK = 2**30


class HtcondorOptions(JobOptions):
    """The block of HTCondor, which knows no queues, and no walltime after which it would end a job."""

    disk: Bytes | None = Field(default=None, description="disk of each job, such as '4GiB'; by default 1 GiB")
    directives: dict[str, str] | None = Field(
        default=None, description="more of the submit description, as {'Requirements': 'OpSysMajorVer == 9'}"
    )


class HtcondorConfig(JobConfig):
    """A cluster whose workers are jobs of HTCondor."""

    kind: Literal["htcondor"] = "htcondor"
    htcondor: HtcondorOptions = Field(default=HtcondorOptions(), description="what only HTCondor has")


def _arguments(options: HtcondorOptions) -> dict[str, Any]:
    return {"disk": str(options.disk or _DISK)}


def _logs(folder: str) -> dict[str, str]:
    files = {name: f"{folder}/$(ClusterId).$(ProcId).{name[:3].lower()}" for name in ("Output", "Error", "Log")}
    return files | {"Stream_Output": "True", "Stream_Error": "True"}


KIND = kind_of(
    HtcondorConfig,
    System(name="htcondor", native="HTCondorCluster", submit="condor_submit", logs=_logs, arguments=_arguments),
)
