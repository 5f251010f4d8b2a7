"""How much memory a worker takes, beside what it has to hold: itself, and a block or two.

    python tests/benchmarks/memory.py                # all cases
    python tests/benchmarks/memory.py npy frames     # some

Each case is a search on a plain LocalCluster whose workers may hold little more than two blocks. Data is written to a
temporary folder, 1.1 GB at most, and deleted. It runs in an environment of its own, as larger_than_memory.py does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import measure
import numpy as np
import scipy.sparse as sp
from dask.utils import parse_bytes
from distributed import Client, LocalCluster
from environments import ROOT, below_cache, python_with, requirements_of_dhpo
from measure import MB, verdict
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import SGDClassifier

CLASSES = [0, 1]
FEATURES = 100
PAUSED_AT = 0.8


class Large(ClassifierMixin, BaseEstimator):
    """A model of so many megabytes."""

    def __init__(self, megabytes: int = 100, alpha: float = 0.0) -> None:
        self.megabytes = megabytes
        self.alpha = alpha

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Large:
        if not hasattr(self, "weights_"):
            self.classes_ = np.asarray(classes)
            self.weights_ = np.zeros(self.megabytes * 125_000)
        self.weights_[0] += 1
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.zeros(X.shape[0], dtype=int)


class Leaky(SGDClassifier):
    """A model that keeps all rows that it has seen where `alpha` is large."""

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Leaky:
        if self.alpha > 0.1:
            self.seen_ = [*getattr(self, "seen_", []), X]
        super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)
        return self


# -- data -------------------------------------------------------------------------------------------------------------


def block_of(number: int, megabytes: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    X = rng.standard_normal((int(megabytes * MB / FEATURES / 4), FEATURES), dtype=np.float32)
    return X, (X[:, 0] > 0).astype(np.int8)


def write_npy(folder: Path, n_blocks: int, megabytes: float) -> list[int]:
    rows = []
    for number in range(n_blocks):
        X, y = block_of(number, megabytes)
        np.save(folder / f"X{number}.npy", X)
        np.save(folder / f"y{number}.npy", y)
        rows.append(len(X))
    return rows


def npy(folder: Path, n_blocks: int, megabytes: float, mapped: bool = False) -> tuple[Any, Any]:
    rows = write_npy(folder, n_blocks, megabytes)
    load = dask.delayed(np.load, pure=True)
    mode = {"mmap_mode": "r"} if mapped else {}
    X = [
        da.from_delayed(load(str(folder / f"X{n}.npy"), **mode), (rows[n], FEATURES), np.float32)
        for n in range(n_blocks)
    ]
    y = [da.from_delayed(load(str(folder / f"y{n}.npy")), (rows[n],), np.int8) for n in range(n_blocks)]
    return da.concatenate(X), da.concatenate(y)


def mapped(folder: Path, n_blocks: int, megabytes: float) -> tuple[Any, Any]:
    return npy(folder, n_blocks, megabytes, mapped=True)


def make_csr(number: int, megabytes: float) -> Any:
    n_rows, each = int(megabytes * MB / (30 * 12)), 30
    rng = np.random.default_rng(number)
    columns = rng.integers(0, 1000, size=n_rows * each, dtype=np.int32)
    data = rng.random(n_rows * each)
    return sp.csr_matrix((data, columns, np.arange(0, n_rows * each + 1, each, dtype=np.int32)), shape=(n_rows, 1000))


def load_csr(path: str) -> Any:
    with np.load(path) as parts:
        return sp.csr_matrix((parts["data"], parts["indices"], parts["indptr"]), shape=tuple(parts["shape"]))


def sparse(folder: Path, n_blocks: int, megabytes: float) -> tuple[Any, Any]:
    X, y = [], []
    for number in range(n_blocks):
        block = make_csr(number, megabytes)
        path = folder / f"{number}.npz"
        np.savez(path, data=block.data, indices=block.indices, indptr=block.indptr, shape=block.shape)
        meta = sp.csr_matrix((0, 0))
        X.append(da.from_delayed(dask.delayed(load_csr)(str(path)), block.shape, float, meta=meta))
        y.append(da.from_array((np.arange(block.shape[0]) % 2).astype(np.int8), chunks=-1))
    return da.concatenate(X), da.concatenate(y)


def make_frame(number: int, n_rows: int) -> Any:
    import pandas as pd

    rng = np.random.default_rng(number)
    numbers = {f"x{i}": rng.standard_normal(n_rows) for i in range(10)}
    words = {f"w{i}": pd.array(np.char.add("word-", rng.integers(0, 100_000, n_rows).astype(str))) for i in range(4)}
    return pd.DataFrame({**numbers, **words})


def frames(folder: Path, n_blocks: int, megabytes: float) -> tuple[Any, Any]:
    import dask.dataframe as dd

    head = make_frame(0, 1000)
    n_rows = int(megabytes * MB / head.memory_usage(deep=True).sum() * 1000)
    for number in range(n_blocks):
        frame = make_frame(number, n_rows)
        frame["y"] = (frame.x0 > 0).astype(np.int8)
        frame.to_parquet(folder / f"{number:03d}.parquet", row_group_size=20_000)
    data = dd.read_parquet(str(folder), columns=[*head.columns, "y"], split_row_groups=False, aggregate_files=False)
    return data[list(head.columns)], data["y"]


# -- cases ------------------------------------------------------------------------------------------------------------


def sgd() -> Any:
    return SGDClassifier(random_state=0)


def pipeline() -> Any:
    """Hashes the words of a frame, a slice of rows at a time."""
    return WordsAndNumbers()


class WordsAndNumbers(ClassifierMixin, BaseEstimator):
    def __init__(self, alpha: float = 1e-4) -> None:
        self.alpha = alpha

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> WordsAndNumbers:
        if not hasattr(self, "model_"):
            self.model_ = SGDClassifier(alpha=self.alpha, random_state=0)
            self.classes_ = np.asarray(classes)
        for start in range(0, len(X), 10_000):
            part = slice(start, start + 10_000)
            self.model_.partial_fit(self._numbers(X.iloc[part]), y[part], classes=classes)
        return self

    def predict(self, X: Any) -> np.ndarray:
        return self.model_.predict(self._numbers(X))

    def _numbers(self, X: Any) -> np.ndarray:
        words = [X[name].str.len().to_numpy(dtype=float) for name in X.columns if name.startswith("w")]
        return np.column_stack([*(X[name].to_numpy() for name in X.columns if name.startswith("x")), *words])


@dataclass(frozen=True)
class Case:
    """One search: `n_blocks` of `megabytes`, on workers that may hold `limit`."""

    data: Callable[[Path, int, float], tuple[Any, Any]]
    megabytes: float
    limit: str
    n_blocks: int
    workers: int = 2
    threads: int = 1
    estimator: Callable[[], Any] = sgd
    max_iter: int = 9
    space: Any = None


CASES = {
    "npy": Case(npy, 64, "512MB", 16),
    "npy-100": Case(npy, 100, "700MB", 10),
    "npy-500": Case(npy, 500, "2GB", 2, workers=1, max_iter=3),
    "npy-two-threads": Case(npy, 64, "512MB", 16, workers=1, threads=2),
    "npy-mapped": Case(mapped, 64, "512MB", 16),
    "sparse": Case(sparse, 64, "512MB", 12),
    "frames": Case(frames, 64, "650MB", 8, estimator=pipeline, max_iter=3),
    "model-of-100MB": Case(npy, 30, "900MB", 6, estimator=Large, max_iter=3),
    "leaks": Case(npy, 30, "500MB", 8, estimator=Leaky, space={"alpha": [1e-5, 1e-4, 1e-3, 1.0]}),
}


def run(name: str, case: Case, folder: Path) -> dict[str, Any]:
    """Write the data, search, and measure."""
    from dhpo import HyperbandSearchCV

    X, y = case.data(folder, case.n_blocks, case.megabytes)
    space = case.space or {"alpha": loguniform(1e-6, 1e-1)}
    with (
        LocalCluster(
            n_workers=case.workers,
            threads_per_worker=case.threads,
            memory_limit=case.limit,
            host="127.0.0.1",
            dashboard_address=None,
            local_directory=str(folder),
        ) as cluster,
        Client(cluster) as client,
    ):
        meter = measure.Meter(cluster, client)
        small = np.random.default_rng(0).standard_normal((200, 3)).astype(np.float32)
        warm = HyperbandSearchCV(SGDClassifier(), {"alpha": [1e-4, 1e-3, 1e-2]}, max_iter=3, verbose=0)
        warm.fit(da.from_array(small, chunks=(50, 3)), da.from_array((small[:, 0] > 0).astype(int), chunks=50))
        meter.start()
        search = HyperbandSearchCV(case.estimator(), space, max_iter=case.max_iter, random_state=0, verbose=0)
        error = ""
        try:
            search.fit(X, y, classes=CLASSES)
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        figures = meter.stop()
    block = search_block_bytes(case)
    base = max(worker["rss_before"] for worker in figures["workers"])
    peak = max(worker["rss_peak"] for worker in figures["workers"])
    limit = parse_bytes(case.limit)
    return {
        **{key: figures[key] for key in ("wall", "spilled", "paused", "restarts")},
        "base": base,
        "block": block,
        "limit": limit,
        "peak": peak,
        "ratio": peak / (base + block * case.threads),
        "room": PAUSED_AT * limit >= base + 2 * block,
        "calls": figures["tasks"] and getattr(search, "metadata_", {}).get("partial_fit_calls", 0),
        "failed": int(search.summary()["error"].str.contains("grows by a block").sum()) if not error else 0,
        "error": error,
    }


def search_block_bytes(case: Case) -> int:
    return int(case.megabytes * MB)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=[], help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--path", help="where to write")
    parser.add_argument("--venv", type=Path, default=below_cache("dhpo"), help="the environment (%(default)s)")
    parser.add_argument("--here", action="store_true", help="stay in this environment")
    arguments = parser.parse_args()
    if not arguments.here:
        python = python_with(requirements_of_dhpo(), arguments.venv)
        command = [str(python), "-u", *sys.argv, "--here"]
        raise SystemExit(subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False).returncode)
    measure.print_machine("dhpo", "dask", "distributed", "scikit-learn", "numpy")
    found = {}
    for name in arguments.cases or CASES:
        with tempfile.TemporaryDirectory(dir=arguments.path, prefix="benchmark-") as folder:
            found[name] = run(name, CASES[name], Path(folder))
        figures = found[name]
        print(name, {k: round(v, 2) if isinstance(v, float) else v for k, v in figures.items()}, flush=True)
    rows = [
        [
            name,
            f"{f['limit'] / MB:.0f}",
            f"{f['base'] / MB:.0f}",
            f"{f['block'] / MB:.0f}",
            f"{f['peak'] / MB:.0f}",
            f"{f['ratio']:.2f}",
            f"{f['wall']:.1f}",
            verdict(not (f["spilled"] or f["paused"] or f["restarts"] or f["error"]), "no pause, spill or restart"),
        ]
        for name, f in found.items()
    ]
    header = ["MB", "limit", "base", "block", "peak", "peak / (base + blocks)", "wall, s", ""]
    measure.print_table("memory of the worker that held most", header, rows)
    measure.print_json(found)


if __name__ == "__main__":
    main()
