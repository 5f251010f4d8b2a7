"""The scheduler of a cluster is killed: the search says so, and its journal goes on with the next cluster."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dask
import pytest
from distributed import Client

import dhpo
from dhpo import WorkersLost
from tests.cluster.crashing import KINDS, answer, calls_in, data

DEADLINE = 30.0


@contextmanager
def running_cluster() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler and a worker, each a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    scheduler = f"dask_scheduler --host {address} --no-dashboard --no-show --dashboard-address 127.0.0.1:0"
    worker = f"dask_worker {address} --host 127.0.0.1 --nthreads 2 --no-dashboard --memory-limit 1GB --death-timeout 5"
    root = Path(dhpo.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", *f"distributed.cli.{command}".split()],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for command in (scheduler, worker)
    ]
    try:
        yield address, processes[0]
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


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
        with (
            running_cluster() as (address, scheduler),
            Client(address, timeout=60) as client,
            dask.config.set({"dhpo.workers-timeout": "3s"}),
        ):
            client.wait_for_workers(1, timeout=60)
            run = KINDS["hyperband"]().start(*data(), classes=[0, 1], journal=journal)
            if moment is None:
                found = answer(run.result(timeout=120))
                break
            while calls.stat().st_size - lost < moment and not run.done:
                time.sleep(0.002)
            scheduler.kill()
            began = time.monotonic()
            with pytest.raises(WorkersLost, match="the scheduler is gone, or cannot be reached"):
                run.result(timeout=DEADLINE)
            assert time.monotonic() - began < DEADLINE
        lost = calls.stat().st_size - calls_in(journal)
    assert found == undisturbed
    assert calls.stat().st_size - planned == lost  # what was in flight, and nothing else
