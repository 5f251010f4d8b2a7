"""Workers and schedulers that neither answer nor die: the others go on, with the answer of always."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster
from sklearn.linear_model import SGDClassifier

from dhpo import GridSearchCV

RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 5))
Y = (X[:, 0] + RNG.standard_normal(600) > 0).astype(int)
LAZY = da.from_array(X, (100, 5)), da.from_array(Y, 100)
SEED: dict[str, Any] = {"random_state": 0, "verbose": 0}
DEADLINE = 120.0


class Slow(SGDClassifier):
    """Takes some time for each call; notes in a folder which process begins a call, and waits while a file is there."""

    def __init__(self, alpha: float = 1e-4, folder: str = "", seconds: float = 0.0) -> None:
        super().__init__(alpha=alpha, random_state=0)
        self.folder = folder
        self.seconds = seconds

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        self.work()
        return super().partial_fit(X, y, classes=classes)

    def work(self) -> None:
        if self.folder:
            Path(self.folder, f"began-{os.getpid()}").touch()
        time.sleep(self.seconds)


class SlowFit(Slow):
    """The same for whole fits."""

    @property
    def partial_fit(self) -> Any:
        raise AttributeError("partial_fit")

    def fit(self, X: Any, y: Any) -> Any:
        self.work()
        return SGDClassifier.fit(self, X, y)


@pytest.fixture(scope="module")
def cluster_of_three(no_process_left: None) -> Iterator[LocalCluster]:
    """Three workers of one thread, to be frozen."""
    with LocalCluster(
        n_workers=3, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", memory_limit="1GB"
    ) as cluster:
        yield cluster


@pytest.fixture
def three(cluster_of_three: LocalCluster) -> Iterator[Client]:
    with Client(cluster_of_three) as client:
        client.wait_for_workers(3)
        yield client


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def wait_until(condition: Any) -> None:
    ends_at = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def without_times(search: Any) -> dict[str, Any]:
    return {name: np.asarray(values).tolist() for name, values in search.cv_results_.items() if "time" not in name}


def blocks(folder: Path | str = "", seconds: float = 0.0, **params: Any) -> GridSearchCV:
    grid = {"alpha": np.logspace(-4, 0, 9).tolist()}
    return GridSearchCV(Slow(folder=str(folder), seconds=seconds), grid, max_iter=6, **SEED, **params)


def whole(folder: Path | str = "", seconds: float = 0.0) -> GridSearchCV:
    grid = {"alpha": np.logspace(-4, 0, 9).tolist()}
    return GridSearchCV(SlowFit(folder=str(folder), seconds=seconds), grid, cv=3, verbose=0)


@pytest.mark.parametrize(
    ("shared", "trial_timeout"),
    [
        (True, None),
        (False, 3.0),
        pytest.param(True, 3.0, marks=pytest.mark.benchmarks),
        pytest.param(False, None, marks=pytest.mark.benchmarks),
    ],
)
def test_the_work_of_a_frozen_worker_goes_elsewhere(three, tmp_path, shared, trial_timeout, monkeypatch):
    if not shared:
        monkeypatch.setattr("dhpo.cluster.workers.holds_token", _sees_nothing)
    # Rows that Dask itself holds on a frozen worker are out of reach; these travel with the steps.
    data: dict[str, Any] = {"classes": [0, 1], "validation_data": None if shared else LAZY}
    undisturbed = blocks().fit(*LAZY, **data)
    pids = three.run(os.getpid)
    address, pid = sorted(pids.items())[0]
    run = blocks(tmp_path, 0.05, trial_timeout=trial_timeout).start(*LAZY, **data)
    wait_until((tmp_path / f"began-{pid}").exists)
    with frozen(pid):
        search = run.result(timeout=DEADLINE)
        assert without_times(search) == without_times(undisturbed)
        np.testing.assert_array_equal(search.best_estimator_.coef_, undisturbed.best_estimator_.coef_)
        assert not search.summary()["error"].any()
    if trial_timeout is None:
        assert three.submit(os.getpid, workers=[address], pure=False).result(timeout=DEADLINE) == pid


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers count as silent sooner, and are not waited for at the end: tests end sooner."""
    monkeypatch.setattr("dhpo.cluster.workers._SILENT_SECONDS", 1.5)
    monkeypatch.setattr("dhpo.cluster.workers._PROBE_SECONDS", 1.5)
    monkeypatch.setattr("dhpo.driver.in_flight.CANCEL_SECONDS", 0.5)
    monkeypatch.setattr("dhpo.whole_fits.fit_executor.CANCEL_SECONDS", 0.5)


def wait_in_worker(folder: str) -> None:
    """Note that this process is here, and wait until it may go on."""
    Path(folder, f"began-{os.getpid()}").touch()
    wait_until(Path(folder, "go").exists)


