"""Four real workers, one ten times slower than the rest: how busy Hyperband, with and without work ahead, keeps them.

python tests/benchmarks/straggler.py --call 0.1

A call sleeps, so that the figures do not depend on the cores of this machine.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import measure
import numpy as np
from distributed import Client, get_worker
from measure import verdict
from scipy.stats import uniform
from sklearn.base import BaseEstimator

SLOW_WORKER = 0


class Sleeper(BaseEstimator):
    """A model whose call takes its time, ten times of it on the slow worker; its score is told by its parameter."""

    def __init__(self, quality: float = 0.5, call: float = 0.1, slower: float = 10.0) -> None:
        self.quality = quality
        self.call = call
        self.slower = slower

    def partial_fit(self, X: Any, y: Any) -> Sleeper:
        time.sleep(self.call * (self.slower if get_worker().name == SLOW_WORKER else 1))
        self.calls_ = getattr(self, "calls_", 0) + 1
        return self

    def score(self, X: Any, y: Any) -> float:
        return float(self.quality - 1 / (1 + self.calls_))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--call", type=float, default=0.1, help="seconds of a partial_fit call (%(default)s)")
    parser.add_argument("--slower", type=float, default=10.0, help="of the slow worker (%(default)s)")
    parser.add_argument("--max-iter", type=int, default=81, help="most calls of one trial (%(default)s)")
    parser.add_argument("--workers", type=int, default=4, help="worker processes of one thread (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the searches (%(default)s)")
    arguments = parser.parse_args()
    measure.print_machine("dhpo", "dask", "distributed")
    figures = run(arguments)
    show(figures, arguments)
    measure.print_json(figures)


def run(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """One search of each kind, in turn on one cluster."""
    import clusters
    import dhpo

    shared: dict[str, Any] = {"max_iter": arguments.max_iter, "random_state": arguments.seed, "verbose": 0}
    estimator = Sleeper(call=arguments.call, slower=arguments.slower)
    space = {"quality": uniform(0, 1)}
    hyperband = dhpo.HyperbandSearchCV(estimator, space, **shared)
    searches = {
        "Hyperband, work ahead": hyperband,
        "Hyperband": dhpo.HyperbandSearchCV(estimator, space, speculate=False, **shared),
        "ASHA": dhpo.ASHASearchCV(estimator, space, n_initial_parameters=4 * arguments.max_iter, **shared),
    }
    X, y = np.zeros((100, 2)), np.zeros(100)
    figures = {}
    with (
        clusters.local(workers=arguments.workers, memory="1GB", dashboard=None) as cluster,
        Client(cluster),
    ):
        dhpo.HyperbandSearchCV(Sleeper(call=0), space, max_iter=3, random_state=0, verbose=0).fit(X, y)
        for name, search in searches.items():
            began = time.perf_counter()
            search.fit(X, y)
            seconds = time.perf_counter() - began
            useful = sum(record["partial_fit_time"] for record in search.history_)
            figures[name] = {
                "wall": seconds,
                "calls": search.metadata_["partial_fit_calls"],
                "wasted": search.summary().attrs["wasted_calls"],
                "busy": useful / (arguments.workers * seconds),
                "occupied": search.summary().attrs["partial_fit_seconds"] / (arguments.workers * seconds),
            }
    return figures


def show(figures: dict[str, dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Print how busy the workers were, with what counted in the end and with all that they did."""
    rows = [
        [
            name,
            f"{one['wall']:.1f}",
            f"{one['busy']:.2f}",
            f"{one['occupied']:.2f}",
            f"{one['calls']:,}",
            f"{one['wasted']:,}",
            verdict(one["busy"] >= 0.9, "asked: at least 0.9") if name == "Hyperband, work ahead" else "",
        ]
        for name, one in figures.items()
    ]
    title = (
        f"max_iter={arguments.max_iter}, a call of {arguments.call:g} s, {arguments.workers} workers x 1 thread, "
        f"one of them {arguments.slower:g} times slower"
    )
    measure.print_table(title, ["", "wall, s", "busy", "all work", "calls", "wasted", " "], rows)


if __name__ == "__main__":
    main()
