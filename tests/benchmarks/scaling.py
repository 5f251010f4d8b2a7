"""Hyperband, Hyperband with work ahead and ASHA on 1 to 10,000 virtual workers: nothing is trained, no cluster is used.

python tests/benchmarks/scaling.py --max-iter 2187
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import measure

from dhpo.schedules import ASHA, Hyperband, Schedule
from dhpo.testing import lognormal_stragglers, simulate

WORKERS = (1, 10, 100, 1_000, 10_000)
SLOW = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--max-iter", type=int, default=2187, help="most calls of one trial (%(default)s)")
    parser.add_argument("--aggressiveness", type=int, default=3, help="eta (%(default)s)")
    parser.add_argument("--trials", type=int, help="of ASHA (about as many calls as Hyperband makes)")
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS, help="numbers of them (%(default)s)")
    parser.add_argument("--sigma", type=float, default=0.7, help="spread of the stragglers (%(default)s)")
    parser.add_argument("--drop-rate", type=float, default=0.0001, help="of jobs, in a second (%(default)s)")
    parser.add_argument("--calls-per-step", type=int, help="let jobs move between workers that often (never)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    arguments = parser.parse_args()
    results = run(arguments)
    show(results, arguments)
    measure.print_json({"rows": results})


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Simulate every schedule in every setting on every number of workers."""
    max_iter, eta = arguments.max_iter, arguments.aggressiveness
    n_trials = arguments.trials or _as_many_calls(Hyperband(max_iter, eta).plan().partial_fit_calls, max_iter, eta)
    schedules: dict[str, tuple[Callable[[], Schedule], bool]] = {
        "Hyperband": (lambda: Hyperband(max_iter, eta), False),
        "Hyperband, work ahead": (lambda: Hyperband(max_iter, eta), True),
        "ASHA": (lambda: ASHA(n_trials, 1, max_iter, eta), False),
    }
    settings: dict[str, dict[str, Any]] = {
        "even": {"durations": 1.0},
        "stragglers, lost jobs": {
            "durations": lognormal_stragglers(1.0, arguments.sigma),
            "drop_rate": arguments.drop_rate,
        },
    }
    cases = [(setting, workers, options) for setting, options in settings.items() for workers in arguments.workers]
    cases.append((f"one of 4 at speed {SLOW}", 4, {"durations": 1.0, "speeds": (1.0, 1.0, 1.0, SLOW)}))
    rows = []
    for setting, workers, options in cases:
        for name, (make, speculate) in schedules.items():
            began = time.perf_counter()
            result = simulate(
                make(),
                workers=workers,
                speculate=speculate,
                seed=arguments.seed,
                calls_per_step=arguments.calls_per_step,
                **options,
            )
            rows.append(
                {
                    "setting": setting,
                    "workers": workers,
                    "schedule": name,
                    "makespan": result.makespan,
                    "busy": result.busy,
                    "occupied": result.occupied,
                    "first": result.finishes[0] if result.finishes else None,
                    "finished": len(result.finishes),
                    "useful": result.useful,
                    "wasted": result.wasted,
                    "lost": result.lost,
                    "real_seconds": time.perf_counter() - began,
                }
            )
    return rows


def _as_many_calls(calls: int, max_iter: int, eta: int) -> int:
    n_trials = 1
    while ASHA(2 * n_trials, 1, max_iter, eta).plan().partial_fit_calls < calls:
        n_trials *= 2
    return n_trials * calls // ASHA(n_trials, 1, max_iter, eta).plan().partial_fit_calls


def show(results: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Print a table for each setting; a call takes one second (the median, with stragglers)."""
    header = ["workers", "", "makespan, s", "busy", "all work", "first at max, s", "at max", "calls", "wasted", "lost"]
    for setting in dict.fromkeys(row["setting"] for row in results):
        rows = [
            [
                f"{row['workers']:,}",
                row["schedule"],
                f"{row['makespan']:,.0f}",
                f"{row['busy']:.3f}",
                f"{row['occupied']:.3f}",
                "never" if row["first"] is None else f"{row['first']:,.0f}",
                f"{row['finished']:,}",
                f"{row['useful']:,}",
                f"{row['wasted']:,}",
                f"{row['lost']:,}",
            ]
            for row in results
            if row["setting"] == setting
        ]
        title = f"{setting}: max_iter={arguments.max_iter}, aggressiveness={arguments.aggressiveness}, 1 s a call"
        measure.print_table(title, header, rows)


if __name__ == "__main__":
    main()
