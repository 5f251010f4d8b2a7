"""The handle of a search that runs: its end is told whatever becomes of the event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dhpo import SearchFailed, WorkersLost
from dhpo.history.history import History
from dhpo.search.run import Run


class Executor:
    """Runs a search that ends when it is told to, unless it is deaf, or raises at once."""

    def __init__(
        self, error: BaseException | None = None, error_at_end: BaseException | None = None, deaf: bool = False
    ) -> None:
        self.error = error
        self.error_at_end = error_at_end
        self.deaf = deaf
        self.stopped = False

    def stop(self, at_once: bool = False) -> None:
        self.stopped = not self.deaf

    async def run(self) -> None:
        if self.error is not None:
            raise self.error
        while not self.stopped:
            await asyncio.sleep(0.01)
        if self.error_at_end is not None:
            raise self.error_at_end

    def so_far(self, without_journal: str = "") -> str:
        return "3 calls were done."


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


def start(
    loop: asyncio.AbstractEventLoop,
    error: BaseException | None = None,
    error_at_end: BaseException | None = None,
    deaf: bool = False,
) -> Run:
    client: Any = SimpleNamespace(
        asynchronous=False, dashboard_link=None, status="closed", loop=SimpleNamespace(asyncio_loop=loop)
    )
    return Run(client, Executor(error, error_at_end, deaf), History(), lambda executor, history: "the search", None)


def test_a_search_that_is_stopped_ends(loop):
    run = start(loop)
    with pytest.raises(TimeoutError, match=r"the search is still running after timeout=0\.05 s"):
        run.result(timeout=0.05)
    run.stop()
    assert run.result(timeout=300) == "the search"


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
        start(loop, error).result(timeout=300)
    assert caught.value.__cause__ is error
    assert loop.is_running()


def test_an_exception_of_the_search_is_raised_as_it_is(loop):
    with pytest.raises(SearchFailed, match="as it is"):
        start(loop, SearchFailed("as it is")).result(timeout=300)


class Interrupted:
    """Waits for a future, after it was interrupted so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self.times = times
        self.wait = concurrent.futures.wait
        monkeypatch.setattr("dhpo.search.run.concurrent.futures.wait", self)

    def __call__(self, futures: Any, timeout: float) -> Any:
        self.times -= 1
        if self.times >= 0:
            raise KeyboardInterrupt
        return self.wait(futures, timeout)


def test_an_interrupt_ends_the_search_and_says_what_stands(loop, monkeypatch):
    Interrupted(monkeypatch, times=1)
    run = start(loop)
    with pytest.raises(KeyboardInterrupt, match=r"^the search was stopped\. 3 calls were done\.$") as caught:
        run.result()
    assert caught.value.__context__ is None
    assert run.done
    assert run.result() == "the search"


def test_a_second_interrupt_is_not_held_up(loop, monkeypatch):
    Interrupted(monkeypatch, times=2)
    run = start(loop, deaf=True)  # else it may be over before the second one
    with pytest.raises(KeyboardInterrupt, match="given up while it was being stopped") as caught:
        run.result()
    assert caught.value.__context__ is None


def test_an_interrupt_reaches_the_script_also_where_the_search_fails_after_it(loop, monkeypatch):
    Interrupted(monkeypatch, times=1)
    run = start(loop, error_at_end=WorkersLost("all gone"))
    with pytest.raises(KeyboardInterrupt, match=r"was to be stopped, and failed\. .*WorkersLost: all gone$") as caught:
        run.result()
    assert caught.value.__context__ is None
