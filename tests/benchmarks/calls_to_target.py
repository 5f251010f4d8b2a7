"""Calls of partial_fit until a score is reached: ASHASearchCV and HyperbandSearchCV beside the loops of their papers.

    python tests/benchmarks/calls_to_target.py --seeds 20

Both sides try the same configurations with the same seeds, so that the ratios are paired: it is the median of these
that is judged, for the ratio of the medians of 20 seeds lies between 0.7 and 1.4 where nothing differs at all. Of the
classes every call counts that was made by the time at which the search knows the score, by whatever trial. The papers'
side is a loop over jobs, with as many ideal workers; it takes what scores the class has found, and trains for the
others.
"""

from __future__ import annotations

import argparse
import heapq
import math
import statistics
import time
import warnings
from typing import Any

import measure
import numpy as np
from distributed import Client, LocalCluster
from learning_tasks import MAX_CALLS, TASKS, Task, Trained
from measure import verdict
from textbooks import ETA, Curve, Scores, asha, calls_until, hyperband

# Enough for the calls of the budget, with what ASHA adds on its upper rungs.
ASHA_TRIALS = 442
CALLS = 1620
ASKED = 1.1
PROBLEMS = ("MLP", "SGD")


# -- the schedule -----------------------------------------------------------------------------------------------------


def asha_of_dhpo(score: Scores, n_workers: int) -> Curve:
    """The schedule of ASHASearchCV, asked and told in place: what its bound on promotions makes, and not its cluster.

    Of n trials it promotes n // 3 at most. The paper promotes in addition whoever outranks them later.
    """
    from dhpo.schedules import ASHA
    from dhpo.trial import Report, Train

    schedule = ASHA(ASHA_TRIALS, 1, MAX_CALLS, ETA)
    calls, now = 0, 0
    seen: dict[int, int] = {}
    running: list[tuple[int, int, int]] = []
    while not schedule.done:
        while len(running) < n_workers and (decision := schedule.ask()) is not None:
            if isinstance(decision, Train):
                added = decision.resource - seen.get(decision.trial, 0)
                heapq.heappush(running, (now + added, decision.trial, decision.resource))
        if not running:
            break
        now, trial, resource = heapq.heappop(running)
        calls += resource - seen.get(trial, 0)
        seen[trial] = resource
        found = score(trial, resource)
        schedule.tell(Report(trial, resource, found))
        yield calls, found


TEXTBOOKS = {"ASHA": asha, "Hyperband": hyperband}


# -- the classes ------------------------------------------------------------------------------------------------------


def make_search(kind: str, task: Task, seed: int) -> Any:
    """The search as a user makes it."""
    import dhpo

    what = {"max_iter": MAX_CALLS, "scoring": task.scoring, "random_state": seed, "verbose": 0}
    if kind == "ASHA":
        return dhpo.ASHASearchCV(task.estimator, task.seeded_space, n_initial_parameters=ASHA_TRIALS, **what)
    return dhpo.HyperbandSearchCV(task.estimator, task.seeded_space, **what)


def searched(search: Any, task: Task, stop_at: float) -> tuple[Any, float]:
    """Run a search until a score is reached; its history, and the seconds."""
    blocks = task.blocks
    began = time.perf_counter()
    run = search.start(blocks.X, blocks.y, classes=task.classes, validation_data=blocks.held_out)
    while not run.done and (run.best is None or run.best.report.score < stop_at):
        time.sleep(0.02)
    run.stop()
    run.result()
    return run.history, time.perf_counter() - began


def curve_of(history: Any) -> Curve:
    """The scores of a search as they came to be known, with all calls made by then, those in vain too."""
    from dhpo.history.events import Reported, StepDone

    calls = 0
    for event in history.events:
        if isinstance(event, StepDone):
            calls += event.stats.calls
        elif isinstance(event, Reported):
            yield calls, event.report.score


def n_steps(history: Any) -> int:
    """Dask tasks that have come back."""
    from dhpo.history.events import StepDone

    return sum(isinstance(event, StepDone) for event in history.events)


