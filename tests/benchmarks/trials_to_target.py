"""Whole fits until a score is reached: RandomizedSearchCV with sampler="tpe", beside Optuna alone and random draws.

    python tests/benchmarks/trials_to_target.py --seeds 30

Optuna's side is its own loop of ask and tell, written as its users write it, with the seed that the class gives to the
sampler; on one thread both know the same scores when they suggest a point. A search that does not reach the target
counts as one more trial than it has. Judged are medians over all seeds.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import measure
import numpy as np
import optuna
from distributed import Client, LocalCluster
from measure import verdict
from scipy.stats import loguniform, randint, uniform
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

import dhpo
from dhpo.space.seeds import seed_for

TRIALS = 150


class Function(ClassifierMixin, BaseEstimator):
    """Its score is a function of its parameters, whatever the data."""

    def fit(self, X: Any, y: Any) -> Any:
        self.classes_ = np.unique(y)
        return self

    def score(self, X: Any, y: Any) -> float:
        return -self.value(**self.get_params())


class Branin(Function):
    """Three minima of 0.398; Dixon and Szego (1978)."""

    def __init__(self, a: float = 0.0, b: float = 0.0) -> None:
        self.a, self.b = a, b

    @staticmethod
    def value(a: float, b: float) -> float:
        return float(
            (b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10
        )


HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
WIDTHS = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
CENTRES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


class Hartmann(Function):
    """Six dimensions, a minimum of -3.322; Dixon and Szego (1978)."""

    def __init__(
        self, a: float = 0.0, b: float = 0.0, c: float = 0.0, d: float = 0.0, e: float = 0.0, f: float = 0.0
    ) -> None:
        self.a, self.b, self.c, self.d, self.e, self.f = a, b, c, d, e, f

    @staticmethod
    def value(**x: float) -> float:
        point = np.array([x[name] for name in "abcdef"])
        return -float(HEIGHTS @ np.exp(-(WIDTHS * (point - CENTRES) ** 2).sum(axis=1)))


class Conditional(Function):
    """One of three bowls, each with a scale of its own; the lowest, "deep", has the narrowest."""

    def __init__(self, kind: str = "flat", near: float = 0.0, rate: float = 1.0, depth: int = 1) -> None:
        self.kind, self.near, self.rate, self.depth = kind, near, rate, depth

    @staticmethod
    def value(kind: str, near: float, rate: float, depth: int) -> float:
        if kind == "flat":
            return 0.5 + 0.1 * (near - 0.5) ** 2
        if kind == "wide":
            return 0.3 + (near - 0.2) ** 2
        return 0.3 * abs(np.log10(rate) + 4) + 0.05 * abs(depth - 7)


def rows(load: Callable[..., Any], n: int) -> tuple[np.ndarray, np.ndarray]:
    X, y = load(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(X))[:n]
    return X[chosen] / X.max(axis=0).clip(1e-9), y[chosen]


NOTHING = np.zeros((4, 1)), np.array([0, 1, 0, 1])
DIGITS, CANCER = rows(load_digits, 400), rows(load_breast_cancer, 300)

Suggest = Callable[[optuna.Trial], dict[str, Any]]


def suggest_conditional(trial: optuna.Trial) -> dict[str, Any]:
    kind = trial.suggest_categorical("kind", ["deep", "flat", "wide"])
    if kind == "deep":
        return {
            "kind": kind,
            "rate": trial.suggest_float("rate", 1e-6, 1, log=True),
            "depth": trial.suggest_int("depth", 1, 20),
        }
    return {"kind": kind, "near": trial.suggest_float("near", 0, 1)}


# Estimator, data, splits, space, the same for Optuna, and the score to reach.
PROBLEMS: dict[str, tuple[Any, Any, int, Any, Suggest, float]] = {
    "Branin": (
        Branin(),
        NOTHING,
        2,
        {"a": uniform(-5, 15), "b": uniform(0, 15)},
        lambda trial: {"a": trial.suggest_float("a", -5, 10), "b": trial.suggest_float("b", 0, 15)},
        -0.6,
    ),
    "Hartmann 6": (
        Hartmann(),
        NOTHING,
        2,
        {name: uniform(0, 1) for name in "abcdef"},
        lambda trial: {name: trial.suggest_float(name, 0, 1) for name in "abcdef"},
        2.4,
    ),
    "conditional": (
        Conditional(),
        NOTHING,
        2,
        [
            {"kind": ["deep"], "rate": loguniform(1e-6, 1), "depth": randint(1, 21)},
            {"kind": ["flat"], "near": uniform(0, 1)},
            {"kind": ["wide"], "near": uniform(0, 1)},
        ],
        suggest_conditional,
        -0.12,
    ),
    "SVC": (
        SVC(),
        DIGITS,
        3,
        {"C": loguniform(1e-3, 1e3), "gamma": loguniform(1e-5, 1e2)},
        lambda trial: {
            "C": trial.suggest_float("C", 1e-3, 1e3, log=True),
            "gamma": trial.suggest_float("gamma", 1e-5, 1e2, log=True),
        },
        0.965,
    ),
    "boosting": (
        HistGradientBoostingClassifier(max_iter=15, early_stopping=False, random_state=0),
        CANCER,
        3,
        {
            "l2_regularization": loguniform(1e-6, 1e2),
            "learning_rate": loguniform(1e-3, 1),
            "max_leaf_nodes": randint(2, 64),
            "min_samples_leaf": randint(1, 100),
        },
        lambda trial: {
            "l2_regularization": trial.suggest_float("l2_regularization", 1e-6, 1e2, log=True),
            "learning_rate": trial.suggest_float("learning_rate", 1e-3, 1, log=True),
            "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 2, 63),
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 99),
        },
        0.9635,
    ),
}


def by_class(problem: str, sampler: str, seed: int) -> list[float]:
    """The scores of a search in the order of its trials, up to the one that reaches the target."""
    estimator, (X, y), cv, space, _, target = PROBLEMS[problem]
    search = dhpo.RandomizedSearchCV(
        estimator, space, n_iter=TRIALS, cv=cv, sampler=sampler, random_state=seed, refit=False, verbose=0
    )
    run = search.start(X, y)
    while not run.done and (run.best is None or run.best.report.score < target):
        time.sleep(0.02)
    run.stop()
    run.result()
    return [float(score) for score in run.summary().sort_index()["score"].dropna()]


def by_optuna(problem: str, seed: int) -> list[float]:
    """The same by Optuna alone."""
    estimator, (X, y), cv, space, suggest, target = PROBLEMS[problem]
    sampler = optuna.samplers.TPESampler(
        seed=seed_for(seed, 0, "sampler"), multivariate=True, group=isinstance(space, list)
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    scores: list[float] = []
    with threadpool_limits(1):
        while len(scores) < TRIALS and (not scores or max(scores) < target):
            trial = study.ask()
            params = suggest(trial)
            model = type(estimator)(**{**estimator.get_params(), **params})
            scores.append(float(np.mean(cross_val_score(model, X, y, cv=cv))))
            study.tell(trial, scores[-1])
    return scores


def trials_until(scores: list[float], target: float) -> int:
    """Trials that were made when the first score was at least as high."""
    return next((number for number, score in enumerate(scores, 1) if score >= target), TRIALS + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=30, help="searches of each kind (%(default)s)")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS), help="what is searched")
    arguments = parser.parse_args()
    measure.print_machine("dhpo", "optuna", "dask", "distributed", "scikit-learn", "numpy")
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = {}
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            host="127.0.0.1",
            protocol="tcp://",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster),
    ):
        for problem in arguments.problems:
            target = PROBLEMS[problem][-1]
            counts: dict[str, list[int]] = {"tpe": [], "random": [], "optuna": []}
            for seed in range(arguments.seeds):
                for sampler in ("tpe", "random"):
                    counts[sampler].append(trials_until(by_class(problem, sampler, seed), target))
                counts["optuna"].append(trials_until(by_optuna(problem, seed), target))
            found[problem] = counts
            show(problem, counts)
    measure.print_json(found)


def show(problem: str, counts: dict[str, list[int]]) -> None:
    median = {name: statistics.median(numbers) for name, numbers in counts.items()}
    equal = sum(a == b for a, b in zip(counts["tpe"], counts["optuna"], strict=True))
    beside, of_random = median["tpe"] / median["optuna"], median["tpe"] / median["random"]
    medians = ", ".join(f"{name} {median[name]:g}" for name in counts)
    print(
        f"{problem:12} {medians} trials; beside optuna {beside:.2f} {verdict(0.9 <= beside <= 1.1, '0.9 to 1.1')}, "
        f"equal for {equal} of {len(counts['tpe'])} seeds; of random's {of_random:.2f} (0.7 on three of five)",
        flush=True,
    )


if __name__ == "__main__":
    main()
