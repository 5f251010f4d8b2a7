"""The kind "oar": workers are jobs of OAR. Its job scripts are tested, and no OAR is."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from clusters.kinds.jobqueue.kind import kind_of
from clusters.kinds.jobqueue.options import JobConfig, QueueOptions, Word
from clusters.kinds.jobqueue.system import System
from clusters.values import Name

__all__ = ["KIND", "OarConfig", "OarOptions"]


class OarOptions(QueueOptions):
    """The block of OAR."""

    resource_spec: Name | None = Field(
        default=None, description="resources of a job, such as '/nodes=1/core=4'; by default the cores of one worker"
    )
    memory_property: Word | None = Field(
        default=None,
        description="OAR's property for a core's memory, such as 'memcore'; without it OAR knows none",
    )


class OarConfig(JobConfig):
    """A cluster whose workers are jobs of OAR."""

    kind: Literal["oar"] = "oar"
    oar: OarOptions = Field(default=OarOptions(), description="what only OAR has")


def _arguments(options: OarOptions) -> dict[str, Any]:
    return {
        "project": options.account,
        "resource_spec": options.resource_spec,
        "memory_per_core_property_name": options.memory_property or "not_applicable",
    }


KIND = kind_of(
    OarConfig,
    System(
        name="oar",
        native="OARCluster",
        submit="oarsub",
        logs=lambda folder: [f"-O {folder}/%jobid%.out", f"-E {folder}/%jobid%.err"],
        arguments=_arguments,
    ),
)