# -- both -------------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="searches of each kind (%(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, help="of the searches (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="workers of one thread (%(default)s)")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS), help="what is trained")
    parser.add_argument("--kinds", nargs="+", choices=TEXTBOOKS, default=list(TEXTBOOKS), help="the searches")
    arguments = parser.parse_args()
    measure.print_machine("dhpo", "dask", "distributed", "scikit-learn", "numpy")
    warnings.filterwarnings("ignore")
    rows = run(arguments)
    show(rows, arguments)
    measure.print_json({"rows": rows})


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """All searches of all kinds, each beside its paper."""
    rows = []
    with (
        LocalCluster(
            n_workers=arguments.workers,
            threads_per_worker=1,
            memory_limit="2GB",
            host="127.0.0.1",
            protocol="tcp://",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster),
    ):
        for problem in arguments.problems:
            task = TASKS[problem]
            targets = task.targets
            for kind in arguments.kinds:
                found: dict[float, list[tuple[float, ...]]] = {target: [] for target in targets}
                walls, per_step, agreed = [], [], True
                for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
                    history, wall = searched(make_search(kind, task, seed), task, max(targets))
                    score = Trained(task, seed)
                    score.take_in(history)
                    if seed == arguments.first_seed:
                        agreed = agree(score)
                    for target in targets:
                        ours = calls_until(curve_of(history), target, CALLS)
                        theirs = calls_until(TEXTBOOKS[kind](score, arguments.workers), target, CALLS)
                        alone = asha_of_dhpo(score, arguments.workers) if kind == "ASHA" else ()
                        found[target].append((ours, theirs, calls_until(alone, target, CALLS)))
                    walls.append(wall / max(history.partial_fit_calls, 1))
                    per_step.append(history.partial_fit_calls / n_steps(history))
                    print(
                        f"  {kind} {problem} seed {seed}: " + ", ".join(f"{t:g} {found[t][-1]}" for t in targets),
                        flush=True,
                    )
                for target in targets:
                    rows.append(
                        {
                            "kind": kind,
                            "problem": problem,
                            "target": target,
                            "calls": [ours for ours, _, _ in found[target]],
                            "textbook": [theirs for _, theirs, _ in found[target]],
                            "schedule": [alone for _, _, alone in found[target]] if kind == "ASHA" else None,
                            "wall_per_call": statistics.median(walls),
                            "calls_per_step": statistics.median(per_step),
                            "same_scores": agreed,
                        }
                    )
    return rows


def agree(score: Trained, many: int = 20) -> bool:
    """Whether models that are trained here score what they score in the class."""
    pairs = sorted(score.known, key=lambda pair: (pair[0], pair[1]))[:many]
    return all(np.array_equal(score.train(*pair), score.known[pair], equal_nan=True) for pair in pairs)


def ratio(row: dict[str, Any]) -> float:
    """Median calls of the class, as a multiple of the median calls of its paper."""
    ours, theirs = statistics.median(row["calls"]), statistics.median(row["textbook"])
    return ours / theirs if math.isfinite(theirs) else math.nan


def paired(row: dict[str, Any]) -> float:
    """Median over the seeds of the ratio of both, where the paper's search came to the target."""
    ratios = [o / t for o, t in zip(row["calls"], row["textbook"], strict=True) if math.isfinite(t)]
    return statistics.median(ratios) if ratios else math.nan


def interval(row: dict[str, Any], many: int = 2000) -> tuple[float, float]:
    """Where the ratio of the medians lies in nine of ten drawings of as many seeds from these (bootstrap)."""
    ours, theirs = np.array(row["calls"]), np.array(row["textbook"])
    drawn = np.random.default_rng(0).integers(0, len(ours), (many, len(ours)))
    medians = np.median(ours[drawn], axis=1), np.median(theirs[drawn], axis=1)
    reached = np.isfinite(medians[1])
    if not reached.any():
        return math.nan, math.nan
    low, high = np.percentile(medians[0][reached] / medians[1][reached], [5, 95], method="nearest")
    return float(low), float(high)


def show(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Print the medians of both sides."""

    def side(values: list[float]) -> str:
        reached = sum(math.isfinite(value) for value in values)
        return f"{statistics.median(values):g} ({reached} of {len(values)})"

    table = [
        [
            f"{row['kind']}, {row['problem']} >= {row['target']:.3f}",
            side(row["calls"]),
            side(row["textbook"]),
            side(row["schedule"]) if row["schedule"] else "",
            "{:.2f} ({:.2f} to {:.2f})".format(ratio(row), *interval(row)),
            f"{paired(row):.2f}",
            f"{row['calls_per_step']:.1f}",
            f"{1e3 * row['wall_per_call']:.1f}",
            verdict(paired(row) <= ASKED, f"asked: at most {ASKED}") if arguments.workers == 1 else "",
        ]
        for row in rows
    ]
    measure.print_table(
        f"Median calls until a score is reached, and how many of the searches came there within {CALLS:,} calls; "
        f"digits, 600 rows to train, {arguments.workers} workers x 1 thread, {arguments.seeds} seeds",
        ["", "class", "paper", "schedule alone", "ratio (90 %)", "of a seed", "calls a step", "ms a call", " "],
        table,
    )


if __name__ == "__main__":
    main()
