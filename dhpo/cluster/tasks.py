"""Tasks that any worker may run, and their results, whose workers may die or fall silent in the meantime."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from dask.typing import Key
from distributed.scheduler import KilledWorker

from dhpo.cluster.lost_tasks import ForgottenTasks
from dhpo.cluster.workers import Workers
from dhpo.data.read_errors import BlockUnreadable
from dhpo.errors import SearchFailed
from dhpo.errors.user_code import is_harmless, said

__all__ = ["ATTEMPTS", "AnyWorkerClient", "Task", "bring_home", "failed_to_read", "fetch", "gather"]

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""To read or write what a search needs, before it fails."""

# Of one task, beyond those that Dask allows it: where workers die all the time, many a task is with them by chance.
_MORE_DEATHS = 4
# Of one task that are awaited at once, where it is lost again and again.
_MOST_ATTEMPTS = 5
# Between two looks at what silent workers have in hand.
_LOOKS_SECONDS = 0.5


async def fetch(client: Any, future: Any) -> Any:
    """The result of a future; whoever awaits it may be cancelled at any time.

    Dask joins fetches that are due at the same time. One that is cancelled just then is joined by all later ones of its
    client for ever, which are cancelled therefore, too. So a fetch that has begun goes on, also if nobody waits for it.

    Parameters
    ----------
    client : distributed.Client
    future : distributed.Future
    """
    await future.exception(asynchronous=True)  # until there is something to fetch
    fetching = asyncio.ensure_future(client.gather([future], asynchronous=True))
    fetching.add_done_callback(_seen)
    return (await asyncio.shield(fetching))[0]


async def bring_home(client: Any, future: Any) -> Any:
    """The result of a future, which no worker holds from then on: Dask would spill it where memory is tight.

    Parameters
    ----------
    client : distributed.Client
    future : distributed.Future
        Which nobody else wants.
    """
    result = await fetch(client, future)
    future.release()
    return result


def failed_to_read(error: BlockUnreadable, besides: str = "") -> SearchFailed:
    """The end of a search whose data cannot be read."""
    return SearchFailed(f"{error} (tried {ATTEMPTS} times){besides}")


