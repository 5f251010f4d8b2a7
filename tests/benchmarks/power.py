"""Calls of partial_fit until a score is reached: dhpo's searches beside those of Optuna, scikit-learn and Ray.

    python tests/benchmarks/power.py --seeds 30 --out power.jsonl

Every search is run by the class that its users call, on one worker of one thread: ours on a cluster, scikit-learn's
HalvingRandomSearchCV with the number of calls as its resource, Optuna by a loop of ask, report and tell with its
pruner, Ray's ASHA by its scheduler, told of each score. All that draw at random try the same configurations in the
same order, with the same models, so that they differ by what they stop alone. Trials are scored after 1, 3, 9, 27 and
81 calls. Every call counts that was made until the search knew the score, those in vain, too, up to 1,620.

With `--out` each search is written down as it ends, and what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import learning_tasks
import measure
import numpy as np
import optuna
from calls_to_target import ASHA_TRIALS, CALLS, curve_of, searched
from distributed import Client, LocalCluster
from learning_tasks import MAX_CALLS, TASKS, Task, Trained
from measure import verdict
from population_based import population_based
from sklearn.base import BaseEstimator
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV
from textbooks import ETA, Curve, asha, calls_until, hyperband

import dhpo
from dhpo.space.seeds import seed_for

RUNGS = tuple(ETA**rung for rung in range(5))
# Configurations of one halving: as many as one of them may get all calls.
HALVED = RUNGS[-1]


# -- ours -------------------------------------------------------------------------------------------------------------


def our_search(kind: str, task: Task, seed: int) -> Any:
    """The search as a user makes it."""
    name, _, how = kind.partition(", ")
    learns = how == "tpe" or name == "BOHBSearchCV"
    options = {"max_iter": MAX_CALLS, "scoring": task.scoring, "random_state": seed, "verbose": 0}
    if name == "ASHASearchCV":
        options["n_initial_parameters"] = ASHA_TRIALS
        options["deterministic"] = how == "deterministic"
    if how == "tpe":
        options["sampler"] = "tpe"
    # A sampler that learns should not learn from the seeds of the models.
    return getattr(dhpo, name)(task.estimator, task.space if learns else task.seeded_space, **options)


OURS = (
    "ASHASearchCV",
    "ASHASearchCV, deterministic",
    "HyperbandSearchCV",
    "ASHASearchCV, tpe",
    "BOHBSearchCV",
)


# -- the others -------------------------------------------------------------------------------------------------------


def optuna_search(sampler: str, pruner: str, task: Task, seed: int, score: Trained) -> Curve:
    """Ask, train and report, tell: with Optuna's own suggestions for TPE, and else with the draws that all share."""
    pruners = {
        "SuccessiveHalving": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA),
        "Hyperband": lambda: optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=MAX_CALLS, reduction_factor=ETA
        ),
    }
    samplers = {"random": optuna.samplers.RandomSampler, "TPE": optuna.samplers.TPESampler}
    study = optuna.create_study(
        study_name=f"power-{seed}",  # the brackets of Hyperband are drawn from it
        direction="maximize",
        sampler=samplers[sampler](seed=seed),
        pruner=pruners[pruner](),
    )
    suggested: dict[int, dict[str, Any]] = {}
    if sampler == "TPE":
        score = Trained(task, seed, suggested.__getitem__)
    calls = 0
    while True:
        trial = study.ask()
        if sampler == "TPE":
            suggested[trial.number] = suggest(trial, task, seed)
        last, pruned = 0, False
        for resource in RUNGS:
            value = score(trial.number, resource)
            calls, last = calls + resource - last, resource
            yield calls, value
            # A study takes no infinite value: a trial that diverged is as bad as one can be.
            trial.report(value if math.isfinite(value) else -1e9, resource)
            if pruned := trial.should_prune():
                break
        if pruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, value if math.isfinite(value) else -1e9)


def suggest(trial: optuna.Trial, task: Task, seed: int) -> dict[str, Any]:
    """What Optuna suggests for a space of SciPy's distributions."""
    space = task.space
    if isinstance(space, list):
        space = space[trial.suggest_categorical("which", range(len(space)))]
    params = {name: suggest_value(trial, name, values) for name, values in space.items()}
    if learning_tasks.takes_seed(space):
        params[task.seed_parameter] = seed_for(seed, trial.number, "model")
    return params


