"""Ctrl-C ends a search on threads of the user's own process, also where one of them is stuck for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DEADLINE = 120.0


@pytest.mark.parametrize("times", [2, pytest.param(1, marks=pytest.mark.benchmarks)])
def test_ctrl_c_ends_a_process_with_a_thread_that_is_stuck(tmp_path, times):
    with subprocess.Popen(
        [sys.executable, str(HERE / "interrupted.py"), str(tmp_path), str(times)],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        ends_at = time.monotonic() + DEADLINE
        for before in ("stuck", "stopping")[:times]:
            while not (tmp_path / before).exists():
                assert time.monotonic() < ends_at
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0
        assert said.startswith(f"the search was {'stopped' if times == 1 else 'given up while it was being stopped'}. ")
        assert not complaints
