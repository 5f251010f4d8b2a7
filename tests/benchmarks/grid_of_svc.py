"""GridSearchCV of SVC on scikit-learn's digits, 3 folds: dhpo, scikit-learn with n_jobs, and scikit-learn on Dask.

python tests/benchmarks/grid_of_svc.py --rounds 3
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import joblib
import measure
import numpy as np
import sklearn.model_selection
from distributed import Client
from measure import verdict
from sklearn.datasets import load_digits
from sklearn.svm import SVC

FOLDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--values", type=int, default=13, help="of C, and of gamma (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="searches of each kind (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of one thread (%(default)s)")
    arguments = parser.parse_args()
    measure.print_machine("dhpo", "dask", "distributed", "scikit-learn", "joblib", "numpy")
    rounds = run(arguments)
    show(rounds, arguments)
    measure.print_json(rounds)


def run(arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Every kind of search once in each round; figures by kind."""
    import clusters
    import dhpo

    X, y = load_digits(return_X_y=True)
    grid = {"C": np.logspace(-2, 10, arguments.values), "gamma": np.logspace(-9, 3, arguments.values)}

    def fit_dhpo() -> Any:
        return dhpo.GridSearchCV(SVC(), grid, cv=FOLDS, verbose=0).fit(X, y)

    def fit_sklearn(n_jobs: int | None = arguments.workers) -> Any:
        return sklearn.model_selection.GridSearchCV(SVC(), grid, cv=FOLDS, n_jobs=n_jobs).fit(X, y)

    def fit_joblib() -> Any:
        with joblib.parallel_config(backend="dask"):
            return fit_sklearn(None)

    kinds: dict[str, Callable[[], Any]] = {
        "dhpo": fit_dhpo,
        f"scikit-learn, n_jobs={arguments.workers}": fit_sklearn,
        "scikit-learn, joblib's dask backend": fit_joblib,
    }
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in kinds}
    with (
        clusters.local(workers=arguments.workers, memory="2GB", dashboard=None) as cluster,
        Client(cluster) as client,
    ):
        client.run(load_digits)  # what is imported at first use is no part of a search
        for _ in range(arguments.rounds):
            for name, fit in kinds.items():
                meter = measure.Meter(cluster, client)
                meter.start()
                began = time.perf_counter()
                search = fit()
                seconds = time.perf_counter() - began
                results = search.cv_results_
                work = FOLDS * float((results["mean_fit_time"] + results["mean_score_time"]).sum())
                best = float(search.best_score_)
                rounds[name].append({**meter.stop(), "seconds": seconds, "work": work, "best_score": best})
    return rounds


def show(rounds: dict[str, list[dict[str, Any]]], arguments: argparse.Namespace) -> None:
    """Print seconds of each kind, and what the project asks of dhpo."""
    seconds = {name: measure.median(figures, "seconds") for name, figures in rounds.items()}
    ours = seconds["dhpo"]
    rows = []
    for name, figures in rounds.items():
        asked = "" if name == "dhpo" else verdict(ours <= seconds[name], "asked: dhpo no slower")
        rows.append(
            [
                name,
                f"{seconds[name]:.1f}",
                " ".join(f"{one['seconds']:.1f}" for one in figures),
                f"{seconds[name] / ours:.2f}",
                f"{measure.median(figures, 'work') / arguments.workers:.1f}",
                asked,
            ]
        )
    title = (
        f"GridSearchCV(SVC) on digits, {arguments.values**2} candidates x {FOLDS} folds, {arguments.workers} "
        f"processes; medians of {arguments.rounds} rounds"
    )
    measure.print_table(title, ["", "seconds", "each round", "/ dhpo", "in fits / processes", " "], rows)


if __name__ == "__main__":
    main()
