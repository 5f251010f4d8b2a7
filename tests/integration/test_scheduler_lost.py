"""The scheduler of a cluster is killed: the search says so, and its journal goes on with the next cluster."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client, Scheduler, Worker
from distributed.utils import get_mp_context
from sklearn.linear_model import SGDClassifier

from dhpo import GridSearchCV, WorkersLost
from tests.integration.crashing import KINDS, answer, calls_in, data

START = 300.0  # seconds; it takes a few, and many on a slow machine


@dataclass
class Cluster:
    """A scheduler and a worker of their own, as slow as the machine is now."""

    address: str
    scheduler: Any
    """The process."""
    patience: float
    """Seconds without an answer after which a search gives up: twice what the cluster took to start, four at least."""

    @property
    def deadline(self) -> float:
        """Seconds within which a search has to say that the scheduler is lost."""
        return 8 * self.patience


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A scheduler and a worker, each a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    arguments = address, dict(os.environ)
    processes = [get_mp_context().Process(target=serve, args=(kind, *arguments)) for kind in ("scheduler", "worker")]
    for process in processes:
        process.start()
    try:
        with Client(address, timeout=START) as client:
            client.wait_for_workers(1, timeout=START)
            cluster = Cluster(address, processes[0], max(2 * (time.monotonic() - began), 4.0))
            with dask.config.set({"dhpo.workers-timeout": cluster.patience}):
                yield cluster
    finally:
        for process in processes:
            process.kill()
            process.join()


def serve(kind: str, address: str, environment: dict[str, str]) -> None:
    """Be a scheduler, or its worker. What their tasks need of this module is imported with it."""
    os.environ.update(environment)  # which is that of before the test else
    logging.getLogger("distributed").setLevel(logging.ERROR)

    async def run() -> None:
        if kind == "scheduler":
            async with Scheduler(host=address, dashboard=False) as server:
                await server.finished()
            return
        worker = Worker(address, host="127.0.0.1", nthreads=2, memory_limit="1GB", dashboard=False)
        async with worker:
            await worker.finished()

    asyncio.run(run())


@pytest.mark.filterwarnings("ignore")  # of the connections that Dask loses
@pytest.mark.parametrize("n_kills", [1, pytest.param(20, marks=pytest.mark.benchmarks)])
def test_a_scheduler_that_is_killed(tmp_path, n_kills, monkeypatch):
    calls, journal = tmp_path / "calls", tmp_path / "run"
    monkeypatch.setenv("DHPO_CALLS", str(calls))
    calls.touch()
    undisturbed = answer(KINDS["hyperband"]().fit(*data(), classes=[0, 1]))
    planned = calls.stat().st_size
    calls.write_bytes(b"")
    rng = random.Random(0)
    moments = sorted(rng.randrange(planned * 8 // 10) for _ in range(n_kills))
    lost = 0
    for moment in [*moments, None]:
        with running_cluster() as cluster, Client(cluster.address, timeout=START):
            run = KINDS["hyperband"]().start(*data(), classes=[0, 1], journal=journal)
            if moment is None:
                found = answer(run.result(timeout=START))
                break
            while calls.stat().st_size - lost < moment and not run.done:
                time.sleep(0.002)
            cluster.scheduler.kill()
            began = time.monotonic()
            with pytest.raises(WorkersLost, match="the scheduler is gone, or cannot be reached"):
                run.result(timeout=cluster.deadline)
            assert time.monotonic() - began < cluster.deadline
        lost = calls.stat().st_size - calls_in(journal)
    assert found == undisturbed
    assert calls.stat().st_size - planned == lost  # what was in flight, and nothing else


# -- in every phase, killed or frozen


class Waiting(SGDClassifier):
    """Notes in a folder that it is at work, and waits while a file is there; with `whole`, it is fitted whole."""

    def __init__(self, folder: str = "", waits_for: int = 0, number: int = 0) -> None:
        super().__init__(random_state=0)
        self.folder = folder
        self.waits_for = waits_for
        self.number = number

    def wait(self, n_rows: int) -> None:
        if n_rows == self.waits_for:
            wait_in(self.folder)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        if self.number:
            self.wait(self.waits_for)
        return super().partial_fit(X, y, classes=classes)


class WaitingFit(Waiting):
    @property
    def partial_fit(self) -> Any:
        raise AttributeError("partial_fit")

    def fit(self, X: Any, y: Any) -> Any:
        if self.number or len(X) == 600:
            self.wait(len(X))
        return super().fit(X, y)


def wait_in(folder: str) -> None:
    Path(folder, "waits").touch()
    ends_at = time.monotonic() + 300
    while time.monotonic() < ends_at and not Path(folder, "ends").exists():
        time.sleep(0.02)


def start(phase: str, folder: Path) -> Any:
    """A search that comes to a phase, and waits there."""
    X, y = data()

    def slow(block: np.ndarray) -> np.ndarray:
        wait_in(str(folder))
        return block

    lazy = X.map_blocks(slow, meta=np.empty((0, 0)))  # else Dask calls it to find out
    numbers, journal = {"number": [0, 1]}, folder / "run"
    match phase:
        case "first pass":
            search = GridSearchCV(Waiting(str(folder)), numbers, max_iter=3, random_state=0, verbose=0)
            return search.start(lazy, y, classes=[0, 1], journal=journal)
        case "blocks":
            search = GridSearchCV(Waiting(str(folder), 1), numbers, max_iter=3, random_state=0, verbose=0)
            return search.start(X, y, classes=[0, 1], journal=journal)
        case "collecting":
            return GridSearchCV(WaitingFit(str(folder)), numbers, cv=2, verbose=0).start(lazy, y, journal=journal)
        case "fits":
            search = GridSearchCV(WaitingFit(str(folder), 300), numbers, cv=2, verbose=0)
        case "refit":
            search = GridSearchCV(WaitingFit(str(folder), 600), numbers, cv=2, verbose=0)
    return search.start(X.compute(), y.compute(), journal=journal)


KILLED, GIVEN_UP, FROZEN = "killed", "killed, and the client gives up", "frozen"
PHASES = ["first pass", "blocks", "collecting", "fits", "refit"]
OFTEN = [*((KILLED, phase) for phase in PHASES), (GIVEN_UP, "blocks"), (FROZEN, "fits")]
SELDOM = [(fate, phase) for fate in (GIVEN_UP, FROZEN) for phase in PHASES if (fate, phase) not in OFTEN]


@pytest.mark.filterwarnings("ignore")  # of the connections that Dask loses
@pytest.mark.parametrize(
    ("fate", "phase"), [*OFTEN, *(pytest.param(*case, marks=pytest.mark.benchmarks) for case in SELDOM)]
)
def test_a_scheduler_that_is_lost_in_any_phase_is_told_with_the_word_on_the_journal(tmp_path, phase, fate):
    timeout = 1.0 if fate == GIVEN_UP else START
    with running_cluster() as cluster, Client(cluster.address, timeout=timeout):
        run = start(phase, tmp_path)
        while not (tmp_path / "waits").exists():
            if run.done:
                run.result()  # tells why
                raise AssertionError("the search was over before it came to the phase")
            time.sleep(0.01)
        os.kill(cluster.scheduler.pid, signal.SIGSTOP if fate == FROZEN else signal.SIGKILL)
        with pytest.raises(WorkersLost, match=r"be reached. .* (was|were) done. The same call with journal="):
            run.result(timeout=cluster.deadline)
        (tmp_path / "ends").touch()
        if fate == FROZEN:
            os.kill(cluster.scheduler.pid, signal.SIGCONT)  # for the client to be closed at once


@pytest.mark.filterwarnings("ignore")
def test_a_search_is_stopped_also_while_the_scheduler_does_not_answer(tmp_path):
    with running_cluster() as cluster, Client(cluster.address, timeout=START):
        with dask.config.set({"dhpo.workers-timeout": START}):
            run = start("blocks", tmp_path)
        while not (tmp_path / "waits").exists():
            time.sleep(0.01)
        os.kill(cluster.scheduler.pid, signal.SIGSTOP)
        run.stop()
        search = run.result(timeout=cluster.deadline)  # well before dhpo.workers-timeout
        assert len(search.summary()) == 2
        (tmp_path / "ends").touch()
        os.kill(cluster.scheduler.pid, signal.SIGCONT)
