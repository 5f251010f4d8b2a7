"""A search on jobs that do not live as long as the search."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client
from scipy.stats import loguniform
from sklearn.linear_model import SGDClassifier

import clusters
from clusters.kinds.jobqueue.cluster import TellingCluster
from dhpo import HyperbandSearchCV
from tests.clusters.slurm_machine import PARTITION, SlurmMachine, wait_until

ROOT = Path(__file__).parents[2]
DEATHS = 2
# A job that has just begun imports for seconds; two at once are slow on a small machine.
WORKERS = 1


class PacedClassifier(SGDClassifier):
    """Notes which job it is trained in, and takes its time until it is told to hurry."""

    def __init__(
        self, folder: str = "", seconds: float = 0.0, alpha: float = 1e-4, random_state: int | None = None
    ) -> None:
        super().__init__(alpha=alpha, random_state=random_state)
        self.folder = folder
        self.seconds = seconds

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> PacedClassifier:
        folder = Path(self.folder)
        if not (folder / "hurry").exists():
            (folder / os.environ["SLURM_JOB_ID"]).touch()
            # The work itself, not a wait for something else.
            time.sleep(self.seconds)
        super().partial_fit(X, y, classes=classes)
        return self


@pytest.fixture(autouse=True)
def here_and_on_workers() -> Iterator[None]:
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    # A search that calls a worker that has just died waits for the second of these.
    quick = {"distributed.deploy.lost-worker-timeout": "200ms", "distributed.comm.timeouts.connect": "3s"}
    with dask.config.set(quick):
        yield
    cloudpickle.unregister_pickle_by_value(module)


def searched(client: Client, folder: Path, seconds: float = 0.0) -> HyperbandSearchCV:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 5))
    y = (X @ [2.0, -1.0, 0.5, 0.0, 0.0] + rng.normal(size=600) > 0).astype(int)
    model = PacedClassifier(folder=str(folder), seconds=seconds)
    search = HyperbandSearchCV(model, {"alpha": loguniform(1e-5, 1e-1)}, max_iter=9, random_state=0)
    with client:
        search.fit(da.from_array(X, (100, -1)), da.from_array(y, 100), classes=[0, 1])
    return search


def answer(search: HyperbandSearchCV) -> dict[str, Any]:
    results = {name: list(values) for name, values in search.cv_results_.items() if "time" not in name}
    return {"best": search.best_params_, "coef": search.best_estimator_.coef_.tolist(), **results}


def undisturbed(folder: Path) -> dict[str, Any]:
    hurry = folder / "hurry"
    hurry.touch()
    with clusters.local(workers=WORKERS, memory="600MB", dashboard=None) as cluster:
        found = answer(searched(Client(cluster), folder))
    hurry.unlink()
    return found


def disturbed(
    folder: Path, options: dict[str, Any], seconds: float, disturb: Callable[[TellingCluster], None]
) -> dict[str, Any]:
    """The answer of a search that goes on until its jobs were disturbed enough."""
    with clusters.start("slurm", workers=WORKERS, **options) as cluster, ThreadPoolExecutor(1) as searching:
        found = searching.submit(lambda: answer(searched(Client(cluster), folder, seconds)))
        try:
            disturb(cluster)
            assert not found.done(), "the search ended too soon"
        finally:
            (folder / "hurry").touch()
        return found.result(120)


def end_of_each_job(cluster: TellingCluster, slurm: SlurmMachine, folder: Path) -> None:
    """Let each worker lose two jobs that have trained: one as at the end of its lifetime, one as at its walltime."""
    deaths: Counter[str] = Counter()
    ended: set[str] = set()
    with Client(cluster, set_as_default=False) as client:
        while min(deaths[name] for name in cluster.worker_spec) < DEATHS:
            victims: list[str] = []

            def at_work(victims: list[str] = victims) -> bool:
                trained = {job for job in slurm.jobs() if (folder / job).exists()} - ended
                victims[:] = [job for job in sorted(trained) if deaths[cluster.ledger.names[job]] < DEATHS]
                return bool(victims)

            wait_until(at_work, 300, "a job that trains")
            job = victims[0]
            name = cluster.ledger.names[job]
            if deaths[name] == 0:
                addresses = {w["name"]: address for address, w in cluster.scheduler_info["workers"].items()}
                client.retire_workers([addresses[name]])
            else:
                slurm.ask("scancel", job)
            ended.add(job)
            deaths[name] += 1


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    return {
        "queue": PARTITION,
        "memory": "600MB",
        "interface": "lo",
        "shared_directory": str(tmp_path),
        "watch_every": 0.2,
        "start_timeout": 120,
        "dashboard": None,
        "env": {"PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s"},
    }


@pytest.mark.benchmarks
def test_a_search_whose_jobs_die_twice_answers_as_an_undisturbed_one(
    slurm: SlurmMachine, options: dict[str, Any], tmp_path: Path
) -> None:
    expected = undisturbed(tmp_path)
    found = disturbed(
        tmp_path, {"walltime": "00:10:00", **options}, 0.5, lambda cluster: end_of_each_job(cluster, slurm, tmp_path)
    )
    assert found == expected
    wait_until(lambda: not slurm.jobs())


def test_before_its_walltime_a_job_ends_by_itself_and_another_comes(
    slurm: SlurmMachine, options: dict[str, Any], tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    short = {"walltime": 10, "grace": 3, "log_directory": str(logs)}
    with clusters.start("slurm", workers=1, **short, **options) as cluster:
        wait_until(lambda: len(cluster.ledger.submitted) > 1, what="another job")
        first, second = cluster.ledger.submitted[:2]
        log = logs / f"{second}.err"
        wait_until(lambda: log.exists() and "Registered to" in log.read_text(), what="its worker")
    assert "worker-lifetime-reached" in (logs / f"{first}.err").read_text()


@pytest.mark.benchmarks
def test_jobs_that_slurm_kills_at_their_walltime_cost_nothing(
    slurm: SlurmMachine, options: dict[str, Any], tmp_path: Path
) -> None:
    """Takes some minutes: Slurm's walltimes are whole minutes, and it looks every half minute."""
    expected = undisturbed(tmp_path)
    shorter = "scontrol update jobid=$SLURM_JOB_ID timelimit=1"

    def killed_twice(cluster: TellingCluster) -> None:
        def enough() -> bool:
            jobs = Counter(cluster.ledger.names.values())
            return min(jobs[name] for name in cluster.worker_spec) > DEATHS

        wait_until(enough, 400, "their ends")

    # In 69 calls, which have to outlast two jobs: each is killed a minute after it began, or half a minute later.
    seconds = 3.0
    found = disturbed(tmp_path, {"walltime": "01:00:00", "prologue": [shorter], **options}, seconds, killed_twice)
    assert found == expected
