from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import dask
import numpy as np
import psutil
import pytest
from distributed import LocalCluster
from distributed.system import MEMORY_LIMIT
from sklearn.linear_model import SGDClassifier

import clusters
from clusters.script_guard import runs_on_import
from dhpo import HyperbandSearchCV
from tests.conftest import child_processes, threads_of_this_process


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    return {tuple(c.laddr) for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}


def loops() -> int:
    return sum(thread.name == "IO loop" for thread in threading.enumerate())


@pytest.mark.parametrize("processes", [True, False])
def test_it_computes_on_loopback_and_leaves_nothing(processes: bool) -> None:
    this = psutil.Process()
    children_before, ports_before = set(child_processes()), listening(this)
    with clusters.local(workers=2, memory="600MB", processes=processes) as cluster, cluster.get_client() as client:
        assert client.submit(sum, [1, 2]).result() == 3
        assert len(client.nthreads()) == 2
        workers = set(child_processes()) - children_before
        assert len(workers) == (2 if processes else 0)
        ports = set.union(listening(this) - ports_before, *(listening(worker) for worker in workers))
        assert {host for host, _ in ports} == {"127.0.0.1"}
        assert cluster.dashboard_link.startswith("http://127.0.0.1:")
    _, alive = psutil.wait_procs(workers, timeout=300)
    assert not alive
    assert listening(this) <= ports_before


def test_without_a_dashboard_it_needs_no_particular_port() -> None:
    # Warnings are errors here: Dask warns where port 8787 is taken.
    this = psutil.Process()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # taken already, by somebody else
            other.bind(("127.0.0.1", 8787))
            other.listen()
        ports_before = listening(this)
        with clusters.local(workers=1, processes=False, dashboard=None):
            ports = listening(this) - ports_before
            assert ports
            assert {host for host, _ in ports} == {"127.0.0.1"}
            assert 8787 not in {port for _, port in ports}


@pytest.mark.parametrize("moment", ["_start", "_correct_state"])
def test_a_start_that_is_interrupted_leaves_nothing(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    this = psutil.Process()
    children_before, ports_before, threads_before = set(child_processes()), listening(this), loops()
    interrupted: list[LocalCluster] = []

    class Interrupted(LocalCluster):
        def sync(self, func: Any, *args: Any, **kwargs: Any) -> Any:
            if func.__name__ == moment and not interrupted:
                # As Ctrl-C does: what was asked for goes on in its thread.
                interrupted.append(self)
                self.loop.add_callback(func)
                raise KeyboardInterrupt
            return super().sync(func, *args, **kwargs)

    monkeypatch.setattr("clusters.machine.LocalCluster", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        clusters.start("local", workers=1, memory="500MB", dashboard=None)
    assert interrupted[0].status.name == "closed"
    assert psutil.wait_procs(set(child_processes()) - children_before, timeout=300)[1] == []
    assert listening(this) <= ports_before
    assert loops() == threads_before


@pytest.mark.parametrize(("processes", "each"), [(True, 600_000_000), (False, 1_200_000_000)])
def test_memory_limits(processes: bool, each: int) -> None:
    with clusters.local(workers=2, memory=600_000_000, dashboard=None, processes=processes) as cluster:
        workers = cluster.scheduler_info["workers"].values()
        assert [worker["memory_limit"] for worker in workers] == [each, each]


def test_memory_of_the_machine_is_shared_out() -> None:
    with clusters.local(workers=3, threads=2, dashboard=None) as cluster:
        workers = cluster.scheduler_info["workers"].values()
        assert sum(worker["memory_limit"] for worker in workers) <= MEMORY_LIMIT
        assert [worker["nthreads"] for worker in workers] == [2, 2, 2]


class EndsItsWorker(SGDClassifier):
    """Kills the first process in which it is trained for the third time."""

    def __init__(self, alpha: float = 1e-4, once: str = "", random_state: int | None = None) -> None:
        super().__init__(alpha=alpha, random_state=random_state)
        self.once = once

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> EndsItsWorker:
        if self.once and getattr(self, "t_", 1.0) > 2 * len(X) and not Path(self.once).exists():
            Path(self.once).touch()
            os._exit(1)
        super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)
        return self


def test_threads_that_all_import_at_once_and_a_worker_that_is_replaced(tmp_path: Path) -> None:
    import dask.dataframe as dd
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = dd.from_pandas(pd.DataFrame(rng.normal(size=(400, 3)), columns=list("abc")), npartitions=8)
    scores = []
    several = partial(clusters.local, workers=2, threads=4, dashboard=None)
    for make_cluster, once in [(several, str(tmp_path / "once")), (partial(threads_of_this_process, 1), "")]:
        search = HyperbandSearchCV(
            EndsItsWorker(once=once), {"alpha": [1e-5, 1e-4, 1e-3, 1e-2]}, max_iter=9, random_state=0, verbose=0
        )
        with make_cluster() as cluster, cluster.get_client():
            search.fit(frame, frame["a"] > 0, classes=[False, True])
        scores.append(search.summary()["score"].sort_index().tolist())
    assert (tmp_path / "once").exists()
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"workers": 0}, ValueError, "workers=0: expected at least 1"),
        ({"workers": 1.5}, TypeError, "workers=1.5: expected an integer"),
        ({"workers": True}, TypeError, "workers=True: expected an integer"),
        ({"threads": -1}, ValueError, "threads=-1: expected at least 1"),
        ({"memory": "much"}, ValueError, "memory='much': expected bytes"),
        ({"memory": 0}, ValueError, "memory=0: expected bytes"),
        ({"memory": 0.5}, TypeError, "memory=0.5: expected bytes"),
        ({"workers": 2, "memory": MEMORY_LIMIT}, ValueError, "for each of workers=2 makes"),
        ({"dashboard": ":8787"}, ValueError, "dashboard=':8787': expected 'host:port'"),
        ({"dashboard": "127.0.0.1"}, ValueError, "dashboard='127.0.0.1': expected 'host:port'"),
        ({"dashboard": 8787}, ValueError, "dashboard=8787: expected 'host:port'"),
        ({"n_workers": 2}, TypeError, "n_workers=2: say workers="),
        ({"memory_limit": "1GB"}, TypeError, "memory_limit='1GB': say memory="),
    ],
)
def test_errors_at_the_door(options: dict[str, Any], error: type[Exception], message: str) -> None:
    before = set(child_processes())
    with pytest.raises(error, match=message):
        clusters.local(**options)
    assert set(child_processes()) == before


