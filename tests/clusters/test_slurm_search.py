"""A search on jobs that do not live as long as the search."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
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
from dhpo import HyperbandSearchCV
from tests.clusters.slurm_machine import PARTITION, SlurmMachine, wait_until

ROOT = Path(__file__).parents[2]
DEATHS = 2


class PacedClassifier(SGDClassifier):
    """Takes its time for each call, until a file is there that says that it need not."""

    def __init__(self, hurry: str = "", alpha: float = 1e-4, random_state: int | None = None) -> None:
        super().__init__(alpha=alpha, random_state=random_state)
        self.hurry = hurry

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> PacedClassifier:
        if not Path(self.hurry).exists():
            # The work itself, not a wait for something else.
            time.sleep(0.5)
        super().partial_fit(X, y, classes=classes)
        return self


@pytest.fixture(autouse=True)
def here_and_on_workers() -> Iterator[None]:
    import sys

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "200ms"}):
        yield
    cloudpickle.unregister_pickle_by_value(module)


def searched(client: Client, hurry: Path) -> HyperbandSearchCV:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 5))
    y = (X @ [2.0, -1.0, 0.5, 0.0, 0.0] + rng.normal(size=600) > 0).astype(int)
    search = HyperbandSearchCV(
        PacedClassifier(hurry=str(hurry)), {"alpha": loguniform(1e-5, 1e-1)}, max_iter=9, random_state=0
    )
    with client:
        search.fit(da.from_array(X, (100, -1)), da.from_array(y, 100), classes=[0, 1])
    return search


def answer(search: HyperbandSearchCV) -> dict[str, Any]:
    results = {name: list(values) for name, values in search.cv_results_.items() if "time" not in name}
    return {"best": search.best_params_, "coef": search.best_estimator_.coef_.tolist(), **results}


def undisturbed(hurry: Path) -> dict[str, Any]:
    hurry.touch()
    try:
        with clusters.local(workers=2, memory="600MB", dashboard=None) as cluster:
            return answer(searched(Client(cluster), hurry))
    finally:
        hurry.unlink()


def disturbed(slurm: SlurmMachine, hurry: Path, seconds: float, options: dict[str, Any]) -> dict[str, Any]:
    """The answer of a search that goes on until each of two workers has lost its job so often."""
    with clusters.start("slurm", workers=2, **options) as cluster:
        found: dict[str, Any] = {}

        def search() -> None:
            found.update(answer(searched(Client(cluster), hurry)))

        searching = threading.Thread(target=search)
        searching.start()
        try:
            wait_until(lambda: not searching.is_alive() or deaths(cluster, slurm) >= DEATHS, seconds, "their deaths")
            assert searching.is_alive(), "the search ended too soon"
        finally:
            hurry.touch()
            searching.join(120)
        assert not searching.is_alive()
    wait_until(lambda: not slurm.jobs())
    return found


def deaths(cluster: Any, slurm: SlurmMachine) -> int:
    """How many jobs each worker has lost, at least."""
    alive = slurm.jobs()
    ended = Counter(name for job, name in cluster.ledger.names.items() if job not in alive)
    return min(ended[name] for name in cluster.ledger.names.values())


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    return {
        "queue": PARTITION,
        "memory": "600MB",
        "interface": "lo",
        "shared_directory": str(tmp_path),
        "watch_every": 0.2,
        "dashboard": None,
        "env": {"PYTHONPATH": str(ROOT)},
    }


def test_jobs_that_end_before_their_walltime_cost_nothing(
    slurm: SlurmMachine, options: dict[str, Any], tmp_path: Path
) -> None:
    hurry = tmp_path / "hurry"
    expected = undisturbed(hurry)
    # Workers begin to end 8 to 11 seconds after they came, of which the first few go by with imports.
    assert disturbed(slurm, hurry, 90, {"walltime": 14, "grace": 3, **options}) == expected


@pytest.mark.benchmarks
def test_jobs_that_slurm_kills_at_their_walltime_cost_nothing(
    slurm: SlurmMachine, options: dict[str, Any], tmp_path: Path
) -> None:
    """Takes some minutes: Slurm's walltimes are whole minutes, and it looks every half minute."""
    hurry = tmp_path / "hurry"
    expected = undisturbed(hurry)
    shorter = "scontrol update jobid=$SLURM_JOB_ID timelimit=1"
    found = disturbed(slurm, hurry, 400, {"walltime": "01:00:00", "prologue": [shorter], **options})
    assert found == expected
