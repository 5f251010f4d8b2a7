"""Deadlines, and waiting for workers until one."""

from __future__ import annotations

import time
from collections.abc import Callable

from distributed.deploy import Cluster

from clusters.errors import StartError

__all__ = ["Deadline", "wait_for_workers"]

_POLL_SECONDS = 0.05


class Deadline:
    """A point in time until which something has to be done.

    Parameters
    ----------
    seconds : float
        How far away it is.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then, never below 0."""
        return max(0.0, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether it has passed."""
        return self.left <= 0


def wait_for_workers(
    cluster: Cluster, number: int, deadline: Deadline, cause: Callable[[], str | None] = lambda: None
) -> None:
    """Wait until so many workers have reported to the scheduler.

    Parameters
    ----------
    cluster : distributed.deploy.Cluster
        The cluster.
    number : int
        How many workers to wait for.
    deadline : Deadline
        Until when.
    cause : callable
        Tells why workers are missing, where it is known; used for the message at the deadline.

    Raises
    ------
    StartError
        If they have not come in time, or if the scheduler is gone.
    """
    while (come := len(cluster.scheduler_info["workers"])) < number:
        if cluster.status.name not in ("running", "starting"):
            raise StartError(f"the scheduler ended while {number - come} workers were to come", "see its log")
        if deadline.over:
            known = cause()
            raise StartError(
                f"{come} of {number} workers came within {deadline.seconds:g} s" + (f" ({known})" if known else ""),
                "allow more time with start_timeout=, or ask for fewer with workers=",
            )
        time.sleep(_POLL_SECONDS)
