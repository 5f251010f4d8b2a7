"""HyperbandSearchCV on data on disk, ten times larger than the limits of all workers together.

    python tests/benchmarks/larger_than_memory.py --memory 512MB --workers 2

writes 10 GB into a temporary folder, searches, and deletes them. It does so in an environment of its own, which is made
at the first run: the tests' has dask-ml and with it numba, 60 MB of each worker. --here stays in this one.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import measure
import numpy as np
import workload
from dask.utils import format_bytes, parse_bytes
from distributed import Client
from environments import ROOT, below_cache, python_with, requirements_of_dhpo
from measure import MB, overhead_per_call, useful_share, verdict

Figures = dict[str, Any]

WRITERS = {"npy": workload.write_npy, "zarr": workload.write_zarr}
READERS = {"npy": workload.read_npy, "zarr": workload.read_zarr}
# The disk must hold the data, and what a search may copy of it.
FREE_BYTES_PER_BYTE = 2.2
PROBED_BYTES = 2_000_000_000


def main() -> None:
    arguments = parse_arguments()
    if not arguments.here:
        python = python_with(requirements_of_dhpo(), arguments.venv)
        command = [str(python), "-u", *sys.argv, "--here"]
        raise SystemExit(subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False).returncode)
    measure.print_machine("dhpo", "dask", "distributed", "scikit-learn", "numpy")
    free = shutil.disk_usage(arguments.path or tempfile.gettempdir()).free
    if free < FREE_BYTES_PER_BYTE * data_bytes(arguments):
        raise SystemExit(f"{format_bytes(data_bytes(arguments))} of data do not fit: {format_bytes(free)} are free")
    with tempfile.TemporaryDirectory(dir=arguments.path, prefix="benchmark-") as folder:
        figures = run(Path(folder), arguments)
    show(figures, arguments)
    measure.print_json(figures)


def run(folder: Path, arguments: argparse.Namespace) -> Figures:
    """Write the data, search, and measure."""
    import clusters
    from dhpo import HyperbandSearchCV

    shape = (arguments.n_blocks, arguments.block_rows, arguments.features)
    began = time.perf_counter()
    source = folder / "data"
    source.mkdir()
    WRITERS[arguments.format](source, *shape, arguments.seed)
    written = time.perf_counter() - began
    print(f"wrote {format_bytes(data_bytes(arguments))} in {arguments.n_blocks} blocks in {written:.1f} s", flush=True)

    def search(max_iter: int) -> Any:
        return HyperbandSearchCV(
            workload.MeasuredSGD(), workload.sgd_space(), max_iter=max_iter, random_state=arguments.seed, verbose=0
        )

    with (
        clusters.local(
            workers=arguments.workers,
            threads=arguments.threads,
            memory=arguments.memory,
            dashboard=None,
            # What Dask spills and what the search copies lies beside the data.
            local_directory=str(folder),
        ) as cluster,
        Client(cluster) as client,
    ):
        # The workers import what they need, which is no part of a search.
        search(3).fit(*workload.drawn(400, arguments.features, 4, seed=1), classes=workload.CLASSES)
        log = folder / "reads"
        X, y = READERS[arguments.format](source, *shape, str(log))
        the_search = search(arguments.max_iter)
        speed = reading_speed(source)
        probe, idle = measure.speed_probe(), measure.idle_cpu(client)
        meter = measure.Meter(cluster, client)
        meter.start()
        the_search.fit(X, y, classes=workload.CLASSES)
        figures = meter.stop()
        reads = workload.reads_of_blocks(log)
    return {
        **figures,
        "probe": probe,
        "idle_cpu": idle * figures["wall"],
        "models": len(the_search.cv_results_["params"]),
        "score": float(the_search.best_score_),
        "data": data_bytes(arguments),
        "n_blocks": arguments.n_blocks,
        "reads": sum(reads.values()),
        "reads_of_a_block": max(reads.values()),
        "blocks_by_reads": dict(sorted(Counter(reads.values()).items())),
        "read_bytes": sum(reads.values()) * data_bytes(arguments) / arguments.n_blocks,
        "own_count": the_search.metadata_["blocks_read"],
        "speed": speed,
    }


def reading_speed(folder: Path) -> float:
    """Bytes a second at which this process reads the files now, as the search will: from the page cache or the disk."""
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: -path.stat().st_size)
    total, began = 0, time.perf_counter()
    for path in files:
        total += np.fromfile(path, dtype=np.uint8).nbytes
        if total > PROBED_BYTES:
            break
    return total / (time.perf_counter() - began)


def show(figures: Figures, arguments: argparse.Namespace) -> None:
    """Print what was measured, and what the project asks."""
    threads = figures["threads"]
    passes = math.ceil(arguments.max_iter / arguments.n_blocks)
    useful = figures["useful_cpu"] / threads
    reading = figures["read_bytes"] / figures["speed"]
    share = useful_share(figures)
    most = figures["reads_of_a_block"]
    workers = figures["workers"]
    highest = max(worker["rss_peak"] / worker["limit"] for worker in workers)
    limit = sum(worker["limit"] for worker in workers)

    rows = [
        [
            "data / limits of all workers",
            f"{figures['data'] / limit:.1f}",
            verdict(figures["data"] >= 10 * limit, "asked: 10"),
        ],
        ["models", f"{figures['models']}"],
        ["partial_fit calls", f"{figures['calls']:,}"],
        ["calls of score, block by block", f"{figures['scores']:,}"],
        ["tasks, all", f"{figures['tasks']:,}"],
        ["wall, s", f"{figures['wall']:.1f}"],
        ["CPU in partial_fit and scoring, s", f"{figures['useful_cpu']:.1f}"],
        ["CPU of workers, s", f"{figures['worker_cpu']:.1f}"],
        ["CPU of scheduler and client, s", f"{figures['driver_cpu']:.1f}"],
        ["  an idle cluster takes in that time, s", f"{figures['idle_cpu']:.1f}"],
        ["overhead CPU for each call, ms", f"{1e3 * overhead_per_call(figures):.2f}"],
        ["useful share of all CPU", f"{share:.2f}", verdict(share >= 0.7, "asked: at least 0.7")],
        ["moved by workers, MB", f"{figures['moved'] / MB:.2f}"],
        ["all bytes on loopback, MB", f"{figures['loopback'] / MB:.1f}"],
        ["loads of blocks from the source, by its log", f"{figures['reads']:,}"],
        ["  training blocks by dhpo's own count, copies too", f"{figures['own_count']:,}"],
        ["  passes over the data", f"{figures['reads'] / figures['n_blocks']:.2f}"],
        ["  bytes, GB", f"{figures['read_bytes'] / 1e9:.2f}"],
        [
            "  of one block, at most",
            f"{most}",
            verdict(most <= threads * passes, f"asked: {threads} cohorts x {passes} passes"),
        ],
        [
            "  of one block, the first look apart",
            f"{most - 1}",
            verdict(most - 1 <= threads * passes, f"asked: {threads} cohorts x {passes} passes"),
        ],
        ["read by workers, read(2), GB", f"{figures['read_calls'] / 1e9:.2f}"],
        ["  from the disk, GB", f"{figures['disk_read'] / 1e9:.2f}"],
        ["spilled, MB", f"{figures['spilled'] / MB:.0f}", verdict(not figures["spilled"], "asked: none")],
        ["pauses", f"{figures['paused']}", verdict(not figures["paused"], "asked: none")],
        ["restarts", f"{figures['restarts']}", verdict(not figures["restarts"], "asked: none")],
        *[
            [
                f"peak RSS of worker {number}, MB",
                f"{worker['rss_peak'] / MB:.0f}",
                verdict(worker["rss_peak"] < worker["limit"], f"limit {worker['limit'] / MB:.0f}"),
            ]
            for number, worker in enumerate(workers)
        ],
        ["  the highest / its limit", f"{highest:.2f}"],
        ["managed memory peak, MB", f"{figures['managed_peak'] / MB:.1f}"],
        ["useful CPU / threads, s", f"{useful:.1f}"],
        [f"bytes / reading speed ({figures['speed'] / 1e9:.2f} GB/s now), s", f"{reading:.1f}"],
        ["wall / the larger of the two", f"{figures['wall'] / max(useful, reading):.2f}"],
        ["best score", f"{figures['score']:.4f}"],
        ["speed probe before, s", f"{figures['probe']:.2f}"],
    ]
    title = (
        f"HyperbandSearchCV(max_iter={arguments.max_iter}, aggressiveness=3), SGDClassifier, "
        f"{format_bytes(figures['data'])} as {arguments.format} in {figures['n_blocks']} blocks, {len(workers)} "
        f"workers x {arguments.threads} thread(s), {format_bytes(arguments.memory)} each"
    )
    measure.print_table(title, ["", "dhpo", " "], rows)
    if figures["own_count"] > figures["reads"]:
        print("  NOTE: dhpo has read copies that it made of some blocks; the loads of one block above leave them out")
    print(f"  blocks by number of loads: {figures['blocks_by_reads']}")
    print(f"  tasks: {figures['tasks_by_name']}")


def data_bytes(arguments: argparse.Namespace) -> int:
    """Bytes of X and y."""
    return int(arguments.n_blocks * arguments.block_rows * (4 * arguments.features + 1))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--memory", type=parse_bytes, default="512MB", help="limit of each worker (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each (%(default)s)")
    parser.add_argument("--times", type=float, default=10, help="data / limits of all workers (%(default)s)")
    parser.add_argument("--block", type=parse_bytes, default="16MB", help="size of a block (%(default)s)")
    parser.add_argument("--features", type=int, default=64, help="columns of float32 (%(default)s)")
    parser.add_argument("--format", choices=WRITERS, default="npy", help="how to write the data (%(default)s)")
    parser.add_argument("--max-iter", type=int, default=81, help="most partial_fit calls for a model (%(default)s)")
    parser.add_argument("--path", type=Path, help="folder to write into (the system's temporary one)")
    parser.add_argument("--seed", type=int, default=0, help="of the data and the search (%(default)s)")
    parser.add_argument("--venv", type=Path, default=below_cache("dhpo"), help="the environment (%(default)s)")
    parser.add_argument("--here", action="store_true", help="measure in the environment of this process")
    arguments = parser.parse_args()
    arguments.block_rows = arguments.block // (4 * arguments.features + 1)
    block = arguments.block_rows * (4 * arguments.features + 1)
    arguments.n_blocks = math.ceil(arguments.times * arguments.memory * arguments.workers / block)
    return arguments


if __name__ == "__main__":
    main()
