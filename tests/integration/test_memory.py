"""Searches on workers that may hold little more than two blocks, and blocks that cannot be read at once."""

from __future__ import annotations

import time
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster
from sklearn.linear_model import SGDClassifier

from dhpo import HyperbandSearchCV, SearchFailed, WorkersLost
from dhpo.data.memory import resident_bytes
from dhpo.worker.step import held_before_blocks
from tests.conftest import two_workers

pytestmark = pytest.mark.usefixtures("spawned_workers")  # those that are forked hold less
MB = 1_000_000
FEATURES = 50
TIMEOUT = 300  # seconds; nothing takes as long
SPACE = {"alpha": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]}


@pytest.fixture(scope="module")
def cluster(spawned_workers):
    with two_workers() as cluster:
        yield cluster


def search(**kwargs):
    return HyperbandSearchCV(SGDClassifier(random_state=0), SPACE, max_iter=3, random_state=0, verbose=0, **kwargs)


def load(path, fails, fails_times, file):
    """Read a file, but for the first times that it is asked for where it is the one that fails."""
    if Path(path).name == fails:
        with open(file, "ab") as log:
            log.write(b"x")
        if Path(file).stat().st_size <= fails_times:
            raise OSError(5, "Input/output error", path)
    return np.load(path)


def on_disk(folder, n_blocks, block_bytes, fails="", fails_times=0):
    """Blocks of a linear problem, read from files by the tasks."""
    n_rows = block_bytes // (4 * FEATURES)
    X, y = [], []
    for number in range(n_blocks):
        rows = np.random.default_rng(number).standard_normal((n_rows, FEATURES), dtype=np.float32)
        np.save(folder / f"X{number}.npy", rows)
        np.save(folder / f"y{number}.npy", (rows[:, 0] > 0).astype(np.int8))
        for parts, name, shape in ((X, "X", (n_rows, FEATURES)), (y, "y", (n_rows,))):
            path = str(folder / f"{name}{number}.npy")
            rows = dask.delayed(load, pure=True)(path, fails, fails_times, str(folder / "log"))
            parts.append(da.from_delayed(rows, shape, np.float32 if name == "X" else np.int8))
    return da.concatenate(X), da.concatenate(y)


def restarts_and_pauses(client):
    events = [event for topic in client.get_events().values() for _, event in topic if isinstance(event, dict)]
    return sum(event.get("status") == "paused" or event.get("action") == "worker-restart" for event in events)


@pytest.mark.parametrize("threads", [pytest.param(1, marks=pytest.mark.benchmarks), 2])
def test_room_for_two_blocks_is_enough(tmp_path, cluster, client, threads):
    """One worker whose limit x 0.8 is what it holds before, and two blocks; nothing is paused, nothing restarted."""
    X, y = on_disk(tmp_path, 5, 40 * MB)
    expected = search().fit(X, y, classes=[0, 1])
    held = max(client.run(held_before_blocks, b"").values())
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=threads,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=int((held + 2 * 40 * MB) / 0.8),
        ) as tight,
        Client(tight) as of_tight,
    ):
        pids = of_tight.run(resident_bytes).keys()
        found = search().fit(X, y, classes=[0, 1])
        assert of_tight.run(resident_bytes).keys() == pids
        assert not restarts_and_pauses(of_tight)
    assert found.best_score_ == expected.best_score_
    np.testing.assert_array_equal(found.best_estimator_.coef_, expected.best_estimator_.coef_)


def test_a_block_that_does_not_fit_a_worker_is_refused_before_it_is_loaded(client):
    def never(block):
        raise AssertionError("a block was loaded")

    X = da.ones((2_000_000, 1000), chunks=(1_000_000, 1000)).map_blocks(never, meta=np.empty((0, 0)))
    with pytest.raises(ValueError, match=r"it takes 8,00\d MB .* its memory limit is 2,000 MB.*Rechunk X to") as seen:
        search().fit(X, da.ones(2_000_000, chunks=1_000_000), classes=[0, 1])
    assert "a worker holds" in str(seen.value)


