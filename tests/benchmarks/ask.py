"""What it costs to ask for one more trial of TPE, and to tell its score: dhpo's OptunaSampler beside Optuna alone.

    python tests/benchmarks/ask.py

Both know the same trials before, and are asked and told by turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import measure
import numpy as np
import optuna
from measure import verdict
from optuna.samplers import RandomSampler, TPESampler
from scipy.stats import loguniform, randint, uniform

from dhpo import Report, Space
from dhpo.samplers import OptunaSampler

ASKED = 1.3


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "alpha": trial.suggest_float("alpha", 1e-6, 1, log=True),
        "depth": trial.suggest_int("depth", 1, 100),
        "kind": "abc"[trial.suggest_categorical("kind", range(3))],
        "share": trial.suggest_float("share", 0, 1),
    }


SPACE = Space({"alpha": loguniform(1e-6, 1), "depth": randint(1, 101), "kind": ["a", "b", "c"], "share": uniform(0, 1)})


def goodness(params: dict[str, Any]) -> float:
    return -((np.log10(params["alpha"]) + 3) ** 2) - (params["share"] - 0.3) ** 2 - (params["kind"] != "b")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1_000, 10_000], help="that are known before")
    parser.add_argument("--asks", type=int, default=15, help="of each side (%(default)s)")
    arguments = parser.parse_args()
    measure.print_machine("dhpo", "optuna", "numpy")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = {}
    for n_trials in arguments.trials:
        study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0))
        # While Optuna draws at random, it is asked quickly.
        ours = OptunaSampler(SPACE, sampler=TPESampler(seed=0, multivariate=True, n_startup_trials=n_trials))
        for number in range(n_trials):
            trial = study.ask()
            study.tell(trial, goodness(suggest(trial)))
            ours.tell(Report(number, 1, goodness(ours.ask(number))))
        study.sampler = TPESampler(seed=0, multivariate=True)
        seconds: dict[str, list[float]] = {"dhpo": [], "optuna": []}
        for number in range(n_trials, n_trials + arguments.asks):
            began = time.perf_counter()
            ours.tell(Report(number, 1, goodness(ours.ask(number))))
            between = time.perf_counter()
            trial = study.ask()
            study.tell(trial, goodness(suggest(trial)))
            seconds["dhpo"].append(between - began)
            seconds["optuna"].append(time.perf_counter() - between)
        ratio = statistics.median(a / b for a, b in zip(seconds["dhpo"], seconds["optuna"], strict=True))
        each = ", ".join(f"{name} {1e3 * statistics.median(times):.1f} ms" for name, times in seconds.items())
        print(f"after {n_trials:6,} trials: {each}; {ratio:.2f} times, {verdict(ratio <= ASKED, f'at most {ASKED}')}")
        found[n_trials] = {"seconds": seconds, "ratio": ratio}
    measure.print_json(found)


if __name__ == "__main__":
    main()
