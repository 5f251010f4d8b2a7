"""The kind "pbs": workers are jobs of PBS. Its job scripts are tested, and no PBS is."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from clusters.kinds.jobqueue.kind import kind_of
from clusters.kinds.jobqueue.options import JobConfig, QueueOptions
from clusters.kinds.jobqueue.system import System
from clusters.values import Name

__all__ = ["KIND", "PbsConfig", "PbsOptions"]


class PbsOptions(QueueOptions):
    """The block of PBS."""

    resource_spec: Name | None = Field(
        default=None,
        description="resources of a job, such as 'select=1:ncpus=4:mem=8gb'; by default those of a worker",
    )


class PbsConfig(JobConfig):
    """A cluster whose workers are jobs of PBS."""

    kind: Literal["pbs"] = "pbs"
    pbs: PbsOptions = Field(default=PbsOptions(), description="what only PBS has")


def _arguments(options: PbsOptions) -> dict[str, Any]:
    return {"account": options.account, "resource_spec": options.resource_spec}


KIND = kind_of(
    PbsConfig,
    System(
        name="pbs",
        native="PBSCluster",
        submit="qsub",
        logs=lambda folder: [f"-e {folder}/", f"-o {folder}/"],
        arguments=_arguments,
    ),
)
