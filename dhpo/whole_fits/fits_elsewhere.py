"""Fits that are begun elsewhere, too, because their workers give no sign of life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dhpo.cluster.watchdog import REFRESH_SECONDS
from dhpo.cluster.workers import Workers
from dhpo.whole_fits.fit_job import CandidateSplit

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Elsewhere", "SentFits"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SentFits:
    """A task that was submitted, what it does, and where it may run: the arguments of `Workers.anywhere`."""

    future: Any
    works: list[CandidateSplit]
    where: Mapping[str, Any]


class Elsewhere:
    """Keeps fits away from workers that give no sign of life.

    Parameters
    ----------
    client : distributed.Client
    workers : Workers
    """

    def __init__(self, client: Client, workers: Workers) -> None:
        self._client = client
        self._workers = workers
        self._copied: set[Any] = set()  # keys of tasks
        self._asking: asyncio.Task[set[Any]] | None = None

    @property
    def all_silent(self) -> bool:
        """Whether no worker gives a sign of life."""
        return not self._workers.alive

    async def works_of_silent(self, running: Iterable[SentFits]) -> list[CandidateSplit]:
        """What silent workers have in hand, once: others that would idle do it, too, and what comes back first counts.

        Parameters
        ----------
        running : iterable of SentFits
        """
        silent = self._workers.silent
        if not silent or self.all_silent:
            return []
        if self._asking is None:
            self._asking = asyncio.create_task(self._tasks_of(sorted(silent)))
        # Briefly: what comes back meanwhile has to be taken in; it is looked at again in a moment.
        await asyncio.wait({self._asking}, timeout=REFRESH_SECONDS)
        if not self._asking.done():
            return []
        keys, self._asking = self._asking.result(), None
        found = []
        for sent in running:
            if sent.future.key in keys and sent.future.key not in self._copied:
                self._copied.add(sent.future.key)
                logger.info("%d fits of a worker that gives no sign of life are begun elsewhere", len(sent.works))
                found += sent.works
        return found

    async def _tasks_of(self, workers: list[str]) -> set[Any]:
        try:
            return {key for keys in (await self._client.processing(workers)).values() for key in keys}
        except Exception:  # the watch finds out what is the matter with the scheduler
            return set()

    def close(self) -> None:
        """Ask nobody any more."""
        if self._asking is not None:
            self._asking.cancel()
