"""The watch tells a cluster that is gone from one that takes long to answer, and from a driver that stood still."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from distributed.client import FutureCancelledError

from dhpo.cluster.watchdog import Watch
from dhpo.cluster.workers import _overfull
from dhpo.errors import WorkersLost
from dhpo.worker.state import give_back


class Loop(asyncio.SelectorEventLoop):
    """Whose clock can be put forward."""

    shift = 0.0

    def time(self) -> float:
        return super().time() + self.shift


class Workers:
    """Answers while `answers` is set."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self.n = 1
        self.overfull: tuple[int, int] | None = None
        self.paused: set[str] = set()

    def __len__(self) -> int:
        return self.n

    async def refresh(self) -> None:
        await self.answers.wait()

    def lose_all(self) -> None:
        self.n = 0


def play(scene: Callable[[Watch, Any, Workers], Awaitable[None]], timeout: float = 300.0) -> None:
    async def run() -> None:
        client = SimpleNamespace(
            status="running", cluster=None, scheduler=SimpleNamespace(address="tcp://127.0.0.1:8786")
        )
        workers: Any = Workers()
        watch = Watch(client, workers, timeout, lambda: "7 calls were done.")
        await watch.look(at_once=True)
        try:
            await scene(watch, client, workers)
        finally:
            watch.close()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(run())


def put_forward(seconds: float) -> None:
    asyncio.get_running_loop().shift += seconds  # type: ignore[attr-defined]


async def look_for_ever(watch: Watch) -> None:
    while True:
        await watch.look(at_once=True)


def test_a_scheduler_that_does_not_answer_is_given_up_after_the_timeout():
    async def scene(watch: Watch, client: Any, workers: Workers) -> None:
        workers.answers.clear()
        with pytest.raises(WorkersLost, match=r"has not answered for 1 s: the scheduler is gone.* 7 calls were done\."):
            await look_for_ever(watch)
        assert len(workers) == 1  # nobody took them for gone before

    play(scene, timeout=1.0)


def test_a_standstill_of_the_driver_is_none_of_the_scheduler():
    async def scene(watch: Watch, client: Any, workers: Workers) -> None:
        workers.answers.clear()
        await watch.look(at_once=True)
        put_forward(3600.0)
        await watch.look(at_once=True)
        workers.answers.set()
        await watch.look(at_once=True)

    play(scene)


def test_a_client_that_is_closed_is_not_waited_for():
    async def scene(watch: Watch, client: Any, workers: Workers) -> None:
        client.status = "closed"
        with pytest.raises(
            WorkersLost, match="is closed: it was closed, or the scheduler is gone, or cannot be reached"
        ):
            await watch.look()

    play(scene)


def test_what_is_gone_with_the_scheduler_is_told_as_such():
    async def scene(watch: Watch, client: Any, workers: Workers) -> None:
        async def work() -> None:
            raise FutureCancelledError("load-1", "scheduler-connection-lost")

        stopping = asyncio.create_task(asyncio.sleep(3600))
        with pytest.raises(WorkersLost, match=r"the scheduler is gone.* It was lost while looking at the data\."):
            await watch.during(work(), stopping, "looking at the data")
        stopping.cancel()

    play(scene)


def test_what_the_work_raises_itself_is_raised_as_it_is_and_a_stop_ends_it():
    async def scene(watch: Watch, client: Any, workers: Workers) -> None:
        async def fails() -> None:
            raise ValueError("X is empty")

        stopping = asyncio.create_task(asyncio.sleep(3600))
        with pytest.raises(ValueError, match="X is empty"):
            await watch.during(fails(), stopping, "looking at the data")
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watch.during(asyncio.sleep(3600), stopping, "looking at the data")

    play(scene)


def test_tasks_that_are_all_cancelled_are_not_sent_for_ever():
    async def scene(watch: Watch, client: Any, workers: Workers) -> None:
        for _ in range(101):
            watch.came_back(cancelled=True)
        await watch.look(at_once=True)
        put_forward(301)
        with pytest.raises(WorkersLost, match=r"for 300 s, all tasks sent to tcp.* were cancelled, 101 in a row"):
            await watch.look(at_once=True)

    play(scene)


@pytest.mark.parametrize("cancelled", [100 * [True], 101 * [True] + [False], [*101 * [True], False, True]])
def test_tasks_are_sent_again_that_are_cancelled_now_and_then(cancelled: list[bool]) -> None:
    async def scene(watch: Watch, client: Any, workers: Workers) -> None:
        for each in cancelled:
            watch.came_back(each)
        put_forward(3600)
        await watch.look(at_once=True)

    play(scene)


def wait_for_workers(watch: Watch) -> Awaitable[None]:
    return watch.wait_for_workers(asyncio.create_task(asyncio.Event().wait()))  # type: ignore[arg-type]


def test_workers_that_hold_too_much_before_they_do_anything_are_not_waited_for():
    async def scene(watch: Watch, client: Any, workers: Workers) -> None:
        workers.n, workers.overfull = 0, (310_000_000, 350_000_000)
        waiting = asyncio.ensure_future(wait_for_workers(watch))
        while not waiting.done():
            await asyncio.sleep(0.01)
            put_forward(1)
        with pytest.raises(WorkersLost, match=r"holds 310 MB while .* limit is 350 MB, .* at least 388 MB.* 7 calls"):
            await waiting

    play(scene, timeout=600.0)


def test_workers_that_hold_less_after_a_while_are_used():
    async def scene(watch: Watch, client: Any, workers: Workers) -> None:
        workers.n, workers.overfull = 0, (310_000_000, 350_000_000)
        waiting = asyncio.ensure_future(wait_for_workers(watch))
        await asyncio.sleep(0)
        workers.n, workers.overfull = 2, None
        put_forward(6)
        await waiting

    play(scene, timeout=600.0)


def test_a_worker_that_is_paused_is_asked_once_to_give_back_what_it_keeps():
    asked = []

    async def run(function: Callable[[], None], workers: list[str], on_error: str) -> None:
        asked.append((function, workers))

    async def scene(watch: Watch, client: Any, workers: Workers) -> None:
        client.run = run
        for paused in ({"a"}, {"a"}, {"a", "b"}, {"b"}, {"a", "b"}):
            workers.paused = paused
            await watch.look(at_once=True)
        await asyncio.sleep(0)

    play(scene)
    assert asked == [(give_back, [address]) for address in ("a", "b", "a")]


def worker(status: str = "paused", held: int = 310, managed: int = 0, **counts: int) -> dict[str, Any]:
    metrics = {"memory": held, "managed_bytes": managed, "task_counts": counts}
    return {"status": status, "memory_limit": 350, "metrics": metrics}


@pytest.mark.parametrize(
    ("workers", "found"),
    [
        ([], None),
        ([worker(), worker(ready=3)], (310, 350)),
        ([worker(), worker(status="running")], None),
        ([worker(executing=1)], None),
        ([worker(**{"long-running": 1})], None),
        ([worker(managed=100)], None),  # which Dask can write to disk
    ],
)
def test_workers_are_given_up_that_do_nothing_and_hold_too_much(workers: list[dict[str, Any]], found: Any) -> None:
    assert _overfull(dict(enumerate(workers))) == found  # type: ignore[arg-type]
