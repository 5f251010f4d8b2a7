"""Whether threads wait for a sampler that learns: their busy share with TPE beside that with random draws.

    python tests/benchmarks/idle_while_asking.py

Two workers of four threads; each trial is one call, or one whole fit, that sleeps for half a second, or up to nine
calls of ASHA. With random draws a trial costs nothing to ask for: what is not busy then is what a step costs. The first
share is that of the last quarter of the calls, when the sampler takes longest.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import dask.array as da
import measure
import numpy as np
from distributed import Client, LocalCluster
from scipy.stats import loguniform, randint, uniform
from sklearn.base import BaseEstimator, ClassifierMixin

from dhpo import ASHASearchCV, RandomizedSearchCV
from dhpo.history.events import StepDone

THREADS = 8
CALL_SECONDS = 0.5
LAST = 1 / 4
KINDS = ["blocks", "whole", "ASHA"]
SPACE = {"alpha": loguniform(1e-6, 1), "depth": randint(1, 101), "kind": ["a", "b", "c"], "share": uniform(0, 1)}


class Sleeper(ClassifierMixin, BaseEstimator):
    """Learns nothing, and takes its time."""

    def __init__(self, alpha: float = 0.1, depth: int = 1, kind: str = "a", share: float = 0.0) -> None:
        self.alpha, self.depth, self.kind, self.share = alpha, depth, kind, share

    def fit(self, X: Any, y: Any) -> Sleeper:
        return self.partial_fit(X, y)

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Sleeper:
        time.sleep(CALL_SECONDS)
        self.classes_ = np.array([0, 1])
        return self

    def score(self, X: Any, y: Any) -> float:
        return float(-((np.log10(self.alpha) + 3) ** 2) - (self.share - 0.3) ** 2 - (self.kind != "b"))


def search_over(kind: str, sampler: str, n_trials: int) -> Any:
    """The fitted search of one kind."""
    X, y = np.zeros((80, 2)), np.arange(80) % 2
    blocks = da.from_array(X, (40, 2)), da.from_array(y, 40)
    options: dict[str, Any] = {"sampler": sampler, "random_state": 0, "verbose": 0}
    if kind == "whole":
        folds = [(np.arange(40), np.arange(40, 80))]
        return RandomizedSearchCV(Sleeper(), SPACE, n_iter=n_trials, cv=folds, refit=False, **options).fit(X, y)
    if kind == "blocks":
        search = RandomizedSearchCV(Sleeper(), SPACE, n_iter=n_trials, max_iter=1, **options)
    else:
        search = ASHASearchCV(Sleeper(), SPACE, n_initial_parameters=n_trials, max_iter=9, **options)
    return search.fit(*blocks, classes=[0, 1])


def busy_shares(search: Any) -> tuple[float, float]:
    """Share of the threads' time that was slept in calls, at the end and in all, once each thread had something."""
    steps = [event for event in search._history.events if isinstance(event, StepDone)]
    calls = np.cumsum([step.stats.calls for step in steps])

    def share(first: int) -> float:
        return float((calls[-1] - calls[first]) * CALL_SECONDS / THREADS / (steps[-1].time - steps[first].time))

    return share(int(np.searchsorted(calls, (1 - LAST) * calls[-1]))), share(THREADS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=2_000, help="of each search (%(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--samplers", nargs="+", default=["random", "tpe", "random", "tpe"], help="one after another")
    arguments = parser.parse_args()
    measure.print_machine("dhpo", "optuna", "dask", "distributed")
    found = []
    with (
        LocalCluster(n_workers=2, threads_per_worker=THREADS // 2, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster),
    ):
        for kind in arguments.kinds:
            for sampler in arguments.samplers:
                at_end, in_all = busy_shares(search_over(kind, sampler, arguments.trials))
                print(f"  {kind}, {sampler}: busy {at_end:.3f} at the end, {in_all:.3f} in all", flush=True)
                found.append({"kind": kind, "sampler": sampler, "at_end": at_end, "in_all": in_all})
    measure.print_json({"trials": arguments.trials, "found": found})


if __name__ == "__main__":
    main()
