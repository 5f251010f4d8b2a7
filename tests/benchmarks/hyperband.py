"""HyperbandSearchCV on data that fits: dhpo and dask-ml in turns, each on a new cluster of two workers.

    python tests/benchmarks/hyperband.py --rounds 3

makes dask-ml an environment of its own at the first run (a minute), in a folder that --venv names.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hyperband_once
import measure
from environments import below_cache, python_with, without_our_packages
from measure import MB, median, overhead_per_call, useful_share, verdict

HERE = Path(__file__).parent
RIVAL = [
    "dask==2025.2.0",
    "distributed==2025.2.0",
    "dask-ml==2025.1.0",
    "scikit-learn<1.7",
    "pandas<3",
    "numpy<2.3",
    "psutil",
]
FORWARDED = ("rows", "features", "blocks", "max_iter", "workers", "seed")

Figures = dict[str, Any]


def our_cluster(workers: int) -> Any:
    """Make the cluster that dhpo's users are told to make."""
    import clusters

    return clusters.local(workers=workers, memory="2GB", dashboard=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    hyperband_once.add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each library (%(default)s)")
    parser.add_argument(
        "--venv", type=Path, default=below_cache("dask-ml-2025.1.0"), help="dask-ml's environment (%(default)s)"
    )
    parser.add_argument("--no-rival", action="store_true", help="measure dhpo alone")
    parser.add_argument(
        "--plain-cluster",
        action="store_true",
        help="run dhpo on distributed.LocalCluster as Dask makes it too, instead of on clusters.local",
    )
    parser.add_argument("--once", action="store_true", help="measure dhpo once, in this process, and print JSON alone")
    arguments = parser.parse_args()
    if arguments.once:
        from dhpo import HyperbandSearchCV

        make_cluster = hyperband_once.plain_cluster if arguments.plain_cluster else our_cluster
        measure.print_json(hyperband_once.run_once(HyperbandSearchCV, arguments, make_cluster))
        return

    measure.print_machine("dhpo", "dask", "distributed", "scikit-learn", "numpy")
    rival = None if arguments.no_rival else python_with(RIVAL, arguments.venv)
    ours: list[Figures] = []
    theirs: list[Figures] = []
    for _ in range(arguments.rounds):
        plain = ["--plain-cluster"] if arguments.plain_cluster else []
        ours.append(run([sys.executable, str(HERE / "hyperband.py"), "--once", *plain], arguments))
        if rival is not None:
            theirs.append(run([str(rival), str(HERE / "rival_dask_ml.py")], arguments, without_our_packages()))
    if theirs:
        print(f"dask-ml's:  {theirs[0]['versions']}")
    show(ours, theirs, arguments)
    measure.print_json({"dhpo": ours, "dask-ml": theirs})


def run(command: Sequence[str], arguments: argparse.Namespace, environment: dict[str, str] | None = None) -> Figures:
    """Run one search in a new process, and take the last line that it prints."""
    options = [f"--{name.replace('_', '-')}={getattr(arguments, name)}" for name in FORWARDED]
    done = subprocess.run(
        [*command, *options], stdout=subprocess.PIPE, text=True, check=False, timeout=1800, env=environment
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}; what it said is above")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def show(ours: Sequence[Figures], theirs: Sequence[Figures], arguments: argparse.Namespace) -> None:
    """Print both libraries side by side, medians over the rounds, and what the project asks of dhpo."""
    data = ours[0]["data"]
    for one in (*ours, *theirs):
        one["overhead"] = overhead_per_call(one)
        one["useful_share"] = useful_share(one)
        one["least"] = one["useful_cpu"] / one["threads"]
        one["to_limit"] = one["wall"] / one["least"]
        one["worker_peak"] = max(worker["rss_peak"] for worker in one["workers"])
    per_round = list(zip(ours, theirs, strict=bool(theirs)))

    def row(title: str, name: str, scale: float, form: str, said: str = "", ratios: bool = True) -> list[str]:
        cells = [title] + [f"{median(side, name) / scale:{form}}" for side in (ours, theirs) if side]
        if theirs:
            ratio = [t[name] / o[name] for o, t in per_round if o[name]]
            middle = median([{"ratio": r} for r in ratio], "ratio") if ratio and ratios else None
            cells.append(f"{middle:.1f}" if middle is not None else "")
        return [*cells, said]

    def held(name: str, scale: float, limit: float, words: str) -> str:
        return verdict(median(ours, name) / scale <= limit, words)

    faster = ""
    if theirs:
        times = median([{"ratio": t["wall"] / o["wall"]} for o, t in per_round], "ratio")
        faster = verdict(times >= 5, "asked: 5 times faster or more")
    header = ["", "dhpo", *(["dask-ml", "ratio"] if theirs else []), "of dhpo is asked"]
    rows = [
        row("models", "models", 1, ".0f", ratios=False),
        row("partial_fit calls", "calls", 1, ",.0f", ratios=False),
        row("calls of score", "scores", 1, ",.0f", ratios=False),
        row("tasks, all", "tasks", 1, ",.0f", held("tasks", 1, 200, "asked: at most 200")),
        row("wall, s", "wall", 1, ".2f", faster),
        row("CPU in partial_fit and scoring, s", "useful_cpu", 1, ".2f"),
        row("CPU of workers, s", "worker_cpu", 1, ".2f"),
        row("CPU of scheduler and client, s", "driver_cpu", 1, ".2f"),
        row("  an idle cluster takes in that time, s", "idle_cpu", 1, ".2f"),
        row(
            "overhead CPU for each call, ms", "overhead", 1e-3, ".2f", held("overhead", 1e-3, 0.5, "asked: at most 0.5")
        ),
        row("useful share of all CPU", "useful_share", 1, ".2f", ratios=False),
        row("useful CPU / threads, s", "least", 1, ".2f"),
        row("wall / (useful CPU / threads)", "to_limit", 1, ".2f"),
        row(
            "moved by workers, MB",
            "moved",
            MB,
            ".2f",
            held("moved", 1, data, f"asked: below the data, {data / MB:.1f} MB"),
        ),
        row("all bytes on loopback, MB", "loopback", MB, ".1f"),
        row("blocks drawn", "drawn", 1, ".0f"),
        row("read by workers, read(2), MB", "read_calls", MB, ".1f"),
        row(
            "managed memory peak / data",
            "managed_peak",
            data,
            ".2f",
            held("managed_peak", data, 1.3, "asked: below 1.3"),
        ),
        row("all memory grown to / data", "rss_grown", data, ".2f"),
        row("peak RSS of a worker, MB", "worker_peak", MB, ".0f"),
        row("best score", "score", 1, ".4f", ratios=False),
        row("speed probe before, s", "probe", 1, ".2f", ratios=False),
    ]
    title = (
        f"HyperbandSearchCV(max_iter={arguments.max_iter}, aggressiveness=3), SGDClassifier, {arguments.rows:,} x "
        f"{arguments.features} float64 in {arguments.blocks} chunks ({data / MB:.1f} MB), {arguments.workers} workers "
        f"x 1 thread; medians of {len(ours)} rounds, ratios dask-ml / dhpo within each"
    )
    measure.print_table(title, header, rows)
    for name, side in (("dhpo", ours), ("dask-ml", theirs)):
        if side:
            print(f"  wall of each round of {name}, s: " + ", ".join(f"{one['wall']:.2f}" for one in side))
    print(f"  tasks of dhpo: {ours[-1]['tasks_by_name']}")


if __name__ == "__main__":
    main()
