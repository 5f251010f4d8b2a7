"""Tasks that the scheduler has cleared or put aside, as in a restart of the cluster, are sent again."""

from __future__ import annotations

import time
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier

from dhpo import GridSearchCV

X = np.random.default_rng(0).normal(size=(120, 3))
Y = (X[:, 0] > 0).astype(int)
TIMEOUT = 300  # seconds; none takes as long


def wait_for(gate):
    while not Path(gate).exists():
        time.sleep(0.01)


class GatedFit(LogisticRegression):
    def __init__(self, gate="", C=1.0):
        super().__init__(C=C)
        self.gate = gate

    def fit(self, X, y):
        wait_for(self.gate)
        return super().fit(X, y)


def by_blocks(gate):
    def gated(block):
        wait_for(gate)
        return block

    lazy = da.from_array(X, (20, -1)).map_blocks(gated, dtype=X.dtype, meta=X[:0])
    search = GridSearchCV(SGDClassifier(random_state=0), {"alpha": [1e-4, 1e-2]}, max_iter=2, random_state=0, verbose=0)
    return search.start(lazy, da.from_array(Y, 20), classes=[0, 1])


def whole(gate):
    return GridSearchCV(GatedFit(str(gate)), {"C": [0.1, 1.0]}, cv=2, verbose=0).start(X, Y)


def forget(dask_scheduler, client):
    """What a restart does to tasks that come while it clears all of them."""
    keys = [task.key for task in dask_scheduler.clients[client].wants_what]
    dask_scheduler.client_releases_keys(keys, client)
    return len(keys)


def put_aside(dask_scheduler, client):
    """What a restart does to tasks that come while there is no worker."""
    processing = [task for task in dask_scheduler.clients[client].wants_what if task.state == "processing"]
    for task in processing:
        dask_scheduler.set_restrictions({task.key: ["tcp://127.0.0.1:1"]})
    dask_scheduler.transitions({task.key: "released" for task in processing}, "test")
    return {task.state for task in processing} == {"no-worker"}


@pytest.mark.parametrize("lose", [forget, put_aside])
@pytest.mark.parametrize("start", [by_blocks, whole])
def test_tasks_that_the_scheduler_has_lost_are_sent_again(client, tmp_path, start, lose):
    run = start(tmp_path / "gate")
    try:
        while not any(client.processing().values()):
            time.sleep(0.01)
        assert client.run_on_scheduler(lose, client=client.id)
    finally:
        (tmp_path / "gate").touch()
    assert run.result(timeout=TIMEOUT).summary()["status"].tolist() == ["finished"] * 2