class Task:
    """A task that gives the same result wherever, and however often, it runs.

    Parameters
    ----------
    futures : sequence of Future
        What was submitted for it: its result is that of the last, which depends on the others.
    again : callable, optional
        Submits it once more, given arguments that say where, and returns its futures; None where that cannot be.
    where : mapping, optional
        The arguments that said where at first.

    Attributes
    ----------
    futures : sequence of Future
        Once the result is there, those that it came from, without its own.
    """

    def __init__(
        self,
        futures: Sequence[Any],
        again: Callable[..., Sequence[Any]] | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> None:
        self.futures = futures
        self.again = again
        self.where = where or {}
        self.attempts: dict[asyncio.Task[Any], Sequence[Any]] = {}


class AnyWorkerClient:
    """What a client does for tasks that any worker may run, and that a search cannot go on without.

    Parameters
    ----------
    client : distributed.Client
    workers : Workers
        Refreshed by a `dhpo.cluster.watchdog.Watch` while results are awaited.
    """

    def __init__(self, client: Any, workers: Workers) -> None:
        self.client = client
        self.workers = workers

    def submit(self, function: Callable[..., Any], *args: Any, **options: Any) -> Task:
        """Submit a function, as a client does."""
        return self.send(lambda **where: [self.client.submit(function, *args, **options, **where)])

    def send(self, submit: Callable[..., Sequence[Any]]) -> Task:
        """Have several tasks submitted that depend on each other, the last of which has the result.

        Parameters
        ----------
        submit : callable
            Passes its arguments on to the client's `submit`, and returns the futures.
        """
        where = self.workers.anywhere()
        return Task(submit(**where), submit, where)


async def gather(
    client: AnyWorkerClient,
    tasks: Sequence[Task],
    doing: str,
    more_deaths: int = _MORE_DEATHS,
    came: Callable[[Any], None] | None = None,
) -> list[Any]:
    """The results of all tasks, each fetched when it is there: what is home is not lost with its worker.

    What a worker has in hand that gives no sign of life goes to another, too, once: if it is the task itself that
    silences its workers, it is not to silence all of them. What comes back first counts.

    Without a deadline: blocks may take long to load. It is awaited under a `dhpo.cluster.watchdog.Watch`, which has one
    for clusters that are gone.

    Parameters
    ----------
    client : AnyWorkerClient
    tasks : sequence of Task
    doing : str
        What the tasks do, for the error.
    more_deaths : int
        Of workers with one task in hand, beyond those that Dask allows.
    came : callable, optional
        Is given each result when it is there.

    Raises
    ------
    SearchFailed
        If workers keep dying with a task in hand, or a block cannot be read.
    """
    gathering = _Gathering(client, partial(_result, client.client, doing=doing, more_deaths=more_deaths), doing)
    results = [gathering.begin(task) for task in tasks]
    if came is not None:
        for result in results:
            result.add_done_callback(partial(_pass_on, came))
    copying = asyncio.create_task(gathering.copy_silent())
    try:
        return await asyncio.gather(*results)
    except BaseException:
        gathering.give_up_all()
        raise
    finally:
        copying.cancel()


class _Gathering:
    """The results that are yet to come."""

    def __init__(self, client: AnyWorkerClient, result: Callable[..., Coroutine[Any, Any, Any]], doing: str) -> None:
        self._client = client
        self._result = result
        self._doing = doing
        self._waiting: dict[Task, asyncio.Future[Any]] = {}
        self._forgotten = ForgottenTasks(client.client)

    def begin(self, task: Task) -> asyncio.Future[Any]:
        result = self._waiting[task] = asyncio.get_running_loop().create_future()
        self._await(task, task.futures)
        return result

    def _await(self, task: Task, futures: Sequence[Any]) -> None:
        attempt = asyncio.create_task(self._result(futures[-1]))
        task.attempts[attempt] = futures
        attempt.add_done_callback(lambda attempt: self._came_back(task, attempt))

    def _came_back(self, task: Task, attempt: asyncio.Task[Any]) -> None:
        futures = task.attempts.pop(attempt, None)
        error = asyncio.CancelledError() if attempt.cancelled() else attempt.exception()
        result = self._waiting.pop(task, None)
        if result is None or result.done() or futures is None:
            return  # another came back before, or nobody waits any more
        task.futures = futures[:-1]  # what is home is held by no worker; see `bring_home`
        self._give_up(task)
        if error is None:
            result.set_result(attempt.result())
        elif isinstance(error, asyncio.CancelledError):
            result.cancel()
        else:
            result.set_exception(error)

    def _give_up(self, task: Task) -> None:
        """Want no more of what is under way for a task."""
        if task.again is None:  # it may be wanted by others
            for attempt in task.attempts:
                attempt.cancel()
            return
        # Only the futures: what is awaited inside of Dask would complain of an exception that nobody retrieves.
        futures = [future for futures in task.attempts.values() for future in futures]
        if futures and self._client.client.status == "running":
            cancelling = self._client.client.cancel(futures, asynchronous=True, force=True)
            asyncio.ensure_future(cancelling).add_done_callback(_seen)

    def give_up_all(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for task in waiting:
            self._give_up(task)

    async def copy_silent(self) -> None:
        """Send what silent workers have in hand to others, too, and what nobody can begin; until it is cancelled."""
        workers = self._client.workers
        while True:
            await asyncio.sleep(_LOOKS_SECONDS)
            silent = workers.silent
            if not workers.alive:
                continue
            self._send_stranded()
            await self._send_forgotten()
            if not silent:
                continue
            client = self._client.client
            try:
                in_hand = [await client.processing(sorted(silent)), await client.has_what(sorted(silent))]
            except Exception:  # the watch finds out what is the matter with the scheduler
                continue
            self._copy({key for by_worker in in_hand for keys in by_worker.values() for key in keys})

    def _send_stranded(self) -> None:
        """Send tasks to others that wait for workers that are gone."""
        for task in [task for task in self._waiting if task.again and self._client.workers.is_stranded(task.where)]:
            logger.info("%s: a task that waits for workers that are gone goes elsewhere", self._doing)
            self._send_again(task)

    async def _send_forgotten(self) -> None:
        """Send tasks anew that were cleared with a restart of the cluster."""
        latest = {
            list(task.attempts.values())[-1][-1]: task
            for task in self._waiting
            if task.again and 0 < len(task.attempts) < _MOST_ATTEMPTS
        }
        keys = await self._forgotten.among(latest)
        for task in [task for future, task in latest.items() if future.key in keys and task in self._waiting]:
            logger.info("%s: a task that the scheduler has forgotten is sent again", self._doing)
            self._send_again(task)

    def _send_again(self, task: Task) -> None:
        if task.again is not None:
            task.where = self._client.workers.anywhere()
            # Not before what is under way: the worker may only be in one long call.
            self._await(task, task.again(**task.where, priority=-1))

    def _copy(self, in_hand: set[Key]) -> None:
        for task in list(self._waiting):
            if task.again is None or len(task.attempts) != 1:
                continue
            ((attempt, futures),) = task.attempts.items()
            # Results that are there, and do not come, may be fetched together with one of such a worker.
            there = futures[-1].status == "finished"
            if not attempt.done() and (there or in_hand & {future.key for future in futures}):
                logger.info("%s: a task of a worker that gives no sign of life goes elsewhere, too", self._doing)
                self._send_again(task)


def _pass_on(came: Callable[[Any], None], result: asyncio.Future[Any]) -> None:
    if not result.cancelled() and result.exception() is None:
        came(result.result())


def _seen(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()


async def _result(client: Any, future: Any, *, doing: str, more_deaths: int) -> Any:
    deaths_left, attempts = more_deaths, 1
    while True:
        try:
            return await _harmless(client, future)
        except BlockUnreadable as error:
            if attempts == ATTEMPTS:
                raise failed_to_read(error) from (error.original or error)
            logger.warning("%s: attempt %d of %d: %s", doing, attempts, ATTEMPTS, error)
            attempts += 1
            await client.retry([future], asynchronous=True)
        except KilledWorker as error:
            if not deaths_left:
                raise SearchFailed(
                    f"{doing}: the workers that do it die, again and again. A block may take more memory than a "
                    f"worker has: use smaller chunks, or give workers more memory.\n{error}"
                ) from error
            logger.warning("%s: beginning again what died with its workers: %s", doing, error)
            deaths_left -= 1
            await client.retry([future], asynchronous=True)


async def _harmless(client: Any, future: Any) -> Any:
    error = await future.exception(asynchronous=True)
    if error is not None and not is_harmless(error):  # of what the user has computed himself
        raise RuntimeError(said(error)) from error
    return await fetch(client, future)