def suggest_value(trial: optuna.Trial, name: str, values: Any) -> Any:
    if isinstance(values, list):
        return values[trial.suggest_categorical(name, range(len(values)))] if len(values) > 1 else values[0]
    if isinstance(values, learning_tasks.OneHiddenLayer):
        return (trial.suggest_int(name, values.low, values.high, log=True),)
    low, high = map(float, values.support())
    return trial.suggest_float(name, low, high, log=values.dist.name in ("loguniform", "reciprocal"))


def scikit_learn_search(task: Task, seed: int, score: Trained) -> Curve:
    """HalvingRandomSearchCV again and again, each time over the next candidates; it trains anew at each rung."""

    class Candidate(BaseEstimator):
        def __init__(self, number: int = 0, n_calls: int = 1) -> None:
            self.number, self.n_calls = number, n_calls

        def fit(self, X: Any, y: Any) -> Any:
            return self

        def score(self, X: Any, y: Any) -> float:
            value = score(self.number, self.n_calls)
            made.append((self.n_calls, value))
            if sum(calls for calls, _ in made) > CALLS:
                raise StopAsyncIteration
            return value if math.isfinite(value) else -1e9

    made: list[tuple[int, float]] = []
    rows = np.arange(4)
    for first in range(0, ASHA_TRIALS, HALVED):
        search = HalvingRandomSearchCV(
            Candidate(),
            {"number": list(range(first, first + HALVED))},
            resource="n_calls",
            n_candidates=HALVED,
            min_resources=1,
            max_resources=MAX_CALLS,
            factor=ETA,
            cv=[(rows, rows)],
            refit=False,
            random_state=seed,
            error_score="raise",
        )
        try:
            search.fit(rows.reshape(-1, 1), rows % 2)
        except StopAsyncIteration:
            break
    calls = 0
    for n_calls, value in made:
        calls += n_calls
        yield calls, value


def ray_search(task: Task, seed: int, score: Trained) -> Curve:
    """Ray Tune's ASHA, which stops trials and never goes on with one; its default is one bracket."""
    from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

    scheduler = AsyncHyperBandScheduler(
        time_attr="calls", metric="score", mode="max", max_t=MAX_CALLS, grace_period=1, reduction_factor=ETA
    )
    calls = number = 0
    while True:
        trial = SimpleNamespace(trial_id=str(number))
        scheduler.on_trial_add(None, trial)
        last = 0
        for resource in RUNGS:
            value = score(number, resource)
            calls, last = calls + resource - last, resource
            yield calls, value
            result = {
                "calls": resource,
                "score": value if math.isfinite(value) else -1e9,
                "training_iteration": resource,
            }
            if scheduler.on_trial_result(None, trial, result) == TrialScheduler.STOP:
                break
        scheduler.on_trial_complete(None, trial, result)
        number += 1


POPULATION = "population based training, 32"
TEXTBOOKS: dict[str, Callable[..., Curve]] = {
    "ASHA of the paper": lambda task, seed, score: asha(score, 1),
    "Hyperband of the paper": lambda task, seed, score: hyperband(score, 1),
    POPULATION: lambda task, seed, score: population_based(task, seed, n_members=32, calls_between=1),
}
OPTUNAS = {
    f"Optuna {sampler}, {pruner}": partial(optuna_search, sampler, pruner)
    for sampler in ("random", "TPE")
    for pruner in ("SuccessiveHalving", "Hyperband")
}
HALVING = "scikit-learn HalvingRandomSearchCV"
OTHERS: dict[str, Callable[..., Curve]] = {**TEXTBOOKS, **OPTUNAS, HALVING: scikit_learn_search}
if find_spec("ray"):
    OTHERS["Ray ASHA"] = ray_search
# What "the best of the others" is taken from.
RIVALS = (*OPTUNAS, HALVING)


# -- all --------------------------------------------------------------------------------------------------------------


