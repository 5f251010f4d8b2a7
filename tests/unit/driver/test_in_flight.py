"""Steps in flight: those of a silent worker go elsewhere, too, and what comes back first counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dhpo.cluster.workers import Workers
from dhpo.driver.in_flight import InFlight
from dhpo.driver.sent_step import StepLost
from dhpo.driver.step_planning import Assignment
from dhpo.history.events import ModelState, StepStats
from dhpo.worker.breadcrumbs import CrumbTrail
from dhpo.worker.messages import Outcome, Step, StepResult, Work
from dhpo.worker.timeouts import timeout_error


class Future:
    def __init__(self, key: str, worker: str) -> None:
        self.key = key
        self.worker = worker
        self.cancelled = False
        self.released = False
        self.result: asyncio.Future[StepResult] = asyncio.get_running_loop().create_future()

    async def exception(self, asynchronous: bool) -> BaseException | None:
        await asyncio.wait([self.result])
        return None if self.result.cancelled() else self.result.exception()

    def release(self) -> None:
        self.released = True


class Cluster:
    """Stands for the client, and for the scheduler behind it."""

    status = "running"

    def __init__(self, *workers: str) -> None:
        self.scheduler = self
        self.signs = dict.fromkeys(workers, 0.0)
        self.submitted: list[Future] = []

    def submit(self, function: Any, *args: Any, key: str, workers: list[str], **kwargs: Any) -> Future:
        self.submitted.append(Future(key, workers[0]))
        return self.submitted[-1]

    async def gather(self, futures: list[Future], asynchronous: bool) -> list[StepResult]:
        return [await futures[0].result]

    async def cancel(self, futures: list[Future], asynchronous: bool, force: bool) -> None:
        for future in futures:
            future.cancelled = True
            future.result.cancel()

    async def restart_workers(self, workers: list[str], **kwargs: Any) -> None:
        for worker in workers:
            del self.signs[worker]

    async def nthreads(self) -> dict[str, int]:
        return dict.fromkeys(self.signs, 1)

    async def identity(self, n_workers: int) -> dict[str, Any]:
        return {
            "workers": {
                address: {"nthreads": 1, "memory_limit": 10**9, "last_seen": sign, "name": address}
                for address, sign in self.signs.items()
            }
        }


class Scene:
    """A step that is on its way to a worker that falls silent."""

    def __init__(self, *workers: str) -> None:
        self.cluster = Cluster(*workers)
        self.workers = Workers(self.cluster)
        self.steps = InFlight(self.cluster, self.workers, "run", b"", crumbs_shared=True)

    async def begin(self, crumb: str = "") -> None:
        await self.workers.refresh()
        step = Step([Work(ModelState(0), {}, 1)], 1, {}, [], 1.0, 10**9, crumb)
        self.steps.submit("train-b0-r1-1x1", Assignment("a", (0,), 1, 1, 1), step, {}, idle_since=0.0)

    async def pass_time(self, *alive: str, seconds: float = 30.0, crumb: str = "crumb") -> None:
        loop = asyncio.get_running_loop()
        for _ in range(int(seconds)):
            loop.shift += 1.0  # type: ignore[attr-defined]
            for worker in alive:
                self.cluster.signs[worker] += 1.0
            await self.workers.refresh()
        self.steps.copy_silent(0.0, lambda number: f"{crumb}-{number}")
        await asyncio.sleep(0)

    async def returned(self) -> list[Any]:
        for _ in range(5):
            await asyncio.sleep(0)
        return [result for _, result in self.steps.returned()]


class Loop(asyncio.SelectorEventLoop):
    """Whose clock can be put forward."""

    shift = 0.0

    def time(self) -> float:
        return super().time() + self.shift


def play(scene: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(scene())  # type: ignore[arg-type]


TIMEOUT = {0: 10.0}
RESULT = StepResult([Outcome(ModelState(0, 1))], StepStats())


@pytest.mark.parametrize("first", [0, 1])
def test_the_first_of_two_runs_of_a_step_counts_and_the_other_is_given_up(first):
    async def run() -> None:
        scene = Scene("a", "b")
        await scene.begin()
        await scene.pass_time("b")
        original, copy = scene.cluster.submitted
        assert (original.worker, copy.worker) == ("a", "b")
        assert len(scene.steps.under_way) == 1
        assert scene.workers.free == []
        scene.cluster.submitted[first].result.set_result(RESULT)
        assert await scene.returned() == [RESULT]
        assert await scene.returned() == []
        assert scene.cluster.submitted[first].released
        assert scene.cluster.submitted[1 - first].cancelled
        assert scene.workers.free == ["b"]
        await scene.pass_time("a", "b")
        assert sorted(scene.workers.free) == ["a", "b"]  # it is used again

    play(run)


def test_a_step_that_silences_its_workers_has_one_copy_only():
    async def run() -> None:
        scene = Scene("a", "b", "c")
        await scene.begin()
        await scene.pass_time("b", "c")
        await scene.pass_time("c")
        assert [future.worker for future in scene.cluster.submitted] == ["a", "b"]

    play(run)


def test_nothing_is_copied_where_all_are_silent_or_none():
    async def run() -> None:
        scene = Scene("a", "b")
        await scene.begin()
        await scene.pass_time()
        assert len(scene.cluster.submitted) == 1
        assert len(scene.workers) == 2  # which is no loss of workers
        await scene.pass_time("a", "b")
        assert len(scene.cluster.submitted) == 1

    play(run)


def test_the_death_of_one_of_two_runs_is_no_death_of_the_step():
    async def run() -> None:
        scene = Scene("a", "b")
        await scene.begin()
        await scene.pass_time("b")
        del scene.cluster.signs["a"]
        await scene.workers.refresh()
        assert await scene.steps.lost() == []
        del scene.cluster.signs["b"]
        await scene.workers.refresh()
        ((_, lost),) = await scene.steps.lost()
        assert isinstance(lost, StepLost)

    play(run)


def test_a_driver_that_stood_still_itself_takes_nobody_for_silent():
    async def run() -> None:
        scene = Scene("a", "b")
        await scene.begin()
        asyncio.get_running_loop().shift += 3600.0  # type: ignore[attr-defined]
        for _ in range(3):
            await scene.workers.refresh()
        assert scene.workers.free == ["b"]

    play(run)


# -- with trial_timeout


def test_a_model_that_hangs_is_found_where_its_worker_gives_signs_of_life(tmp_path):
    async def run() -> None:
        scene = Scene("a", "b")
        await scene.begin(str(tmp_path / "crumb"))
        CrumbTrail(str(tmp_path / "crumb")).note(0, 0)
        assert await scene.steps.hanging(TIMEOUT) == []
        await scene.pass_time("a", "b")
        ((_, model, doing),) = await scene.steps.hanging(TIMEOUT)
        assert (model, doing) == (0, "partial_fit call 1")

    play(run)


@pytest.mark.parametrize("seconds", [3.0, 60.0])
def test_the_time_that_a_worker_is_frozen_for_is_no_time_of_the_model(tmp_path, seconds):
    async def run() -> None:
        scene = Scene("a", "b")
        await scene.begin(str(tmp_path / "crumb"))
        CrumbTrail(str(tmp_path / "crumb")).note(0, 0)
        assert await scene.steps.hanging(TIMEOUT) == []
        await scene.pass_time("b", seconds=seconds, crumb=str(tmp_path / "copy"))
        assert await scene.steps.hanging({0: seconds - 1.0}) == []
        await scene.pass_time("a", "b", seconds=2.0)
        assert await scene.steps.hanging(TIMEOUT) == []

    play(run)


def test_a_model_that_silences_two_workers_for_too_long_is_suspected_and_not_yet_blamed(tmp_path):
    async def run() -> None:
        scene = Scene("a", "b", "c")
        await scene.begin(str(tmp_path / "crumb"))
        CrumbTrail(str(tmp_path / "crumb")).note(0, 0)
        await scene.pass_time("b", "c", crumb=str(tmp_path / "copy"))
        CrumbTrail(str(tmp_path / "copy-1")).note(0, 0)
        for _ in range(3):
            assert await scene.steps.hanging(TIMEOUT) == []
            await scene.pass_time("c")
        ((_, lost),) = await scene.steps.lost()
        assert (lost.crumb.model, lost.crumb.call) == (0, 0)
        assert scene.cluster.signs.keys() == {"c"}  # the others are restarted

    play(run)


def test_a_model_is_not_blamed_for_the_time_that_it_was_frozen_for(tmp_path):
    async def run() -> None:
        scene = Scene("a")
        await scene.begin(str(tmp_path / "crumb"))
        await scene.pass_time()
        assert await scene.steps.hanging(TIMEOUT) == []
        late = Outcome(ModelState(0), error=timeout_error(10.0, "it had taken 30 s after call 0"))
        scene.cluster.submitted[0].result.set_result(StepResult([late], StepStats()))
        (lost,) = await scene.returned()
        assert isinstance(lost, StepLost)

    play(run)
