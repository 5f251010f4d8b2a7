"""The handle of a search that runs: its end is told whatever becomes of the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dhpo import SearchFailed, WorkersLost
from dhpo.history.history import History
from dhpo.search.run import Run


class Executor:
    """Runs a search that ends when it is told to, or raises at once."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.stopped = False

    def stop(self, at_once: bool = False) -> None:
        self.stopped = True

    async def run(self) -> None:
        if self.error is not None:
            raise self.error
        while not self.stopped:
            await asyncio.sleep(0.01)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    if loop.is_running():
        loop.call_soon_threadsafe(loop.stop)
    thread.join()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.close()


def start(loop: asyncio.AbstractEventLoop, error: BaseException | None = None) -> Run:
    client: Any = SimpleNamespace(asynchronous=False, dashboard_link=None, loop=SimpleNamespace(asyncio_loop=loop))
    return Run(client, Executor(error), History(), lambda executor, history: "the search", None)


def test_a_search_that_is_stopped_ends(loop):
    run = start(loop)
    with pytest.raises(TimeoutError, match=r"the search is still running after timeout=0\.05 s"):
        run.result(timeout=0.05)
    run.stop()
    assert run.result(timeout=30) == "the search"


def test_a_search_whose_event_loop_has_ended_is_not_waited_for(loop):
    run = start(loop)
    loop.call_soon_threadsafe(loop.stop)
    with pytest.raises(WorkersLost, match="the event loop of the client has ended, and the search with it"):
        run.result()
    run.stop()  # which is nothing to complain of
    assert run.done


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_what_the_users_code_raises_in_the_driver_ends_the_search_and_not_the_event_loop(loop, error):
    with pytest.raises(SearchFailed, match=type(error).__name__) as caught:
        start(loop, error).result(timeout=30)
    assert caught.value.__cause__ is error
    assert loop.is_running()


def test_an_exception_of_the_search_is_raised_as_it_is(loop):
    with pytest.raises(SearchFailed, match="as it is"):
        start(loop, SearchFailed("as it is")).result(timeout=30)
