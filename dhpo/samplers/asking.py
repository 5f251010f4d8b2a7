"""Asks a sampler for the next trials while threads are busy, so that none waits for it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from dhpo.samplers.base import Sampler

__all__ = ["Asking"]

# A thread that waits for less than this share of what a trial takes is not worth a report less.
_WORTH = 0.02
# Trials for each thread that are drawn before it is free: several threads may get free at once.
_AHEAD = 1 / 4


class Asking:
    """Asks a sampler at once, or in a thread of its own.

    Whoever has it asked in a thread tells the sampler nothing meanwhile, and notes what it gave before what it is told
    next: so what it gives rests on what it was asked and told before, in an order that can be repeated.

    Parameters
    ----------
    sampler : Sampler

    Attributes
    ----------
    task : asyncio.Task or None
        What is under way in a thread; to be awaited with other things.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._learns = bool(getattr(sampler, "learns", False))
        self._seconds = 0.0
        self._number = -1
        self.task: asyncio.Task[dict[str, Any]] | None = None

    @property
    def under_way(self) -> bool:
        """Whether the sampler is asked in a thread, and what it gave was not taken yet."""
        return self.task is not None

    def ask(self, number: int) -> dict[str, Any]:
        """Return the parameters of trial `number`, from this thread."""
        began = time.perf_counter()
        params = self._sampler.ask(number)
        self._seconds = (self._seconds + time.perf_counter() - began) / 2
        return params

    def n_ahead(self, n_threads: int, trial_seconds: float) -> int:
        """How many trials are worth to be drawn before there is a thread for them.

        Parameters
        ----------
        n_threads : int
            A single one gets what rests on all reports.
        trial_seconds : float
            That a trial takes until its first report.
        """
        if not self._learns or n_threads < 2 or self._seconds < _WORTH * trial_seconds:
            return 0
        return max(round(n_threads * _AHEAD), 1)

    def begin(self, number: int) -> None:
        """Have the sampler asked in a thread."""
        self._number = number
        self.task = asyncio.create_task(asyncio.to_thread(self.ask, number))

    def taken(self) -> tuple[int, dict[str, Any]] | None:
        """The number and the parameters of a trial that was asked for in a thread, once; None while there is none."""
        if self.task is None or not self.task.done():
            return None
        task, self.task = self.task, None
        return self._number, task.result()

    async def finish(self) -> None:
        """Wait for the thread."""
        if self.task is not None:
            await asyncio.wait([self.task])
