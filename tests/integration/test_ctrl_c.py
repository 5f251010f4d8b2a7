"""Ctrl-C in a terminal reaches a script and the workers that it has started: the search ends in order, and quietly."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client, LocalCluster

from dhpo.cluster import interrupts
from dhpo.cluster.interrupts import UninterruptedWorkers

HERE = Path(__file__).parent
DEADLINE = 120.0

WITHOUT_JOURNAL = (
    r'summary\(\) has what was found\. With fit\(\.\.\., journal="FOLDER"\) a search goes on where it was interrupted\.'
)
BEST = r"best \d\.\d{4} by trial \d+ after \d calls?"
CALLS = r"\d+ partial_fit calls? (was|were) done\."


class Script:
    """A process of `ctrl_c.py`, as a terminal has it: the leader of a process group."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.errors = folder / "errors"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "ctrl_c.py"), str(folder)],
                env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def wait_for(self, name: str) -> None:
        """Wait for a file, and remove it."""
        path, ends_at = self.folder / name, time.monotonic() + DEADLINE
        while not path.exists():
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < ends_at, name
            time.sleep(0.02)
        path.unlink()

    def press(self, twice: bool = False) -> None:
        """Press Ctrl-C while a call is under way, which goes on once the search ends; or press it then once more."""
        self.wait_for("held")
        os.killpg(self.process.pid, signal.SIGINT)
        self.wait_for("stopping")
        if twice:
            os.killpg(self.process.pid, signal.SIGINT)
        else:
            (self.folder / "hold").unlink()

    def said_when_interrupted(self, twice: bool = False) -> str:
        self.press(twice)
        said = self.line()
        (self.folder / "hold").unlink(missing_ok=True)
        assert self.line() == "ended"
        return said

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.errors.read_text()
        return line.rstrip("\n")


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    script = Script(tmp_path)
    yield script
    if script.process.poll() is None:
        os.killpg(script.process.pid, signal.SIGKILL)
    script.process.communicate()


def test_ctrl_c_ends_a_search_and_not_its_workers(script):
    journal = re.escape(repr(str(script.folder / "journal")))
    goes_on = rf"The same call with journal={journal} goes on from there\."
    for where, twice, expected in [
        ("training", False, rf"was stopped, {BEST}\. {CALLS} {goes_on} \[None\] True"),
        (
            "training",
            True,
            rf"was given up while it was being stopped, {BEST}\. {CALLS} {WITHOUT_JOURNAL} \[None\] False",
        ),
        ("first pass", False, rf"was stopped\. 0 partial_fit calls were done\. {WITHOUT_JOURNAL} \[None\] False"),
        (
            "whole fits",
            False,
            rf"was stopped, best .* after 2 fits\. \d+ fits were done\. {WITHOUT_JOURNAL} \[None\] True",
        ),
        ("last training", False, rf"was stopped, {BEST}\. {CALLS} {WITHOUT_JOURNAL} \[None\] True"),
    ]:
        said = script.said_when_interrupted(twice)
        assert re.fullmatch(f"the search {expected}", said), (where, said)
    assert script.line() == "heeds it again"
    processes = psutil.Process(script.process.pid).children(recursive=True)
    script.press()
    assert script.process.wait(DEADLINE) == -signal.SIGINT
    _, alive = psutil.wait_procs(processes, DEADLINE)
    assert processes
    assert not alive
    # No word of Dask, none of the workers, and of Python the frames of the script and two of ours. On a slow machine
    # Dask says that it gives a worker no more than four seconds to end.
    lines = [line for line in script.errors.read_text().splitlines() if "Worker process still alive" not in line]
    assert lines[0] == "Traceback (most recent call last):"
    assert re.findall(r'File ".*?([^/]+)", line', "\n".join(lines)) == ["ctrl_c.py", "ctrl_c.py", "base.py", "run.py"]
    assert all(line.startswith("  ") for line in lines[1:-1])
    assert re.fullmatch(rf"KeyboardInterrupt: the search was stopped, {BEST}\. .* {goes_on}", lines[-1])


@pytest.fixture
def own_client() -> Iterator[Client]:
    """Of a cluster that no other search uses."""
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        yield client


def test_a_client_that_is_closed_leaves_no_worker_that_ignores_an_interrupt(own_client: Client) -> None:
    async def enter(client: Client) -> None:
        async with UninterruptedWorkers(client) as workers:
            assert workers._installing is not None
            await workers._installing
            assert workers._registered
            await client.close()

    async def plugins() -> list[str]:
        async with Client(own_client.scheduler.address, asynchronous=True) as client:
            await enter(client)
        return await own_client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.worker_plugins))

    left = asyncio.run_coroutine_threadsafe(plugins(), own_client.loop.asyncio_loop).result(DEADLINE)
    assert not [name for name in left if "interrupts" in name]


def test_workers_of_other_groups_heed_an_interrupt(own_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def entered_by(group: Any) -> tuple[list[str], set[str]]:
        async def enter() -> tuple[list[str], set[str]]:
            async with UninterruptedWorkers(own_client) as workers:
                assert workers._installing is not None
                await workers._installing
                plugins = await own_client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.worker_plugins))
                handlers = await own_client.run(lambda: repr(signal.getsignal(signal.SIGINT)))
                return [name for name in plugins if "interrupts" in name], set(handlers.values())

        monkeypatch.setattr(interrupts, "process_group", lambda: group)
        return asyncio.run_coroutine_threadsafe(enter(), own_client.loop.asyncio_loop).result(DEADLINE)

    ours = interrupts.process_group()
    for group in (None, ("elsewhere", ours[1]), (ours[0], ours[1] + 1)):
        plugins, handlers = entered_by(group)
        assert not plugins
        assert not any("_do_nothing" in handler for handler in handlers)
    plugins, handlers = entered_by(ours)
    assert len(plugins) == 1
    assert all("_do_nothing" in handler for handler in handlers)
