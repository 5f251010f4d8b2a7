"""Tasks and fetches that are cancelled, by the search or by others."""

from __future__ import annotations

import asyncio
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster
from sklearn.linear_model import SGDClassifier

from dhpo import GridSearchCV, WorkersLost
from dhpo.cluster.stopping import event_loop
from dhpo.cluster.tasks import fetch
from tests.conftest import threads_of_this_process

X, Y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2


async def cancelled_when_it_begins(client: Any, fetching: Any) -> None:
    """Cancel what fetches a result when Dask would join other fetches to it."""
    task = asyncio.ensure_future(fetching)
    while client._gather_future is None:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_fetch_that_is_cancelled_does_not_cancel_those_after_it() -> None:
    async def scene() -> list[int]:
        async with (
            LocalCluster(n_workers=1, processes=False, asynchronous=True, dashboard_address="127.0.0.1:0") as cluster,
            Client(cluster, asynchronous=True) as client,
        ):
            one, two = client.submit(int, 1), client.submit(int, 2)
            await asyncio.gather(one, two)
            await cancelled_when_it_begins(client, fetch(client, one))
            return [await fetch(client, two), await fetch(client, one)]

    assert asyncio.run(scene()) == [2, 1]


def test_a_search_does_not_send_for_ever_what_a_client_always_cancels() -> None:
    with threads_of_this_process(1) as cluster, cluster.get_client() as client:
        future = client.submit(int, 1)
        future.result()
        users = cancelled_when_it_begins(client, client.gather([future], asynchronous=True))
        asyncio.run_coroutine_threadsafe(users, event_loop(client)).result(60)
        search = GridSearchCV(SGDClassifier(), {"alpha": [1e-4, 1e-2]}, cv=2, verbose=0)
        with (
            dask.config.set({"dhpo.workers-timeout": "1s"}),
            pytest.raises(WorkersLost, match=r"all tasks .* were cancelled.* start a new distributed\.Client"),
        ):
            search.fit(X, Y)
