"""The kind "lsf": workers are jobs of LSF. Its job scripts are tested, and no LSF is."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from clusters.kinds.jobqueue.kind import kind_of
from clusters.kinds.jobqueue.options import JobConfig, QueueOptions
from clusters.kinds.jobqueue.system import System
from clusters.kinds.jobqueue.walltime import hours_and_minutes

__all__ = ["KIND", "LsfConfig", "LsfOptions"]


class LsfOptions(QueueOptions):
    """The block of LSF."""


class LsfConfig(JobConfig):
    """A cluster whose workers are jobs of LSF."""

    kind: Literal["lsf"] = "lsf"
    lsf: LsfOptions = Field(default=LsfOptions(), description="what only LSF has")


def _arguments(options: LsfOptions) -> dict[str, Any]:
    return {"project": options.account}


KIND = kind_of(
    LsfConfig,
    System(
        name="lsf",
        native="LSFCluster",
        submit="bsub",
        logs=lambda folder: [f"-e {folder}/%J.err", f"-o {folder}/%J.out"],
        arguments=_arguments,
        walltime=hours_and_minutes,
    ),
)
