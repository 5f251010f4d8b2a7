"""Tune a classifier on data on disk that is ten times larger than what the workers may hold.

    python examples/larger_than_memory.py --size 10GB --workers 2

writes 10 GB of synthetic data, block by block, and starts two workers that may hold 500 MB each.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np
from dask.utils import format_bytes, parse_bytes
from distributed import Client
from scipy.stats import loguniform
from sklearn.linear_model import SGDClassifier

import clusters
from dhpo import HyperbandSearchCV

N_FEATURES = 64
ROW_BYTES = N_FEATURES * np.dtype(np.float32).itemsize
# Python with scikit-learn and Dask holds about 250 MB before it loads the first block.
LEAST_WORKER_MEMORY = 500_000_000

Rows = tuple[np.ndarray, np.ndarray]


def main() -> None:
    arguments = parse_arguments()
    n_blocks = max(2, arguments.size // arguments.block)
    block_rows = arguments.block // ROW_BYTES
    print(
        f"{format_bytes(n_blocks * block_rows * ROW_BYTES)} in {n_blocks} blocks of {block_rows:,} rows, "
        f"{arguments.workers} worker(s) with {format_bytes(arguments.memory)} together"
    )
    with tempfile.TemporaryDirectory(dir=arguments.path, prefix="larger-than-memory-") as folder:
        begin = time.perf_counter()
        X, y = WRITERS[arguments.format](Path(folder), n_blocks, block_rows, arguments.seed)
        print(f"written to {folder} in {time.perf_counter() - begin:.1f} s\n")

        memory = arguments.memory // arguments.workers
        with clusters.local(workers=arguments.workers, memory=memory) as cluster, cluster.get_client() as client:
            print(f"dashboard: {cluster.dashboard_link}\n")
            search = tune(X, y, arguments.max_iter, arguments.seed)
            show(search, client)


def tune(X: da.Array, y: da.Array, max_iter: int, seed: int) -> HyperbandSearchCV:
    space = {
        "loss": ["hinge", "log_loss", "modified_huber"],
        "penalty": ["l1", "l2", "elasticnet"],
        "alpha": loguniform(1e-6, 1e-1),
        "average": [True, False],
    }
    search = HyperbandSearchCV(SGDClassifier(), space, max_iter=max_iter, random_state=seed)
    print(search.plan(), end="\n\n")
    return search.fit(X, y, classes=[0, 1])


def show(search: HyperbandSearchCV, client: Client) -> None:
    print(search.summary().head().to_string(), end="\n\n")
    print(f"best score: {search.best_score_:.4f} of {search.best_params_}")
    for name in ("partial_fit_calls", "tasks", "n_blocks", "blocks_read", "passes"):
        print(f"{name}: {search.metadata_[name]:,}")
    for worker, peak in client.run(peak_memory).items():
        print(f"peak memory of {worker}: {format_bytes(peak)}")


def make_block(number: int, n_rows: int, seed: int) -> Rows:
    """Draw one block of a linear problem with some noise; half of the features say nothing."""
    weights = np.random.default_rng(seed).normal(size=N_FEATURES).astype(np.float32)
    weights[N_FEATURES // 2 :] = 0
    rng = np.random.default_rng([seed, number])
    X = rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    noise = rng.standard_normal(n_rows, dtype=np.float32)
    return X, (X @ weights + noise > 0).astype(np.int8)


def write_npy(folder: Path, n_blocks: int, block_rows: int, seed: int) -> tuple[da.Array, da.Array]:
    """Write what `dask.array.to_npy_stack` would, X and y of a block together: each block is drawn once."""
    shapes = {"X": (block_rows, N_FEATURES), "y": (block_rows,)}
    for name in shapes:
        (folder / name).mkdir()
    for number in range(n_blocks):
        block = dict(zip(shapes, make_block(number, block_rows, seed), strict=True))
        for name, rows in block.items():
            np.save(folder / name / f"{number}.npy", rows)
    for name, shape in shapes.items():
        chunks = ((block_rows,) * n_blocks, *((size,) for size in shape[1:]))
        info = {"chunks": chunks, "dtype": block[name].dtype, "axis": 0}
        (folder / name / "info").write_bytes(pickle.dumps(info))
    return da.from_npy_stack(folder / "X"), da.from_npy_stack(folder / "y")


def write_zarr(folder: Path, n_blocks: int, block_rows: int, seed: int) -> tuple[da.Array, da.Array]:
    """Write two zarr arrays, one chunk a block."""
    import zarr

    n_rows = n_blocks * block_rows
    X_store = zarr.create_array(
        folder / "X.zarr", shape=(n_rows, N_FEATURES), chunks=(block_rows, N_FEATURES), dtype="f4", compressors=None
    )
    y_store = zarr.create_array(folder / "y.zarr", shape=(n_rows,), chunks=(block_rows,), dtype="i1", compressors=None)
    for number in range(n_blocks):
        rows = slice(number * block_rows, (number + 1) * block_rows)
        X_store[rows], y_store[rows] = make_block(number, block_rows, seed)
    return da.from_zarr(folder / "X.zarr"), da.from_zarr(folder / "y.zarr")


Writer = Callable[[Path, int, int, int], tuple[da.Array, da.Array]]
WRITERS: dict[str, Writer] = {"npy": write_npy, "zarr": write_zarr}


def peak_memory() -> int:
    """Most bytes that this process ever held resident."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of a worker starts at that of the process which started it
        return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=parse_bytes, default="5GB", help="size of the data (%(default)s)")
    parser.add_argument("--memory", type=parse_bytes, help="limit of all workers together (a tenth of --size)")
    parser.add_argument("--workers", type=int, default=1, help="worker processes (%(default)s)")
    parser.add_argument("--block", type=parse_bytes, default="16MB", help="size of a block (%(default)s)")
    parser.add_argument("--format", choices=WRITERS, default="npy", help="how to write it (%(default)s)")
    parser.add_argument("--path", type=Path, help="folder to write into (the system's temporary one)")
    parser.add_argument("--max-iter", type=int, default=81, help="most partial_fit calls for a model (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the data and the search (%(default)s)")
    arguments = parser.parse_args()
    if arguments.workers < 1:
        parser.error(f"--workers {arguments.workers}: at least 1")
    if not ROW_BYTES <= arguments.block <= arguments.size:
        parser.error(f"--block {format_bytes(arguments.block)}: from one row of {ROW_BYTES} bytes to --size")
    if arguments.memory is None:
        arguments.memory = arguments.size // 10
    least = arguments.workers * LEAST_WORKER_MEMORY
    if arguments.memory < least:
        parser.error(
            f"{arguments.workers} worker(s) with {arguments.memory / 1e6:.0f} MB together: Python with scikit-learn "
            f"and Dask needs {LEAST_WORKER_MEMORY / 1e6:.0f} MB each. Say --memory {least / 1e6:.0f}MB, or for a tenth "
            f"of the data --size {least / 1e8:.0f}GB"
        )
    return arguments


# The workers import this script, so only the process that was started by hand may search.
if __name__ == "__main__":
    main()