def waits(block: np.ndarray, folder: str) -> np.ndarray:
    wait_in_worker(folder)
    return block


def waiting_data(kind: str, folder: Path) -> tuple[Any, Any]:
    data = LAZY[0].map_blocks(waits, str(folder), meta=np.empty((0, 0)))
    return (data, LAZY[1]) if kind == "blocks" else (data[LAZY[0][:, 0] < np.inf], Y)


def frozen_and_the_others_go_on(client: Client, folder: Path, run: Any) -> Any:
    """Freeze the first worker that waits, and let all others go on."""
    wait_until(lambda: list(folder.glob("began-*")))
    began = next(folder.glob("began-*"))
    with frozen(int(began.name.removeprefix("began-"))):
        (folder / "go").touch()
        return run.result(timeout=DEADLINE)


@pytest.mark.parametrize(("kind", "shared"), [("blocks", True), ("blocks", False), ("blocks of unknown lengths", True)])
def test_blocks_that_a_frozen_worker_loads_are_loaded_elsewhere(three, tmp_path, impatient, monkeypatch, kind, shared):
    if not shared:
        monkeypatch.setattr("dhpo.cluster.workers.holds_token", _sees_nothing)
    undisturbed = blocks().fit(*LAZY, classes=[0, 1])
    search = frozen_and_the_others_go_on(three, tmp_path, blocks().start(*waiting_data(kind, tmp_path), classes=[0, 1]))
    if kind == "blocks":
        assert without_times(search) == without_times(undisturbed)
        np.testing.assert_array_equal(search.best_estimator_.coef_, undisturbed.best_estimator_.coef_)
    assert not search.summary()["error"].any()


@pytest.mark.parametrize("kind", ["blocks", "blocks of unknown lengths"])
def test_data_for_whole_fits_that_a_frozen_worker_loads_is_loaded_elsewhere(three, tmp_path, impatient, kind):
    undisturbed = whole().fit(X, Y)
    search = frozen_and_the_others_go_on(three, tmp_path, whole().start(*waiting_data(kind, tmp_path)))
    assert without_times(search) == without_times(undisturbed)


class WaitsForAllRows(Slow):
    """Waits where it is trained on so many rows."""

    def __init__(self, alpha: float = 1e-4, folder: str = "", rows: int = 0) -> None:
        SGDClassifier.__init__(self, alpha=alpha, random_state=0)
        self.folder = folder
        self.rows = rows

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        self.wait(X)
        return SGDClassifier.partial_fit(self, X, y, classes=classes)

    def wait(self, X: Any) -> None:
        if len(X) == self.rows:
            wait_in_worker(self.folder)


class WaitsForAllRowsFit(WaitsForAllRows):
    """The same for whole fits."""

    @property
    def partial_fit(self) -> Any:
        raise AttributeError("partial_fit")

    def fit(self, X: Any, y: Any) -> Any:
        self.wait(X)
        return SGDClassifier.fit(self, X, y)


@pytest.mark.parametrize("by_blocks", [True, False])
def test_the_best_is_trained_on_all_rows_elsewhere_where_the_worker_that_does_it_is_frozen(
    three, tmp_path, impatient, by_blocks
):
    grid = {"alpha": [1e-4, 1e-1]}
    if by_blocks:
        model = WaitsForAllRows(folder=str(tmp_path), rows=100)
        search = GridSearchCV(model, grid, max_iter=6, cv=3, **SEED)
        run, calls = search.start(*LAZY, classes=[0, 1]), 1
    else:
        model = WaitsForAllRowsFit(folder=str(tmp_path), rows=len(X))
        search = GridSearchCV(model, grid, cv=3, verbose=0)
        run, calls = search.start(X, Y), 1
    frozen_and_the_others_go_on(three, tmp_path, run)
    assert len(list(tmp_path.glob("began-*"))) > calls
    assert search.best_estimator_.score(X, Y) > 0.5


def _sees_nothing(path: str, token: str) -> bool:
    return False


@pytest.mark.filterwarnings("ignore")
def test_the_fits_of_a_frozen_worker_go_elsewhere_and_it_is_used_again(three, tmp_path):
    undisturbed = whole().fit(X, Y)
    _, pid = sorted(three.run(os.getpid).items())[0]
    began = tmp_path / f"began-{pid}"
    run = whole(tmp_path, 0.05).start(X, Y)
    wait_until(began.exists)
    with frozen(pid):
        search = run.result(timeout=DEADLINE)
        assert without_times(search) == without_times(undisturbed)
    began.unlink()
    assert without_times(whole(tmp_path, 0.05).fit(X, Y)) == without_times(undisturbed)
    assert began.exists()
