"""The keys that clusters of all batch systems share."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import dask
from pydantic import Field, PlainValidator, model_validator

from clusters.config import ClusterConfig, Section
from clusters.kinds.jobqueue.walltime import Lifetime, Walltime, lifetime_of, parse_walltime
from clusters.values import Count, Name, Port, Seconds

__all__ = ["Folder", "JobConfig", "JobOptions", "Lines", "QueueOptions", "Word"]

# These end up in job scripts, where a shell and the batch system read them.
_PATH = re.compile(r"(~/|/|~$)[\w./+@=:,-]*")
_WORD = re.compile(r"[\w.][\w./+@=:,-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_MEMORY_PER_THREAD = 2 * 2**30


def _folder(value: Any) -> str:
    if not isinstance(value, str) or not _PATH.fullmatch(value):
        raise ValueError("expected an absolute path, or one below ~, without spaces and without what a shell reads")
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise ValueError("expected one word of letters, digits and ._-/+@=:, that does not start with '-'")
    return value


def _lines(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise ValueError("expected a list of lines")
    if not all(isinstance(line, str) and line.strip() and not any(c in line for c in "\0\r\n") for line in value):
        raise ValueError("expected lines of text, none of them empty")
    return tuple(value)


def _expanded(folder: str) -> Path:
    return Path(os.path.expandvars(folder)).expanduser()


def _environment_names(names: Iterable[str]) -> None:
    for name in names:
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"env: expected names that a shell knows, of letters, digits and _, and {name!r} is none")


def _words(python: str | None) -> None:
    try:
        words = shlex.split(python) if python is not None else [""]
    except ValueError as error:
        raise ValueError(f"python={python!r}: is no command: {error}") from None
    if not words:
        raise ValueError(f"python={python!r}: expected a command, such as 'apptainer exec image.sif python'")


Folder = Annotated[str, PlainValidator(_folder)]
Word = Annotated[str, PlainValidator(_word)]
Lines = Annotated[tuple[str, ...], PlainValidator(_lines)]


class JobOptions(Section):
    """The block of every batch system. What is not said comes from Dask's `jobqueue` configuration, if it is there."""

    host: Name | None = Field(
        default=None,
        description="name or address of this machine that jobs reach the scheduler at; by default that of its name",
    )
    interface: Word | None = Field(default=None, description="network interface of all processes, such as 'ib0'")
    port: Port = Field(default=0, description="port of the scheduler; 0 takes a free one")
    job_name: Word = Field(default="dask-worker", description="name of the jobs")
    prologue: Lines | None = Field(
        default=None, description="shell lines before the worker, such as 'module load gcc'; for secrets use env"
    )
    shared_directory: Folder | None = Field(
        default=None, description="a directory that jobs see too, for certificates and env; by default the home"
    )
    log_directory: Folder | None = Field(
        default=None, description="a directory that jobs see too, where their logs stay; by default they are removed"
    )
    local_directory: Folder | None = Field(default=None, description="fast disk of the nodes, for data that spills")
    death_timeout: Seconds = Field(
        default=60.0, description="a worker that is not up and at its scheduler after so long ends"
    )
    watch_every: Seconds = Field(
        default=15.0, description="how often jobs whose worker is missing are looked for in the queue"
    )

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if self.host is not None and self.interface is not None:
            raise ValueError(f"host={self.host!r} and interface={self.interface!r}: say one of them")
        return self


class QueueOptions(JobOptions):
    """The block of batch systems with queues and walltimes, which is all but HTCondor."""

    queue: Word | None = Field(default=None, description="the queue or partition of the jobs")
    account: Word | None = Field(default=None, description="the account or project that pays for the jobs")
    walltime: Walltime | None = Field(default=None, description="time limit of one job, such as '02:00:00'; 30 minutes")
    grace: Seconds | None = Field(
        default=None, description="time before its walltime at which a job is ended in good order; a tenth of it"
    )
    directives: Lines | None = Field(
        default=None, description="more lines of the job script's header, such as '--gres=gpu:1' for Slurm"
    )

    @model_validator(mode="after")
    def _time_to_work(self) -> Self:
        if self.walltime is not None:
            lifetime_of(self.walltime, self.grace)
        return self


class JobConfig(ClusterConfig):
    """A cluster whose workers are jobs, one worker each. Its scheduler runs in this process."""

    threads: Count = Field(default=1, description="threads of each worker, and cores of each job")

    unused = {"image": "say python='apptainer exec image.sif python'"}
    default_walltime: ClassVar[float] = 1800.0

    @property
    def options(self) -> JobOptions:
        """The block of the batch system."""
        options: JobOptions = getattr(self, self.kind)
        return options

    @model_validator(mode="after")
    def _jobs_can_have_it(self) -> Self:
        if self.workers is None:
            raise ValueError("workers: missing; number of jobs, or (fewest, most) to adapt between")
        _environment_names(self.env)
        _words(self.python)
        return self

    def of_the_site(self, key: str) -> Any:
        """What Dask's `jobqueue` configuration, which many sites provide, says of this batch system."""
        return dask.config.get(f"jobqueue.{self.kind}.{key}", None)

    @property
    def shared_folder(self) -> Path:
        """The directory that jobs see too."""
        return _expanded(self.options.shared_directory or self.of_the_site("shared-temp-directory") or "~")

    @property
    def log_folder(self) -> Path | None:
        """Where logs stay; None where they go with the cluster."""
        said = self.options.log_directory or self.of_the_site("log-directory")
        return _expanded(said) if said else None

    @property
    def interface(self) -> str | None:
        """The network interface that was named here, or by the site."""
        interface: str | None = self.options.interface or self.of_the_site("interface")
        return interface

    @property
    def job_memory(self) -> int | str:
        """What each job takes: as said here, by the site, or else 2 GiB for each thread."""
        return self.memory or self.of_the_site("memory") or self.threads * _MEMORY_PER_THREAD

    @property
    def walltime(self) -> float | None:
        """Seconds that each job may take; None where the batch system knows no limit.

        Raises
        ------
        ValueError
            If the site's is none.
        """
        options = self.options
        if not isinstance(options, QueueOptions):
            return None
        site = self.of_the_site("walltime")
        if options.walltime is not None or site is None:
            return options.walltime or self.default_walltime
        try:
            return parse_walltime(f"{site}:00" if self.kind == "lsf" else site)
        except ValueError as error:
            raise ValueError(f"jobqueue.{self.kind}.walltime={site!r} of Dask's configuration: {error}") from None

    @property
    def lifetime(self) -> Lifetime | None:
        """When workers begin to end."""
        options, walltime = self.options, self.walltime
        return lifetime_of(walltime, options.grace) if isinstance(options, QueueOptions) and walltime else None
