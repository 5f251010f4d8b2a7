"""In what batch systems differ, as far as dask-jobqueue leaves it open."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from clusters.errors import Problem
from clusters.kinds.jobqueue.walltime import clock

__all__ = ["Directives", "Queue", "System"]

Directives = list[str] | dict[str, str]
"""Lines of a job script's header; HTCondor's are keys and values."""


class Queue(Protocol):
    """What can be asked of a batch system, beside what dask-jobqueue asks."""

    def problem(self, script: str, within: float) -> Problem | None:
        """Why the system would refuse a job script, asked of the system without submitting anything."""

    def explain(self, refusal: str) -> Problem:
        """A refusal of the system in our words: the cause, and the setting to change."""

    def states(self, within: float) -> dict[str, str] | None:
        """The state of each job of this user that waits or runs, by id; None where the system does not answer."""

    def stuck(self, state: str) -> Problem | None:
        """Why a job of this state will never start, where that shows."""

    def ending(self, job: str, within: float) -> str:
        """How a job ended, in few words."""


@dataclass(frozen=True)
class System:
    """A batch system.

    Parameters
    ----------
    name : str
        Name of the kind, which is also its section in Dask's `jobqueue` configuration.
    native : str
        Name of the cluster class of dask-jobqueue.
    submit : str
        The command that has to be there.
    logs : callable
        Directives that put the logs of jobs into a directory, under names that hold the id of the job.
    arguments : callable
        What else the class takes, from the options of the kind.
    directives : callable
        Directives for options of the kind that dask-jobqueue's class does not take.
    walltime : callable
        A walltime in seconds, in the words of the system.
    queue : Queue, optional
        What can be asked of it. Without, a job that fails before its worker came is told at the deadline only.
    """

    name: str
    native: str
    submit: str
    logs: Callable[[str], Directives]
    arguments: Callable[[Any], dict[str, Any]]
    directives: Callable[[Any], list[str]] = lambda options: []
    walltime: Callable[[float], str] = clock
    queue: Queue | None = None

    def explain(self, refusal: str) -> Problem:
        """Why a job was refused, and what to change."""
        if self.queue is not None:
            return self.queue.explain(refusal)
        return Problem(refusal, f"change what {self.submit} complains of")

    def states(self, jobs: Collection[str], within: float) -> dict[str, str] | None:
        """The state of those of the jobs that wait or run; None where that is not known."""
        known = self.queue.states(within) if self.queue is not None else None
        return None if known is None else {job: known[job] for job in jobs if job in known}
