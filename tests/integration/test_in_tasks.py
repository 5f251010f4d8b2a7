"""A search inside of a task of Dask does not wait for the thread that it holds itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dask.array as da
import joblib
import numpy as np
import pytest
from distributed import Client, LocalCluster, worker_client
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import cross_val_score

from dhpo import GridSearchCV

RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 5))
Y = (X[:, 0] + RNG.standard_normal(600) > 0).astype(int)
GRID = {"alpha": [1e-4, 1e-2]}
SEED: dict[str, Any] = {"random_state": 0, "verbose": 0}
DEADLINE = 60


@pytest.fixture(scope="module", params=[True, False], ids=["process", "thread"])
def one_thread(request: pytest.FixtureRequest, no_process_left: None) -> Iterator[Client]:
    """A cluster of one worker of one thread."""
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=request.param,
            host="127.0.0.1",
            protocol="tcp://",
            dashboard_address="127.0.0.1:0",
            # Where it is a thread of this process, what all tests before have left here counts.
            memory_limit="1GB" if request.param else "8GB",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def search(how: str) -> Any:
    X_lazy, y_lazy = da.from_array(X, (100, 5)), da.from_array(Y, 100)
    blocks = GridSearchCV(SGDClassifier(), GRID, max_iter=4, **SEED)
    match how:
        case "fit":
            blocks.fit(X_lazy, y_lazy, classes=[0, 1])
        case "twice":
            blocks.fit(X_lazy, y_lazy, classes=[0, 1]).fit(X_lazy, y_lazy, classes=[0, 1])
        case "start":
            blocks.start(X_lazy, y_lazy, classes=[0, 1]).result(timeout=DEADLINE)
        case "worker_client":
            with worker_client():
                blocks.fit(X_lazy, y_lazy, classes=[0, 1])
        case "whole":
            blocks = GridSearchCV(SGDClassifier(random_state=0), GRID, verbose=0).fit(X, Y)
        case "nested":
            inner = GridSearchCV(SGDClassifier(random_state=0), GRID, cv=2, verbose=0)
            blocks = GridSearchCV(inner, {"estimator__penalty": ["l1", "l2"]}, cv=2, verbose=0).fit(X, Y)
    return blocks.cv_results_["mean_test_score"].tolist()


@pytest.mark.parametrize("how", ["fit", "twice", "start", "worker_client", "whole", "nested"])
def test_a_search_in_a_task_ends_where_there_is_one_thread(one_thread, how):
    there = one_thread.submit(search, how, pure=False).result(timeout=DEADLINE)
    assert there == search("fit" if how == "worker_client" else how)
    assert one_thread.submit(sum, [1, 2], pure=False).result(timeout=DEADLINE) == 3


def test_many_searches_in_tasks_end_where_there_is_one_thread(one_thread):
    tasks = [one_thread.submit(search, "fit", pure=False) for _ in range(4)]
    assert [task.result(timeout=4 * DEADLINE) for task in tasks] == [search("fit")] * 4


@pytest.mark.parametrize("max_iter", [None, 3])
def test_joblib_with_dask_as_its_backend(one_thread, max_iter):
    search = GridSearchCV(
        SGDClassifier(random_state=0), GRID, max_iter=max_iter, **({"cv": 2} if not max_iter else SEED)
    )
    expected = cross_val_score(search, X, Y, cv=3)
    with joblib.parallel_config(backend="dask"):
        np.testing.assert_array_equal(cross_val_score(search, X, Y, cv=3, n_jobs=-1), expected)