def run(task: Task, seeds: range, out: Path | None, found: dict[tuple[str, int], dict[str, Any]]) -> None:
    """All searches of one task that are not there yet."""
    target = task.targets[0]
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            memory_limit=task.worker_memory,
            host="127.0.0.1",
            protocol="tcp://",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster),
    ):
        for seed in seeds:
            score = Trained(task, seed)
            for kind in (*OURS, *OTHERS):
                if (kind, seed) in found:
                    continue
                if kind in OURS:
                    history, _ = searched(our_search(kind, task, seed), task, target)
                    curve = list(curve_of(history))
                    if kind not in ("ASHASearchCV, tpe", "BOHBSearchCV"):
                        score.take_in(history)
                else:
                    curve = list(until(OTHERS[kind](task, seed, score), target))
                calls = calls_until(curve, target, CALLS)
                row = {"task": task.name, "seed": seed, "search": kind, "target": target, "calls": calls}
                found[kind, seed] = row
                print(f"  {task.name}, seed {seed}, {kind}: {calls}", flush=True)
                if out is not None:
                    with out.open("a") as file:
                        file.write(json.dumps(row) + "\n")


def until(curve: Curve, target: float) -> Iterator[tuple[int, float]]:
    """A curve as far as it is needed."""
    for calls, score in curve:
        yield calls, score
        if score >= target or calls > CALLS:
            return


def medians(rows: list[dict[str, Any]], kind: str, many: int = 2000) -> tuple[float, float, float, int]:
    """Median calls of a search, where it lies in nine of ten drawings of as many seeds, and how many came there."""
    calls = np.array([row["calls"] for row in rows if row["search"] == kind], dtype=float)
    drawn = np.random.default_rng(0).integers(0, len(calls), (many, len(calls)))
    low, high = np.percentile(np.median(calls[drawn], axis=1), [5, 95], method="nearest")
    return float(np.median(calls)), float(low), float(high), int(np.isfinite(calls).sum())


def show(task: Task, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Print what one task took, and whether it is what the project asks."""
    found = {kind: medians(rows, kind) for kind in dict.fromkeys(row["search"] for row in rows)}
    n = len({row["seed"] for row in rows})
    table = [
        [kind, number(median), f"{number(low)} to {number(high)}", f"{reached} of {n}"]
        for kind, (median, low, high, reached) in found.items()
    ]
    title = f"{task.name}, score >= {task.targets[0]:g}: calls, {n} seeds"
    measure.print_table(title, ["", "median", "90 %", "came there"], table)
    median = {kind: figures[0] for kind, figures in found.items()}
    best = min(median[kind] for kind in RIVALS)
    ratios = {}
    for kind in OURS[:2]:
        beside, papers = share(median[kind], best), share(median[kind], median["ASHA of the paper"])
        ratios[kind] = beside, papers
        print(
            f"  {kind}: {beside:.2f} of the best other {verdict(beside <= 0.8, '0.8 on four of five')}, "
            f"{papers:.2f} of the paper's {verdict(papers <= 1.05, '1.05')}"
        )
    population = share(median[POPULATION], median["ASHASearchCV"])
    print(f"  {POPULATION}: {population:.2f} of ASHASearchCV {verdict(population <= 0.9, '0.9 on half, to be built')}")
    halving = share(median["HyperbandSearchCV"], median[HALVING])
    print(f"  HyperbandSearchCV: {halving:.2f} of scikit-learn's halving {verdict(halving <= 1, '1')}", flush=True)
    return {
        "task": task.name,
        "seeds": n,
        "found": found,
        "ratios": ratios,
        "halving": halving,
        "population": population,
    }


def number(calls: float) -> str:
    return f"{calls:g}" if math.isfinite(calls) else f"> {CALLS}"


def share(ours: float, theirs: float) -> float:
    """Our part of their calls; where they did not come there, of all that they had."""
    return ours / (theirs if math.isfinite(theirs) else CALLS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=30, help="searches of each kind (%(default)s)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="what is trained")
    parser.add_argument("--out", type=Path, help="a file of what was found, to add to and to go on from")
    parser.add_argument("--show", action="store_true", help="run nothing: print what is in that file")
    arguments = parser.parse_args()
    measure.print_machine("dhpo", "optuna", "scikit-learn", "dask", "distributed", "numpy")
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    known = arguments.out.read_text().splitlines() if arguments.out and arguments.out.exists() else []
    rows = [json.loads(line) for line in known]
    verdicts = []
    try:
        for name in arguments.tasks:
            found = {(row["search"], row["seed"]): row for row in rows if row["task"] == name}
            if not arguments.show:
                run(TASKS[name], range(arguments.seeds), arguments.out, found)
            verdicts.append(show(TASKS[name], list(found.values())))
    finally:
        for folder in learning_tasks.FOLDERS:
            shutil.rmtree(folder)
    measure.print_json({"tasks": verdicts})


if __name__ == "__main__":
    main()
