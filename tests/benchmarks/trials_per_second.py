"""Random candidates of a model that does nothing, one call each: dhpo, scikit-learn alone, and scikit-learn on Dask.

python tests/benchmarks/trials_per_second.py --candidates 1000 --rounds 3
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import joblib
import measure
import numpy as np
import workload
from distributed import Client
from measure import verdict
from scipy.stats import uniform
from sklearn.model_selection import RandomizedSearchCV, ShuffleSplit

SPACE = {"a": uniform(0, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--candidates", type=int, default=1000, help="trials of each search (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="searches of each kind (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of one thread (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the searches (%(default)s)")
    arguments = parser.parse_args()
    measure.print_machine("dhpo", "dask", "distributed", "scikit-learn", "joblib", "numpy")
    rounds = run(arguments)
    show(rounds, arguments)
    measure.print_json(rounds)


def run(arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Every kind of search once in each round, on one cluster; figures by kind."""
    import clusters

    rng = np.random.default_rng(arguments.seed)
    X, y = rng.standard_normal((100, 2)), rng.standard_normal(100)

    def fit_dhpo(candidates: int) -> Any:
        import dhpo

        search = dhpo.RandomizedSearchCV(
            workload.Nothing(), SPACE, n_iter=candidates, max_iter=1, random_state=arguments.seed, verbose=0
        )
        return search.fit(X, y)

    def fit_sklearn(candidates: int) -> Any:
        search = RandomizedSearchCV(
            workload.Nothing(),
            SPACE,
            n_iter=candidates,
            cv=ShuffleSplit(1, random_state=0),
            refit=False,
            random_state=arguments.seed,
        )
        return search.fit(X, y)

    def fit_joblib(candidates: int) -> Any:
        with joblib.parallel_config(backend="dask"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fit_sklearn(candidates)

    kinds: dict[str, Callable[[int], Any]] = {
        "dhpo": fit_dhpo,
        "scikit-learn, one process": fit_sklearn,
        "scikit-learn, joblib's dask backend": fit_joblib,
    }
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in kinds}
    with (
        clusters.local(workers=arguments.workers, memory="2GB", dashboard=None) as cluster,
        Client(cluster) as client,
    ):
        for fit in kinds.values():
            fit(20)  # what is imported at first use is no part of a search
        for _ in range(arguments.rounds):
            for name, fit in kinds.items():
                meter = measure.Meter(cluster, client)
                meter.start()
                began = time.perf_counter()
                search = fit(arguments.candidates)
                seconds = time.perf_counter() - began
                figures = meter.stop()
                trials = len(search.cv_results_["params"])
                rounds[name].append({**figures, "trials": trials, "per_second": trials / seconds})
    return rounds


def show(rounds: dict[str, list[dict[str, Any]]], arguments: argparse.Namespace) -> None:
    """Print trials a second of each kind, and what the project asks of dhpo."""
    rows = []
    for name, figures in rounds.items():
        speed = measure.median(figures, "per_second")
        rows.append(
            [
                name,
                f"{speed:,.0f}",
                " ".join(f"{one['per_second']:,.0f}" for one in figures),
                f"{measure.median(figures, 'tasks'):,.0f}",
                f"{1e3 * measure.median(figures, 'all_cpu') / arguments.candidates:.2f}",
                verdict(speed >= 1000, "asked: at least 1,000") if name == "dhpo" else "",
            ]
        )
    title = (
        f"{arguments.candidates:,} random candidates of a model that does nothing, one call each, {arguments.workers} "
        f"workers x 1 thread; medians of {arguments.rounds} rounds"
    )
    measure.print_table(title, ["", "trials / s", "each round", "tasks", "CPU each, ms", " "], rows)


if __name__ == "__main__":
    main()
