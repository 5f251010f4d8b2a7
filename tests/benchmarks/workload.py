"""What the benchmarks train: models that measure themselves, and data that is made or read block by block.

Runs in dask-ml's own environment too, so it knows neither dhpo nor the releases that dhpo needs.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
from scipy.stats import loguniform
from sklearn.base import BaseEstimator
from sklearn.linear_model import SGDClassifier

CLASSES = [0, 1]


class Useful:
    """What this process did in `partial_fit` and `score`: calls, and CPU seconds of the calling threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self.cpu, self.calls, self.scores = 0.0, 0, 0

    @contextmanager
    def measured(self, *, calls: int = 0, scores: int = 0) -> Iterator[None]:
        began = time.thread_time()
        try:
            yield
        finally:
            seconds = time.thread_time() - began
            with self._lock:
                self.cpu += seconds
                self.calls += calls
                self.scores += scores


USEFUL = Useful()


class MeasuredSGD(SGDClassifier):
    """SGDClassifier that knows what it costs; both libraries are measured with it."""

    __dhpo_passes_rows_on__ = True  # it only looks at the clock

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> MeasuredSGD:
        with USEFUL.measured(calls=1):
            super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)
        return self

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        with USEFUL.measured(scores=1):
            return super().score(X, y, sample_weight=sample_weight)


class Nothing(BaseEstimator):
    """A model that does nothing, so that a search over it is overhead alone."""

    def __init__(self, a: float = 0.0) -> None:
        self.a = a

    def fit(self, X: Any, y: Any = None) -> Nothing:
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Nothing:
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.zeros(len(X))

    def score(self, X: Any, y: Any = None) -> float:
        return float(self.a)


def sgd_space() -> dict[str, Any]:
    """What both libraries search."""
    return {"alpha": loguniform(1e-6, 1)}


# -- data that is drawn whenever it is asked for ----------------------------------------------------------------------


def drawn(n_rows: int, n_features: int, n_blocks: int, seed: int, log: str | None = None) -> tuple[da.Array, da.Array]:
    """A linear problem whose blocks are drawn by the tasks that want them: nothing of it is in the driver.

    Parameters
    ----------
    n_rows, n_features, n_blocks, seed : int
    log : str, optional
        A file that gets a line for each block that is drawn.
    """
    sizes = [n_rows // n_blocks + (number < n_rows % n_blocks) for number in range(n_blocks)]
    parts = [
        da.from_delayed(_delayed(draw_rows)(seed, number, size, n_features, log), (size, n_features), np.float64)
        for number, size in enumerate(sizes)
    ]
    X = da.concatenate(parts)
    y = X.map_blocks(label_rows, seed, drop_axis=1, dtype=np.int8, meta=np.empty(0, dtype=np.int8))
    return X, y


def draw_rows(seed: int, number: int, n_rows: int, n_features: int, log: str | None) -> np.ndarray:
    """Draw the rows of one block."""
    _note(log, number)
    return np.random.default_rng([seed, number]).standard_normal((n_rows, n_features))


def label_rows(X: np.ndarray, seed: int) -> np.ndarray:
    """On which side of a plane the rows lie, for nine of ten; half of the features say nothing."""
    weights = np.random.default_rng(seed).standard_normal(X.shape[1])
    weights[X.shape[1] // 2 :] = 0
    wrong = np.abs(X[:, -1]) > 1.645
    return ((X @ weights > 0) ^ wrong).astype(np.int8)


# -- data on disk -----------------------------------------------------------------------------------------------------


def write_npy(folder: Path, n_blocks: int, block_rows: int, n_features: int, seed: int) -> None:
    """Write the blocks of a linear problem one by one, as `.npy` files of float32."""
    for number in range(n_blocks):
        X, y = _rows_to_write(number, block_rows, n_features, seed)
        np.save(folder / f"X-{number:06d}.npy", X)
        np.save(folder / f"y-{number:06d}.npy", y)


def read_npy(folder: Path, n_blocks: int, block_rows: int, n_features: int, log: str) -> tuple[da.Array, da.Array]:
    """The data that `write_npy` wrote; each load of rows of X adds a line to `log`."""
    blocks = range(n_blocks)
    X = [_delayed(load_npy)(str(folder / f"X-{number:06d}.npy"), number, log) for number in blocks]
    y = [_delayed(load_npy)(str(folder / f"y-{number:06d}.npy"), number, None) for number in blocks]
    return _joined(X, y, block_rows, n_features)


def load_npy(path: str, number: int, log: str | None) -> np.ndarray:
    """Read one file."""
    _note(log, number)
    return np.load(path)


def write_zarr(folder: Path, n_blocks: int, block_rows: int, n_features: int, seed: int) -> None:
    """Write the same rows as two zarr arrays, one uncompressed chunk a block."""
    import zarr

    n_rows = n_blocks * block_rows
    shared: dict[str, Any] = {"compressors": None, "store": folder / "data.zarr"}
    X = zarr.create_array(name="X", shape=(n_rows, n_features), chunks=(block_rows, n_features), dtype="f4", **shared)
    y = zarr.create_array(name="y", shape=(n_rows,), chunks=(block_rows,), dtype="i1", **shared)
    for number in range(n_blocks):
        rows = slice(number * block_rows, (number + 1) * block_rows)
        X[rows], y[rows] = _rows_to_write(number, block_rows, n_features, seed)


def read_zarr(folder: Path, n_blocks: int, block_rows: int, n_features: int, log: str) -> tuple[da.Array, da.Array]:
    """The data that `write_zarr` wrote; each load of rows of X adds a line to `log`."""
    store, blocks = str(folder / "data.zarr"), range(n_blocks)
    X = [_delayed(load_zarr)(store, "X", number, block_rows, log) for number in blocks]
    y = [_delayed(load_zarr)(store, "y", number, block_rows, None) for number in blocks]
    return _joined(X, y, block_rows, n_features)


def load_zarr(store: str, name: str, number: int, block_rows: int, log: str | None) -> np.ndarray:
    """Read one chunk."""
    import zarr

    _note(log, number)
    array = zarr.open_group(store, mode="r")[name]
    return np.asarray(array[number * block_rows : (number + 1) * block_rows])


def reads_of_blocks(log: Path) -> Counter[int]:
    """How often each block was drawn or read, by the lines of its log."""
    return Counter(int(line) for line in log.read_text().split()) if log.exists() else Counter()


def _rows_to_write(number: int, block_rows: int, n_features: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng([seed, number]).standard_normal((block_rows, n_features), dtype=np.float32)
    return X, label_rows(X, seed)


def _delayed(function: Any) -> Any:
    return dask.delayed(function, pure=True)


def _joined(X: Sequence[Any], y: Sequence[Any], block_rows: int, n_features: int) -> tuple[da.Array, da.Array]:
    return (
        da.concatenate([da.from_delayed(rows, (block_rows, n_features), np.float32) for rows in X]),
        da.concatenate([da.from_delayed(rows, (block_rows,), np.int8) for rows in y]),
    )


def _note(log: str | None, number: int) -> None:
    if log is not None:
        # One short write to a file opened for appending is atomic, whichever process it comes from.
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, f"{number}\n".encode())
        finally:
            os.close(descriptor)
