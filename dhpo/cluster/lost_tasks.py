"""Finds tasks that were sent, and that the scheduler does not know, or has put aside for good."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from dask.typing import Key

__all__ = ["ForgottenTasks"]

_LOOKS_SECONDS = 2.0
_ANSWER_SECONDS = 2.0
# Not known; or waiting for a worker, while there are workers.
_LOST_STATES = (None, "no-worker")


class ForgottenTasks:
    """Finds tasks that the scheduler has forgotten, or put aside, without a word to the client.

    A restart of the cluster clears all tasks. The client tells its futures when it begins; what is sent before it is
    over may be cleared as well, or wait for a worker also when all are there again, and its futures would be awaited
    for ever.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lost: set[Key] = set()
        self._looked = asyncio.get_running_loop().time()

    async def among(self, futures: Iterable[Any]) -> set[Key]:
        """The keys of those that were lost twice in a row: what was just sent may be on its way.

        To be asked only while there are workers that begin tasks.

        Parameters
        ----------
        futures : iterable of Future
            That are awaited.

        Returns
        -------
        set of key
            Empty where the scheduler is not asked, because it was a moment ago, or does not answer.
        """
        now = asyncio.get_running_loop().time()
        if now - self._looked < _LOOKS_SECONDS:
            return set()
        self._looked = now
        pending = [future.key for future in futures if future.status == "pending"]
        if not pending:
            return set()
        try:
            asking = self._client.scheduler.get_task_status(keys=pending)
            states = await asyncio.wait_for(asking, _ANSWER_SECONDS)
        except Exception:  # the watch finds out what is the matter with the scheduler
            return set()
        lost = {key for key in pending if states.get(key) in _LOST_STATES}
        found, self._lost = lost & self._lost, lost
        return found
