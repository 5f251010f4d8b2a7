"""What makes a batch system a kind of cluster."""

from __future__ import annotations

from typing import TypeVar

from distributed.deploy import Cluster

from clusters.deadlines import Deadline
from clusters.errors import Problem
from clusters.kinds import Kind
from clusters.kinds.jobqueue.checks import find_problems
from clusters.kinds.jobqueue.options import JobConfig
from clusters.kinds.jobqueue.script import render_script
from clusters.kinds.jobqueue.start_up import start_jobs
from clusters.kinds.jobqueue.system import System

__all__ = ["kind_of"]

C = TypeVar("C", bound=JobConfig)


def kind_of(config: type[C], system: System) -> Kind[C]:
    """The kind of cluster of a batch system.

    Parameters
    ----------
    config : type
        The model of its configuration.
    system : System
        The batch system.
    """

    def render(config: C) -> str:
        kind.require()
        return render_script(config, system)

    def start(config: C, deadline: Deadline) -> Cluster:
        return start_jobs(config, system, deadline)

    def check(config: C) -> list[Problem]:
        return find_problems(config, system, config.within)

    kind = Kind(
        name=system.name,
        config=config,
        render=render,
        start=start,
        check=check,
        extra="jobqueue",
        needs=("dask_jobqueue",),
    )
    return kind
