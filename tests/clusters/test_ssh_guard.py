"""The guard of what runs on a host, with a light thing to guard in place of a server of Dask."""

from __future__ import annotations

import ast
import inspect
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from clusters.kinds.ssh import remote
from tests.clusters.sshd import wait_until

# It has a child, as a nanny has, and neither heeds a polite request.
SERVE = """
def serve(order):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=end_with_guard, daemon=True).start()
    child = subprocess.Popen([sys.executable, "-S", "-c", "import signal; signal.pause()"])
    report(sys.stdout, "ready", pids=[os.getpid(), child.pid], folder=order["folder"])
    signal.pause()
"""


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Any]:
    started = []

    def start(lost_after: float = 60, serve: str = SERVE) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        code = inspect.getsource(remote).replace("_GRACE_SECONDS = 3.0", "_GRACE_SECONDS = 0.3") + serve
        words = [sys.executable, "-u", "-c", remote.BOOT]
        guard = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(guard)
        assert guard.stdin is not None
        assert guard.stdout is not None
        order = {"code": code, "scratch": str(tmp_path), "env": {}, "lost_after": lost_after}
        print(json.dumps([code, "guard", order]), file=guard.stdin, flush=True)
        # As a driver does all the time: how long the start takes is up to the machine.
        while not select.select([guard.stdout], [], [], lost_after / 10)[0]:
            print(file=guard.stdin, flush=True)
        return guard, json.loads(guard.stdout.readline().removeprefix(remote.MARK))

    yield start
    for guard in started:
        guard.kill()
        for pipe in (guard.stdin, guard.stdout):
            pipe.close()
        guard.wait()


def gone(pids: list[int]) -> bool:
    return all(map(is_gone, pids))


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("how", ["connection ends", "silence", "guard is asked", "server is killed"])
def test_all_end_and_nothing_is_left(how: str, guarded: Any, tmp_path: Path) -> None:
    guard, report = guarded(lost_after=2 if how == "silence" else 60)
    assert report["event"] == "ready"
    assert os.listdir(tmp_path) == [os.path.basename(report["folder"])]
    if how == "connection ends":
        guard.stdin.close()
    elif how == "guard is asked":
        guard.terminate()
    elif how == "server is killed":
        os.kill(report["pids"][0], 9)
    wait_until(lambda: gone(report["pids"]), seconds=300)
    last = json.loads(guard.stdout.readline().removeprefix(remote.MARK))
    assert last == {"event": "ended", "code": -9}
    assert guard.wait(300) == 0
    assert os.listdir(tmp_path) == []


def test_without_the_guard_the_rest_ends_too(guarded: Any) -> None:
    guard, report = guarded()
    guard.kill()
    wait_until(lambda: gone(report["pids"]), seconds=300)


def test_words_now_and_then_keep_it_alive(guarded: Any) -> None:
    guard, report = guarded(lost_after=2)
    for _ in range(6):
        print(file=guard.stdin, flush=True)
        with pytest.raises(subprocess.TimeoutExpired):
            guard.wait(0.4)
    assert not gone(report["pids"])


def test_it_keeps_to_what_old_pythons_understand() -> None:
    ast.parse(inspect.getsource(remote), feature_version=(3, 8))