def test_workers_hold_no_result_that_is_home(tmp_path, client):
    # Dask would spill it where memory is tight, and that takes long.
    gate = tmp_path / "gate"

    def wait_for_gate(block, block_id=None):
        while block_id[0] == 3 and not gate.exists():
            time.sleep(0.01)
        return block

    rows = da.zeros((40, 2), chunks=(10, 2)).map_blocks(wait_for_gate, dtype=float, meta=np.empty((0, 2)))
    run = search().start(rows, da.from_array(np.arange(40) % 2, 10), classes=[0, 1])
    try:
        by = time.monotonic() + TIMEOUT
        while not run.done and time.monotonic() < by:
            held = {key for keys in client.has_what().values() for key in keys}
            states = client.run_on_scheduler(_loads)
            if states == ["processing"] and not any(key.startswith("load-") for key in held):
                break
            time.sleep(0.02)
        assert states == ["processing"]
    finally:
        gate.touch()
    assert run.result(timeout=TIMEOUT).best_score_ >= 0


def _loads(dask_scheduler):
    return [task.state for key, task in dask_scheduler.tasks.items() if str(key).startswith("load-")]


@pytest.mark.parametrize("fails_times", [1, 2])
def test_a_block_that_cannot_be_read_at_once_is_tried_again(tmp_path, client, fails_times):
    expected = search().fit(*on_disk(tmp_path, 6, 10_000), classes=[0, 1])
    X, y = on_disk(tmp_path, 6, 10_000, "X3.npy", fails_times)
    found = search().fit(X, y, classes=[0, 1])
    assert found.best_score_ == expected.best_score_


def test_a_block_that_cannot_be_read_in_three_attempts_is_named_with_its_file(tmp_path, client):
    X, y = on_disk(tmp_path, 6, 10_000, "X3.npy", 1000)
    with pytest.raises(
        SearchFailed, match=r"block 3 \(of .*X3.npy\) could not be read: OSError.*tried 3 times"
    ) as seen:
        search().fit(X, y, classes=[0, 1])
    assert isinstance(seen.value.__cause__, OSError)
    assert (tmp_path / "log").stat().st_size == 3


class Keeps(SGDClassifier):
    """Keeps the rows that it is given where `alpha` is large."""

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        if self.alpha == 1e-1:
            self.seen_ = [*getattr(self, "seen_", []), X]
        return super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)


def test_a_model_that_keeps_its_rows_fails_alone(tmp_path):
    X, y = on_disk(tmp_path, 12, 20 * MB)
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=550 * MB,
        ) as tight,
        Client(tight) as of_tight,
    ):
        pids = of_tight.run(resident_bytes).keys()
        found = HyperbandSearchCV(Keeps(random_state=0), {"alpha": [1e-3, 1e-2, 1e-1]}, max_iter=9, random_state=0)
        found.set_params(verbose=0).fit(X, y, classes=[0, 1])
        assert of_tight.run(resident_bytes).keys() == pids
    errors = found.summary().set_index("param_alpha")["error"].dropna()
    assert set(errors.index) == {1e-1}
    assert errors.str.contains("the model grows by a block at each call").all()
    assert found.best_params_["alpha"] != 1e-1


def test_workers_that_are_paused_before_the_search_are_told_at_once_with_what_they_hold():
    X, y = np.zeros((100, 4), dtype=np.float32), np.arange(100) % 2
    with (
        # A thread of this process, which holds more than that.
        LocalCluster(n_workers=1, processes=False, memory_limit="60MB", dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        while "paused" not in {worker["status"] for worker in client.scheduler_info()["workers"].values()}:
            time.sleep(0.05)
        with pytest.raises(WorkersLost, match=r"all are paused. One holds .* its memory limit is 60 MB, of which 0.8"):
            search().fit(X, y, classes=[0, 1])
