"""One measured Hyperband search; the same code for dhpo and, in its own environment, for dask-ml."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import workload
from distributed import Client, LocalCluster


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the workload is."""
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the data (%(default)s)")
    parser.add_argument("--features", type=int, default=20, help="columns of float64 (%(default)s)")
    parser.add_argument("--blocks", type=int, default=20, help="chunks of the data (%(default)s)")
    parser.add_argument("--max-iter", type=int, default=81, help="most partial_fit calls for a model (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of one thread (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the data and the search (%(default)s)")


def plain_cluster(workers: int) -> LocalCluster:
    """A cluster as Dask itself makes it."""
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        memory_limit="2GB",
        host="127.0.0.1",
        protocol="tcp://",
        dashboard_address=None,
    )


def run_once(
    search_class: Any, arguments: argparse.Namespace, make_cluster: Callable[[int], LocalCluster] = plain_cluster
) -> dict[str, Any]:
    """Fit once on a new cluster.

    Parameters
    ----------
    search_class : type
        `HyperbandSearchCV` of either library.
    arguments : Namespace
        See `add_arguments`.
    make_cluster : callable, optional
        Makes the cluster with so many workers.

    Returns
    -------
    dict
        See `measure.Meter.stop`; with `models`, `data` (its bytes), `score`, the blocks that were `drawn`, the
        `probe` of the machine's speed just before, and the `idle_cpu` that a cluster without work takes in that time.
    """
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
        make_cluster(arguments.workers) as cluster,
        Client(cluster) as client,
    ):
        # The workers import what they need, which is no part of a search.
        _search(search_class, arguments, max_iter=3).fit(*workload.drawn(400, 20, 4, seed=1), classes=workload.CLASSES)
        log = Path(folder, "drawn")
        X, y = workload.drawn(arguments.rows, arguments.features, arguments.blocks, arguments.seed, str(log))
        search = _search(search_class, arguments, arguments.max_iter)
        probe, idle = measure.speed_probe(), measure.idle_cpu(client)
        meter = measure.Meter(cluster, client)
        meter.start()
        search.fit(X, y, classes=workload.CLASSES)
        figures = meter.stop()
        drawn = workload.reads_of_blocks(log)
    return {
        **figures,
        "probe": probe,
        "idle_cpu": idle * figures["wall"],
        "models": len(search.cv_results_["params"]),
        "data": X.nbytes + y.nbytes,
        "score": float(search.best_score_),
        "drawn": sum(drawn.values()),
    }


def _search(search_class: Any, arguments: argparse.Namespace, max_iter: int) -> Any:
    return search_class(
        workload.MeasuredSGD(tol=None),
        workload.sgd_space(),
        max_iter=max_iter,
        aggressiveness=3,
        random_state=arguments.seed,
        verbose=0,
    )