@pytest.mark.parametrize("idle_timeout", ["1 ms", "2 s"])
def test_it_ends_itself_when_idle_and_closes_without_its_scheduler(idle_timeout: str) -> None:
    before = set(child_processes())
    # A close that calls the scheduler, which is gone, would last as long.
    with dask.config.set({"distributed.comm.timeouts.connect": "1 hour"}):
        cluster = clusters.start("local", workers=1, memory="500MB", idle_timeout=idle_timeout, dashboard=None)
        assert set(child_processes()) > before
        cluster.sync(cluster.scheduler.finished)
        cluster.close(timeout=60)
    assert cluster.status.name == "closed"
    assert set(child_processes()) == before


@pytest.mark.parametrize(
    "call", ["clusters.local(workers=1, dashboard=None)", "clusters.start('local', workers=1, dashboard=None)"]
)
def test_script_without_guard_is_told_so_in_one_sentence_and_no_worker_is_started(tmp_path: Path, call: str) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(f"import clusters\n{call}\n")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    *_, last = done.stderr.strip().splitlines()
    assert last.endswith('put the code that starts the cluster below `if __name__ == "__main__":`')
    assert f"importing {script}, and line 2 of it" in last
    assert done.stderr.count("Traceback") == 1  # no worker has begun


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (1, "start()"),
        (2, "import logging\nstart()\n"),
        (2, "log = get(__name__)\nstart(\n  1,\n)\n"),
        (3, "log = get(__name__)\nstart(\n  1,\n)\n"),
        (1, "with start() as cluster:\n  work()\n"),
        (2, "with other():\n  start()\n"),
        (2, "try:\n  start()\nfinally:\n  pass\n"),
    ],
)
def test_a_line_that_runs_whenever_the_script_is_imported(line: int, source: str) -> None:
    assert runs_on_import(source, line)


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (2, 'if __name__ == "__main__":\n  start()\n'),
        (3, 'if __name__ != "__main__":\n  raise SystemExit\nstart()\n'),
        (2, "if wanted:\n  start()\n"),
        (2, "for n in numbers:\n  start(n)\n"),
        (5, "start()\n"),
        (1, "this is no python"),
        (1, ""),
    ],
)
def test_a_line_that_may_not_run_when_the_script_is_imported(line: int, source: str) -> None:
    assert not runs_on_import(source, line)
