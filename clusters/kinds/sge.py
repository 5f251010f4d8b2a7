"""The kind "sge": workers are jobs of SGE. Its job scripts are tested, and no SGE is."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from clusters.kinds.jobqueue.kind import kind_of
from clusters.kinds.jobqueue.options import JobConfig, QueueOptions
from clusters.kinds.jobqueue.system import System
from clusters.values import Name

__all__ = ["KIND", "SgeConfig", "SgeOptions"]


class SgeOptions(QueueOptions):
    """The block of SGE."""

    resource_spec: Name | None = Field(
        default=None, description="resources of a job, such as 'h_vmem=8G'; without it SGE knows nothing of memory"
    )


class SgeConfig(JobConfig):
    """A cluster whose workers are jobs of SGE."""

    kind: Literal["sge"] = "sge"
    sge: SgeOptions = Field(default=SgeOptions(), description="what only SGE has")


def _arguments(options: SgeOptions) -> dict[str, Any]:
    return {"project": options.account, "resource_spec": options.resource_spec}


KIND = kind_of(
    SgeConfig,
    System(
        name="sge",
        native="SGECluster",
        submit="qsub",
        logs=lambda folder: [f"-e {folder}/", f"-o {folder}/"],
        arguments=_arguments,
    ),
)
