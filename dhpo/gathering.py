"""Results of tasks whose workers may die in the meantime."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from distributed.scheduler import KilledWorker

from dhpo.errors import SearchFailed

__all__ = ["gather"]

logger = logging.getLogger(__name__)

# Beyond those that Dask itself allows a task. Where workers die all the time many a task is with them by chance.
_MORE_DEATHS = 4


async def gather(client: Any, tasks: Sequence[Any], doing: str) -> list[Any]:
    """The results of all tasks, of which some are begun again when Dask has given them up.

    Parameters
    ----------
    client : distributed.Client
    tasks : sequence of Future
    doing : str
        What the tasks do, for the error.

    Raises
    ------
    SearchFailed
        If workers keep dying with a task in hand.
    """
    deaths_left = _MORE_DEATHS
    while True:
        try:
            results: list[Any] = await client.gather(tasks, asynchronous=True)
        except KilledWorker as error:
            if not deaths_left:
                raise SearchFailed(
                    f"{doing}: the workers that do it die, again and again. Is there a block that takes more memory "
                    f"than a worker has, or that cannot be loaded?\n{error}"
                ) from error
            logger.warning("%s: beginning again what died with its workers: %s", doing, error)
            deaths_left -= 1
            await client.retry([task for task in tasks if task.status == "error"], asynchronous=True)
        else:
            return results
