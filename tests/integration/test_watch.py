"""What is seen of a search while it runs: in this process, in another, in a terminal and in a file."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from fcntl import ioctl
from pathlib import Path
from typing import Any

import dask.array as da
import distributed
import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.svm import SVC

import dhpo
from tests.conftest import threads_of_this_process

HERE = Path(__file__).parent
TIMEOUT = 300
RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 5))
Y = (X[:, 0] > 0).astype(int)
LAZY = da.from_array(X, (100, 5)), da.from_array(Y, 100)


class Gated(SGDClassifier):
    """Waits in its third call until there is a file."""

    def __init__(self, alpha: float = 1e-4, gate: str = "") -> None:
        super().__init__(alpha=alpha, random_state=0)
        self.gate = gate

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        self.calls_ = getattr(self, "calls_", 0) + 1
        while self.calls_ == 3 and not os.path.exists(self.gate):
            time.sleep(0.01)
        return super().partial_fit(X, y, classes, sample_weight)


class GatedSVC(SVC):
    """Waits until there is a file, but for the first candidate."""

    def __init__(self, C: float = 1.0, gate: str = "") -> None:
        super().__init__(C=C)
        self.gate = gate

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        while self.C != 1.0 and not os.path.exists(self.gate):
            time.sleep(0.01)
        return super().fit(X, y, sample_weight)


def gated(gate: Path, **params: Any) -> Any:
    space = {"alpha": [1e-4, 1e-2]}
    return dhpo.GridSearchCV(Gated(gate=str(gate)), space, max_iter=4, random_state=0, verbose=0, **params)


def wait_until(condition: Any) -> None:
    ends_at = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def test_the_summary_streams_until_the_search_is_over(client: Any, tmp_path: Path) -> None:
    run = gated(tmp_path / "gate").start(*LAZY, classes=[0, 1])
    threading.Timer(0.5, (tmp_path / "gate").touch).start()
    frames = list(run.stream(every=0.05))
    assert len(frames) > 2
    assert frames[-1]["status"].tolist() == ["finished"] * 2
    assert frames[-1]["resource"].tolist() == [4, 4]
    assert set(frames[-1]["worker"]) <= {str(w["name"]) for w in client.scheduler_info()["workers"].values()}
    assert run.status == "done"


def test_the_summary_streams_in_an_event_loop(tmp_path: Path) -> None:
    async def watch() -> list[Any]:
        async with (
            distributed.LocalCluster(
                n_workers=1, threads_per_worker=2, processes=False, asynchronous=True, dashboard_address="127.0.0.1:0"
            ) as cluster,
            distributed.Client(cluster, asynchronous=True),
        ):
            run = gated(tmp_path / "gate").start(*LAZY, classes=[0, 1])
            frames = []
            async for frame in run.stream(every=0.05):
                frames.append(frame)
                if len(frames) == 3:
                    (tmp_path / "gate").touch()
            await run
            return frames

    frames = asyncio.run(watch())
    assert len(frames) > 3
    assert frames[-1]["status"].tolist() == ["finished"] * 2


def test_the_phases_are_told_in_their_order_and_another_process_reads_them(client: Any, tmp_path: Path) -> None:
    run = gated(tmp_path / "gate").start(*LAZY, classes=[0, 1], journal=tmp_path / "run")
    wait_until(lambda: run.status.startswith("training"))
    wait_until(lambda: dhpo.load(tmp_path / "run").phase.startswith("training"))
    stored = dhpo.load(tmp_path / "run")
    assert stored.status == "running"
    (tmp_path / "gate").touch()
    frames = list(stored.stream(every=0.05))
    assert frames[-1]["status"].tolist() == ["finished"] * 2
    run.result(timeout=TIMEOUT)
    phases = [e for e in run.history.events if type(e).__name__ == "PhaseReached"]
    assert list(dict.fromkeys(e.phase for e in phases)) == [
        "starting workers",
        "first pass",
        "training",
        "judging the best",
    ]
    looked = [(e.done, e.total) for e in phases if e.phase == "first pass"]
    assert looked[0] == (0, 0)
    assert looked[-1] == (6, 6)
    assert sorted(looked) == looked
    assert repr(dhpo.load(tmp_path / "run").history.events) == repr(run.history.events)


@pytest.mark.parametrize("whole", [False, True])
def test_another_process_can_stop_a_search(client: Any, tmp_path: Path, whole: bool) -> None:
    gate, journal = tmp_path / "gate", tmp_path / "run"
    if whole:
        search = dhpo.GridSearchCV(GatedSVC(gate=str(gate)), {"C": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}, cv=2, verbose=0)
        run = search.start(X, Y, journal=journal)
        wait_until(lambda: run.best is not None)
    else:
        run = gated(gate).start(*LAZY, classes=[0, 1], journal=journal)
        wait_until(lambda: run.status.startswith("training"))
    try:
        dhpo.load(journal).stop(at_once=True)  # no thread is free for a last training
        wait_until(lambda: run.done)
    finally:
        gate.touch()
    search = run.result(timeout=TIMEOUT)
    assert run.status == dhpo.load(journal).status == "stopped"
    assert len(search.summary()) < 6
    with pytest.raises(dhpo.JournalError, match="is not in use by any process"):
        dhpo.load(journal).stop()
    # The request is not one to the search that goes on.
    with threads_of_this_process(2) as threads, threads.get_client():
        again = search.fit(X, Y, journal=journal) if whole else search.fit(*LAZY, classes=[0, 1], journal=journal)
        assert again.best_score_ > 0.8
    assert dhpo.load(journal).status == "done"


@pytest.mark.parametrize(("fit", "status"), [({}, "done"), ({"time_budget": 1e-9}, "failed")])
def test_a_search_shows_what_came_of_it(client: Any, fit: Any, status: str) -> None:
    search = dhpo.GridSearchCV(SGDClassifier(), {"alpha": [1e-4, 1e-2]}, max_iter=2, random_state=0, verbose=0, **fit)
    assert "\n" not in repr(search)
    try:
        search.fit(*LAZY, classes=[0, 1])
    except dhpo.SearchFailed:
        assert status == "failed"
    shown = repr(search).splitlines()
    assert shown[0].startswith("GridSearchCV(estimator=SGDClassifier()")
    if status == "done":
        assert re.fullmatch(r"best 0\.\d{4} by trial \d after 2 calls: alpha=0\.\d+", shown[1])
        assert re.fullmatch(r"done after \d+ s: 2 trials, 4 calls, 1\.\d passes over 6 blocks", shown[2])
        assert shown[1] in search._repr_html_()
        assert shown[1] in search._repr_mimebundle_()["text/html"]


TERMINALS = [(60, "xterm"), (80, "xterm"), (200, "xterm"), (80, "dumb")]


def test_terminals_of_all_widths_and_files_show_the_search(tmp_path: Path) -> None:
    def start(number: int, stderr: int, term: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, HERE / "watched.py", tmp_path / str(number)],
            env={**os.environ, "TERM": term, "PYTHONPATH": str(HERE.parents[1])} | {"COLUMNS": ""},
            stdin=subprocess.DEVNULL,
            stderr=stderr,
        )

    processes, outputs = [], {}
    for number, (columns, term) in enumerate(TERMINALS):
        ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        processes.append(start(number, theirs, term))
        os.close(theirs)
        outputs[number] = _Reading(ours)
    with (tmp_path / "file").open("wb") as file:
        processes.append(start(len(TERMINALS), file.fileno(), "xterm"))
    for process in processes:
        assert process.wait(timeout=TIMEOUT) == 0
    for number, (columns, term) in enumerate(TERMINALS):
        text = outputs[number].text()
        last = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).splitlines() if line.strip()]
        assert last[-1].startswith("done after"), text
        assert last[-2].startswith("best ")
        assert columns - 10 < max(map(len, last[-7:])) <= columns
        assert ("\x1b[?25h" in text) == (term == "xterm")
        assert (text.count("bracket") == 1) == (term == "dumb")
    lines = (tmp_path / "file").read_text().splitlines()
    assert re.fullmatch(r"dhpo: 17 trials and \d+ calls planned; dashboard: http://.*", lines[0])
    assert re.fullmatch(r"dhpo: done after .*, best \d\.\d{4} by trial \d+ after \d call.*: alpha=.*", lines[-1])


class _Reading:
    """Reads what a terminal is sent, all the while: its buffer is small."""

    def __init__(self, descriptor: int) -> None:
        self._parts: list[bytes] = []
        self._descriptor = descriptor
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._descriptor, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            self._parts.append(part)
        os.close(self._descriptor)

    def text(self) -> str:
        self._thread.join(TIMEOUT)
        return b"".join(self._parts).decode()
