"""Results of tasks whose workers may die in the meantime."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from distributed.scheduler import KilledWorker

from dhpo.data.unreadable import BlockUnreadable
from dhpo.errors import SearchFailed

__all__ = ["ATTEMPTS", "failed_to_read", "gather"]

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""To read or write what a search needs, before it fails."""

# Of one task, beyond those that Dask allows it: where workers die all the time, many a task is with them by chance.
_MORE_DEATHS = 4


def failed_to_read(error: BlockUnreadable, besides: str = "") -> SearchFailed:
    """The end of a search whose data cannot be read."""
    return SearchFailed(f"{error} (tried {ATTEMPTS} times){besides}")


async def gather(client: Any, tasks: Sequence[Any], doing: str) -> list[Any]:
    """The results of all tasks, each fetched when it is there: what is home is not lost with its worker.

    Without a deadline: blocks may take long to load. It is awaited under a `dhpo.watch.Watch`, which has one for
    clusters that are gone.

    Parameters
    ----------
    client : distributed.Client
    tasks : sequence of Future
    doing : str
        What the tasks do, for the error.

    Raises
    ------
    SearchFailed
        If workers keep dying with a task in hand, or a block cannot be read.
    """
    results = [asyncio.create_task(_result(client, task, doing)) for task in tasks]
    try:
        return await asyncio.gather(*results)
    finally:
        for result in results:
            result.cancel()


async def _result(client: Any, task: Any, doing: str) -> Any:
    deaths_left, attempts = _MORE_DEATHS, 1
    while True:
        try:
            return (await client.gather([task], asynchronous=True))[0]
        except BlockUnreadable as error:
            if attempts == ATTEMPTS:
                raise failed_to_read(error) from (error.original or error)
            logger.warning("%s: attempt %d of %d: %s", doing, attempts, ATTEMPTS, error)
            attempts += 1
            await client.retry([task], asynchronous=True)
        except KilledWorker as error:
            if not deaths_left:
                raise SearchFailed(
                    f"{doing}: the workers that do it die, again and again. Is there a block that takes more memory "
                    f"than a worker has, or that cannot be loaded?\n{error}"
                ) from error
            logger.warning("%s: beginning again what died with its workers: %s", doing, error)
            deaths_left -= 1
            await client.retry([task], asynchronous=True)
