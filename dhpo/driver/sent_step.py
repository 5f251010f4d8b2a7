"""A step that was sent to a worker, and what is said of one that is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dask.typing import Key

from dhpo.driver.step_planning import Assignment
from dhpo.worker.breadcrumbs import Crumb
from dhpo.worker.messages import Step

__all__ = ["SentStep", "StepLost"]


class StepLost(Exception):
    """The worker of a step is gone.

    Parameters
    ----------
    crumb : Crumb or None
        What the step was about to do; None if nobody knows.
    """

    def __init__(self, crumb: Crumb | None) -> None:
        super().__init__(f"the worker of a step is gone; it was about to: {crumb}")
        self.crumb = crumb


@dataclass(slots=True)
class SentStep:
    """A step that was submitted.

    Parameters
    ----------
    name : str
    assignment : Assignment
    step : Step
    future : distributed.Future
    crumb : Crumb or None
        What it was last seen to do.
    since : float
        When it was first seen to do that.
    number : int
        Of the step; a copy of it has the same.
    futures : mapping of key to Future
        Data on the cluster that its blocks need.
    idle_since : float
        Since when its thread may have had nothing to do.
    silent, was_silent : bool
        Whether its worker gives no sign of life, and whether there was a time when it gave none.
    suspected : bool
        Whether a copy of it was given up because its worker was silent for too long: no other gets a copy then.
    asking : asyncio.Task or None
        Asks the worker what it does, where the driver does not see it.
    """

    name: str
    assignment: Assignment
    step: Step
    future: Any
    crumb: Crumb | None
    since: float
    number: int
    futures: Mapping[Key, Any]
    idle_since: float
    silent: bool = False
    was_silent: bool = False
    suspected: bool = False
    asking: asyncio.Task[Crumb | None] | None = None

    @property
    def start(self) -> int:
        """Calls of the model that was furthest behind."""
        return min(work.start for work in self.step.works)
