"""Runs one search in processes that are killed again and again, and at last in one that is not.

    python crashing.py FOLDER KIND KILLS SEED

Every process is forked from this one, where everything is imported already. Prints what came of it as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from distributed import Client
from scipy.stats import loguniform, uniform
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier

import dhpo
from dhpo import ASHASearchCV, GridSearchCV, HyperbandSearchCV, IncrementalSearchCV, RandomizedSearchCV

KINDS: dict[str, Any] = {
    # Without look-ahead: it trains more or less besides, as threads happen to be idle, and calls are counted here.
    "hyperband": lambda: HyperbandSearchCV(Counting(), SPACE, max_iter=9, speculate=False, **SEED),
    "folds": lambda: HyperbandSearchCV(Counting(), SPACE, max_iter=9, cv=3, **SEED),
    "asha": lambda: ASHASearchCV(Counting(), SPACE, 27, max_iter=9, deterministic=8, **SEED),
    # Its candidates depend on the order of the scores, which one thread keeps.
    "learns": lambda: RandomizedSearchCV(CountingFits(random_state=0), LEARNED, n_iter=30, cv=3, sampler="tpe", **SEED),
    "earlier": lambda: HyperbandSearchCV(Counting(), SPACE, max_iter=3, speculate=False, **SEED),
    "starts from": lambda: HyperbandSearchCV(Counting(), SPACE, max_iter=9, speculate=False, **SEED),
    "enqueue": lambda: HyperbandSearchCV(Counting(), SPACE, max_iter=9, speculate=False, **SEED),
    "whole": lambda: GridSearchCV(CountingFits(random_state=0), GRID, cv=3, verbose=0),
    "trees": lambda: HyperbandSearchCV(
        CountingTrees(), TREES, max_resource=9, resource="n_estimators", speculate=False, **SEED
    ),
    "patience": lambda: IncrementalSearchCV(Counting(), SPACE, 12, max_iter=20, patience=5, tol=0.01, **SEED),
}
GRID = {"alpha": np.logspace(-5, 0, 30).tolist()}
ENQUEUED = [{"alpha": 0.01, "penalty": "l2"}, {"penalty": "l1"}]
LEARNED = {"alpha": loguniform(1e-5, 1), "l1_ratio": uniform(0, 1), "penalty": ["l1", "elasticnet"]}
TREES = {"max_features": uniform(0.2, 0.8), "min_samples_leaf": [1, 3, 9]}
SPACE = {"alpha": loguniform(1e-5, 1), "penalty": ["l1", "l2"]}
SEED: dict[str, Any] = {"random_state": 0, "verbose": 0}


class Counting(SGDClassifier):
    """Takes some time, and leaves a byte in a file for each call."""

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        time.sleep(0.005)
        with open(os.environ["DHPO_CALLS"], "ab", buffering=0) as file:
            file.write(b".")
        return super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)


class CountingFits(SGDClassifier):
    """The same for whole fits."""

    def fit(self, X: Any, y: Any) -> Any:
        time.sleep(0.03)
        if len(X) < 600:  # not the last fit, on all rows
            with open(os.environ["DHPO_CALLS"], "ab", buffering=0) as file:
                file.write(b".")
        return super().fit(X, y)


class CountingTrees(RandomForestClassifier):
    """The same for trees, a byte for each."""

    def fit(self, X: Any, y: Any) -> Any:
        n_before = len(getattr(self, "estimators_", ())) if self.warm_start else 0
        with open(os.environ["DHPO_CALLS"], "ab", buffering=0) as file:
            file.write(b"." * (self.n_estimators - n_before))
        return super().fit(X, y)


def data() -> tuple[da.Array, da.Array]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 5))
    y = (X[:, 0] + rng.standard_normal(600) > 0).astype(int)
    return da.from_array(X, (100, 5)), da.from_array(y, 100)


def without_times(results: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: np.asarray(values).tolist() for name, values in results.items() if "time" not in name}


def answer(search: Any) -> str:
    """All that has to be the same, in one string."""
    best = search.best_estimator_
    model = best.coef_ if hasattr(best, "coef_") else best.predict_proba(data()[0].compute())
    found = {**without_times(search.cv_results_), "model": model.tolist()}
    reports = sorted(
        (r["model_id"], r["partial_fit_calls"], r["score"]) for r in search.history_ if r["score"] == r["score"]
    )
    return repr((found, search.best_params_, search.best_index_, search.best_score_, reports))


def run(kind: str, journal: Path | None, found: Path) -> None:
    X, y = data()
    if kind == "learns":
        with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"):
            search = KINDS[kind]().fit(X.compute(), y.compute(), journal=journal)
    elif kind == "whole":
        search = KINDS[kind]().fit(X.compute(), y.compute(), journal=journal)
    else:
        given: dict[str, Any] = {}
        if kind == "starts from":
            given["start_from"] = found.parent / "earlier"
        if kind == "enqueue":
            given["enqueue"] = ENQUEUED
        if kind != "trees":
            given["classes"] = [0, 1]
        search = KINDS[kind]().fit(X, y, journal=journal, **given)
    found.write_text(answer(search))


def forked(kind: str, journal: Path | None, found: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        run(kind, journal, found)
    finally:
        os._exit(0)


def n_lines(journal: Path) -> int:
    file = journal / "journal.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def calls_in(journal: Path) -> int:
    """Calls that the journal knows of, those that a later process did again included."""
    lines = (journal / "journal.jsonl").read_bytes().split(b"\n")[:-1]
    return sum(json.loads(line)["stats"].get("calls", 0) for line in lines if b'"event": "step"' in line)


def main() -> None:
    folder, kind, kills, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    rng = random.Random(seed)
    calls, journal = folder / "calls", folder / "run"
    os.environ["DHPO_CALLS"] = str(calls)
    calls.touch()
    found = {name: folder / name for name in ("undisturbed", "disturbed")}
    if kind == "starts from":
        os.waitpid(forked("earlier", folder / "earlier", folder / "found"), 0)
        calls.write_bytes(b"")
    os.waitpid(forked(kind, folder / "whole", found["undisturbed"]), 0)
    planned, expected_lines = calls.stat().st_size, n_lines(folder / "whole")
    calls.write_bytes(b"")
    moments = sorted(rng.randrange(1, int(0.8 * expected_lines)) for _ in range(kills))
    killed, lost = 0, 0
    for moment in moments:
        pid = forked(kind, journal, found["disturbed"])
        while n_lines(journal) < moment and not os.waitpid(pid, os.WNOHANG)[0]:
            time.sleep(0.001)
        time.sleep(rng.random() * 0.02)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            break
        _, status = os.waitpid(pid, 0)
        killed += os.WIFSIGNALED(status)
        lost += calls.stat().st_size - calls_in(journal) - lost  # done, and not recorded
    os.waitpid(forked(kind, journal, found["disturbed"]), 0)
    result = {
        "same": found["undisturbed"].read_text() == found["disturbed"].read_text(),
        "killed": killed,
        "planned": planned,
        "lost": lost,
        "redone": calls.stat().st_size - planned,
        "left": sorted(path.name for path in journal.iterdir()),
        "status": dhpo.load(journal).status,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
