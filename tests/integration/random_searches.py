"""Random small searches in which trials misbehave while workers are killed, frozen and restarted.

One seed makes one case: data, search, deeds of trials and disturbances. Whatever happens, a trial that does no harm to
itself has the scores of an undisturbed search of well-behaved trials, bit for bit; nobody is blamed for what another
did; and the search ends.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import scipy.sparse as sp
from distributed import Client, LocalCluster
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import SGDClassifier

from dhpo import GridSearchCV, IncrementalSearchCV

DEADLINE = 120.0


class Panic(BaseException):
    """As extensions written in Rust raise it."""


RAISED: dict[str, Callable[[], BaseException]] = {
    error.__name__: error
    for error in (
        ValueError,
        MemoryError,
        RecursionError,
        StopIteration,
        GeneratorExit,
        KeyboardInterrupt,
        SystemExit,
        asyncio.CancelledError,
        TimeoutError,
        Panic,
    )
}
NONSENSE = {"text": "high", "nothing": None, "infinite": float("inf"), "complex": 1j, "several": [0.5, 0.6]}

# Of these a trial that does them takes no harm.
HARMLESS = ("write X", "write y", "unlock X", "sleep", "leak", "return nothing")
DEADLY = ("exit", "kill")
HARMFUL = (*DEADLY, "unpicklable", "forget", *RAISED, *NONSENSE)


class Odd(ClassifierMixin, BaseEstimator):
    """An SGDClassifier that does something odd at one of its calls.

    Parameters
    ----------
    alpha : float
    deed : str or None
    at : int
        The `partial_fit` call, counted from 1. Nonsense is what its score is from then on.
    """

    def __init__(self, alpha=1e-4, deed=None, at=1):
        self.alpha = alpha
        self.deed = deed
        self.at = at

    def partial_fit(self, X, y, classes=None):
        if not hasattr(self, "model_"):
            self.model_, self.classes_, self.calls_ = SGDClassifier(alpha=self.alpha, random_state=0), classes, 0
        self.calls_ += 1
        self.model_.partial_fit(X, y, classes=classes)
        if self.deed is not None and self.calls_ == self.at:
            self._do(X, y)
        return None if self.deed == "return nothing" else self

    def _do(self, X, y):
        if self.deed in RAISED:
            raise RAISED[self.deed]()
        if self.deed == "exit":
            os._exit(3)
        if self.deed == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.deed == "sleep":
            time.sleep(0.3)
        if self.deed == "leak":
            self.seen_ = [X, y]
        if self.deed == "unpicklable":
            self.lock_ = threading.Lock()
        if self.deed == "forget":
            self.__dict__.clear()
        if self.deed == "write y":
            y[...] = 1 - y
        if self.deed in ("write X", "unlock X"):
            if self.deed == "unlock X" and isinstance(X, np.ndarray):
                X.flags.writeable = True
            if isinstance(X, pd.DataFrame):
                X[list(X.columns)] = 0
            else:
                X *= 0

    def predict(self, X):
        return self.model_.predict(X)

    def score(self, X, y):
        if self.deed in NONSENSE and self.calls_ >= self.at:
            return NONSENSE[self.deed]
        return float(np.mean(self.predict(X) == np.asarray(y)))


@dataclass
class Case:
    """What one seed makes.

    Parameters
    ----------
    seed : int
    n_workers : int
        That the cluster has.
    deadly : bool
        Whether trials may kill their workers; each takes three processes along.
    """

    seed: int
    n_workers: int
    deadly: bool = True
    candidates: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        rng = self.rng = np.random.default_rng([self.seed, self.n_workers])
        self.sizes = rng.integers(1, 40, size=rng.integers(1, 51)).tolist()
        self.sizes[0] += 10
        self.container = rng.choice(["float64", "float32", "int64", "csr", "frame"])
        self.max_iter = int(rng.integers(1, 13))
        self.face = rng.choice(["grid", "folds", "incremental"])
        self.entropy = int(rng.integers(1000))
        deeds = [None] * 4 + [*rng.choice(HARMLESS, 3), *rng.choice(HARMFUL[len(DEADLY) :], 3)]
        if self.deadly and rng.random() < 0.15:
            deeds.append(rng.choice(DEADLY))
        rng.shuffle(deeds)
        self.candidates = [
            {
                "alpha": [float(10.0 ** rng.uniform(-5, -1))],
                "deed": [None if deed is None else str(deed)],
                "at": [int(rng.integers(1, self.max_iter + 1))],
            }
            for deed in deeds[: rng.integers(2, len(deeds) + 1)]
        ]
        if all(candidate["deed"][0] in HARMFUL for candidate in self.candidates):
            self.candidates[0]["deed"] = [None]  # or the search itself fails, as it should
        self.disturbances = [
            (float(rng.uniform(0.0, 1.0)), str(rng.choice(["kill", "freeze", "restart"])))
            for _ in range(rng.choice([0, 0, 1, 2]))
        ]

    def data(self) -> tuple[Any, Any]:
        """X and y, chunked."""
        rng = np.random.default_rng(self.seed)
        X = rng.normal(size=(sum(self.sizes), 3)) * 4
        y = (X[:, 0] > rng.normal(size=len(X))).astype(int)
        y[:2] = 0, 1
        chunks = tuple(self.sizes)
        if self.container == "frame":
            edges = np.cumsum([0, *self.sizes])
            parts = [
                pd.DataFrame(X[a:b], columns=list("abc"), index=np.arange(a, b)).assign(y=y[a:b])
                for a, b in itertools.pairwise(edges)
            ]
            frame = dd.from_map(lambda part: part, parts, meta=parts[0][:0])  # or Dask would ask the cluster
            return frame[list("abc")], frame["y"]
        lazy = da.from_array(X.astype("float64" if self.container == "csr" else self.container), chunks=(chunks, 3))
        return lazy.map_blocks(sp.csr_matrix) if self.container == "csr" else lazy, da.from_array(y, chunks=(chunks,))

    def search(self, candidates: list[dict[str, Any]]) -> Any:
        """The search, over these candidates."""
        kwargs = {"max_iter": self.max_iter, "random_state": self.entropy, "verbose": 0, "test_size": 0.3}
        if self.face == "folds":
            return GridSearchCV(Odd(), candidates, cv=2, refit=False, **{**kwargs, "test_size": None})
        if self.face == "grid":
            return GridSearchCV(Odd(), candidates, **kwargs)
        return IncrementalSearchCV(Odd(), candidates, "grid", fits_per_score=3, patience=False, **kwargs)


def run_case(cluster: LocalCluster, case: Case) -> None:
    """Run a case, and raise AssertionError if something does not hold."""
    with Client(cluster) as client:
        cluster.scale(case.n_workers)  # brings back those that the cluster gave up in the case before
        client.wait_for_workers(case.n_workers, timeout=DEADLINE)
        behaved = [{**candidate, "deed": [None]} for candidate in case.candidates]
        expected = _scores(_finished(case, behaved))
        stop = threading.Event()
        disturbing = threading.Thread(target=_disturb, args=(cluster, client, case, stop))
        disturbing.start()
        try:
            found = _finished(case, case.candidates)
        finally:
            stop.set()
            disturbing.join()
        _check(case, found, expected)


def _finished(case: Case, candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    search = case.search(candidates)
    run = search.start(*case.data(), classes=[0, 1])
    try:
        run.result(timeout=DEADLINE)
    finally:
        run.stop(at_once=True)
    records: list[dict[str, Any]] = search.history_
    return records


def _scores(records: list[dict[str, Any]]) -> dict[tuple[int, int], float]:
    return {(record["model_id"], record["partial_fit_calls"]): record["score"] for record in records}


def _check(case: Case, found: list[dict[str, Any]], expected: dict[tuple[int, int], float]) -> None:
    for record in found:
        deed, error = record["params"]["deed"], record["error"] or ""
        said = f"{case}: {record}"
        if deed is None or deed in HARMLESS:
            assert not error, said
            assert record["score"] == expected[record["model_id"], record["partial_fit_calls"]], said
        elif deed not in DEADLY:
            assert "WorkerKilled" not in error, said
    ended = {record["model_id"]: record for record in found}
    assert len(ended) == len(case.candidates), f"{case}: some were never scored"
    for record in ended.values():
        deed, error = record["params"]["deed"], record["error"] or ""
        said = f"{case}: {record}"
        if deed in DEADLY:
            assert "WorkerKilled" in error, said
        elif deed in RAISED:
            assert deed in error, said
        elif deed in HARMFUL:
            assert error or not np.isfinite(record["score"]), said
        else:
            assert record["partial_fit_calls"] == case.max_iter, said


def _disturb(cluster: LocalCluster, client: Client, case: Case, stop: threading.Event) -> None:
    for after, what in case.disturbances:
        if stop.wait(after):
            return
        if what == "restart":
            with suppress(Exception):  # a slow machine may take longer than the scheduler waits
                client.restart(wait_for_workers=False)
            continue
        nanny = next((cluster.workers[name] for name in sorted(cluster.workers)), None)
        if nanny is None or nanny.pid is None:
            continue
        try:
            if what == "kill":
                os.kill(nanny.pid, signal.SIGKILL)
            else:
                frozen = nanny.pid
                os.kill(frozen, signal.SIGSTOP)
                stop.wait(2.0)
                os.kill(frozen, signal.SIGCONT)
        except ProcessLookupError:
            pass
