"""Asks a sampler for the next trials while threads are busy, so that none waits for it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from typing import Any

from dhpo.errors.user_code import is_harmless, said
from dhpo.samplers.base import Sampler

__all__ = ["Asking"]

logger = logging.getLogger(__name__)

# A thread that waits for less than this share of what a trial takes is not worth a report less.
_WORTH = 0.02
# At the end of a search, a sampler that still thinks is waited for as long.
_LAST_SECONDS = 5.0
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
    task : asyncio.Future or None
        What is under way in a thread; to be awaited with other things.
    given_up : bool
        Whether the search ended before the sampler had answered. It may be in its thread still, so it is to be told
        nothing any more.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._learns = bool(getattr(sampler, "learns", False))
        self._seconds = 0.0
        self._number = -1
        self.task: asyncio.Future[dict[str, Any] | BaseException] | None = None
        self.given_up = False

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
        loop = asyncio.get_running_loop()
        future: asyncio.Future[dict[str, Any] | BaseException] = loop.create_future()
        # No thread of a pool, which Python would wait for at its end, were it for ever.
        threading.Thread(target=self._ask_for, args=(loop, future), name="dhpo-sampler", daemon=True).start()
        self.task = future

    def _ask_for(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> None:
        answer: dict[str, Any] | BaseException
        try:
            answer = self.ask(self._number)
        except BaseException as error:
            answer = error
            if not is_harmless(error):  # it would end the event loop, or never come out of it
                answer = RuntimeError(f"the sampler raised {said(error)}")
                answer.__cause__ = error
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(_answer, future, answer)

    def taken(self) -> tuple[int, dict[str, Any]] | None:
        """The number and the parameters of a trial that was asked for in a thread, once; None while there is none.

        Raises
        ------
        Exception
            That the sampler has raised.
        """
        if self.task is None or not self.task.done():
            return None
        task, self.task = self.task, None
        answer = task.result()
        if isinstance(answer, BaseException):
            raise answer
        return self._number, answer

    async def finish(self) -> None:
        """Wait for the thread for some seconds, for what a search has found is worth more than its next trial."""
        if self.task is not None:
            await asyncio.wait([self.task], timeout=_LAST_SECONDS)
            if not self.task.done():
                logger.warning("the sampler did not answer for trial %d; the search ends without it", self._number)
                self.task, self.given_up = None, True


def _answer(future: asyncio.Future[Any], answer: Any) -> None:
    if not future.done():
        future.set_result(answer)
