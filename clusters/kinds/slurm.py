"""The kind "slurm": workers are jobs of Slurm."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from clusters.kinds.jobqueue.kind import kind_of
from clusters.kinds.jobqueue.options import JobConfig, QueueOptions, Word
from clusters.kinds.jobqueue.slurm_queue import SlurmQueue
from clusters.kinds.jobqueue.system import System

__all__ = ["KIND", "SlurmConfig", "SlurmOptions"]


class SlurmOptions(QueueOptions):
    """The block of Slurm."""

    qos: Word | None = Field(default=None, description="the quality of service of the jobs")


class SlurmConfig(JobConfig):
    """A cluster whose workers are jobs of Slurm."""

    kind: Literal["slurm"] = "slurm"
    slurm: SlurmOptions = Field(default=SlurmOptions(), description="what only Slurm has")


def _arguments(options: SlurmOptions) -> dict[str, Any]:
    return {"account": options.account}


def _directives(options: SlurmOptions) -> list[str]:
    return [] if options.qos is None else [f"--qos={options.qos}"]


KIND = kind_of(
    SlurmConfig,
    System(
        name="slurm",
        native="SLURMCluster",
        submit="sbatch",
        logs=lambda folder: [f"--output={folder}/%j.out", f"--error={folder}/%j.err"],
        arguments=_arguments,
        directives=_directives,
        queue=SlurmQueue(),
    ),
)
