"""The tasks whose learning curves the benchmarks of calls search: what is trained, on which data, up to which scores.

Of each task the driver of a benchmark can train any trial by itself (`Trained`), with the rows, the order of blocks and
the seed that a search of dhpo gives it, so that all rivals see the same scores of the same configurations.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import scipy.sparse
from scipy.stats import loguniform, randint, uniform
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

__all__ = ["MAX_CALLS", "TASKS", "Task", "Trained"]

# Calls of partial_fit that the best trials of a search get.
MAX_CALLS = 81
SEEDS = randint(0, 2**31 - 1)


class OneHiddenLayer:
    """Draws the sizes of hidden layers: one layer, of `low` to `high` units on a logarithmic scale."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def rvs(self, random_state: Any = None) -> tuple[int]:
        return (round(float(loguniform(self.low, self.high).rvs(random_state=random_state))),)


@dataclass(frozen=True)
class Blocks:
    """What a task trains on, block by block, and the rows that score it."""

    parts: tuple[Callable[[], tuple[Any, Any]], ...]
    X: Any
    y: Any
    held_out: tuple[Any, Any]


@dataclass(frozen=True)
class Task:
    """What is searched.

    Parameters
    ----------
    name : str
    estimator : estimator
    space : dict or list of dict
        Without the seed of the model.
    seed_parameter : str
        Which parameter takes that.
    load : callable
        Returns the `Blocks`.
    changes : tuple of str
        Parameters that may change while a model is trained.
    targets : tuple of float
        Scores to reach; some 2 to 4 % of random configurations come to the first at some rung.
    scoring : str, optional
    worker_memory : str
        Limit of the worker.
    """

    name: str
    estimator: Any
    space: Any
    seed_parameter: str
    load: Callable[[], Blocks]
    changes: tuple[str, ...]
    targets: tuple[float, ...]
    scoring: str | None = None
    worker_memory: str = "2GB"

    @cached_property
    def blocks(self) -> Blocks:
        return self.load()

    @cached_property
    def classes(self) -> list[Any]:
        return np.unique(self.blocks.held_out[1]).tolist()

    @property
    def seeded_space(self) -> Any:
        """The space with the seed of the model in it, so that a trial's scores are those of its parameters."""
        dicts = self.space if isinstance(self.space, list) else [self.space]
        seeded = [{**space, **({self.seed_parameter: SEEDS} if takes_seed(space) else {})} for space in dicts]
        return seeded if isinstance(self.space, list) else seeded[0]


def takes_seed(space: dict[str, Any]) -> bool:
    """Whether the model of this part of a space draws random numbers."""
    return not any(isinstance(value, MultinomialNB) for value in space.get("model", ()))


class Trained:
    """Trains trials of a task, and knows their scores after so many calls.

    Parameters
    ----------
    task : Task
    seed : int
        The `random_state` of the search whose trials these are.
    params_of : callable, optional
        The parameters of trial n; by default those that a search draws at random.
    """

    def __init__(self, task: Task, seed: int, params_of: Callable[[int], dict[str, Any]] | None = None) -> None:
        from dhpo.data.order import PassOrder
        from dhpo.samplers import RandomSampler
        from dhpo.space.parameter_space import Space
        from dhpo.space.seeds import entropy_of, seed_for

        self.task = task
        entropy = entropy_of(seed)
        self.params_of = params_of or RandomSampler(Space(task.seeded_space), entropy).ask
        self._order = PassOrder(range(len(task.blocks.parts)), seed_for(entropy, 0, "order"))
        self._models: dict[int, tuple[Any, int]] = {}
        self.known: dict[tuple[int, int], float] = {}

    def __call__(self, trial: int, calls: int) -> float:
        """The score of a trial after so many calls; minus infinity of one that has diverged."""
        if (trial, calls) not in self.known:
            self.known[trial, calls] = self.train(trial, calls)
        score = self.known[trial, calls]
        return score if math.isfinite(score) else -math.inf

    def take_in(self, history: Any) -> None:
        """Know what a search has found, whose trials must have the parameters of these."""
        from dhpo.history.events import Reported, TrialStarted

        for event in history.events:
            if isinstance(event, Reported):
                self.known[event.report.trial, event.report.resource] = event.report.score
            elif isinstance(event, TrialStarted):
                number, params = event.trial.number, event.trial.params
                mine = self.params_of(number)
                if set(params) != set(mine) or not all(equal(value, mine[name]) for name, value in params.items()):
                    raise SystemExit(f"trial {number} has other parameters in the class: {params}")

    def train(self, trial: int, calls: int) -> float:
        """Train on from where this trial was trained to, and score."""
        model, seen = self._models.get(trial, (None, 0))
        if model is None or seen > calls:
            model, seen = clone(self.task.estimator).set_params(**clone_values(self.params_of(trial))), 0
        try:
            with threadpool_limits(1), np.errstate(all="ignore"):
                for call in range(seen, calls):
                    X, y = self.task.blocks.parts[self._order.block_at(call)]()
                    model.partial_fit(X, y, classes=self.task.classes)
                score = self._score(model)
        except ValueError:  # it has diverged
            score = math.nan
        self._models[trial] = model, calls
        return score

    def model(self, trial: int) -> Any:
        """The model of a trial as it was trained last."""
        return self._models[trial][0]

    def take_model(self, trial: int, model: Any, calls: int) -> None:
        """Train this model from now on, which has seen so many calls."""
        self._models[trial] = model, calls

    def _score(self, model: Any) -> float:
        if self.task.scoring is None:
            return float(model.score(*self.task.blocks.held_out))
        return float(get_scorer(self.task.scoring)(model, *self.task.blocks.held_out))


def equal(one: Any, other: Any) -> bool:
    """Whether two values of a parameter are the same, estimators by what they print."""
    return repr(one) == repr(other) if hasattr(one, "get_params") else one == other


def clone_values(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters whose estimators are nobody else's."""
    return {name: clone(value) if hasattr(value, "get_params") else value for name, value in params.items()}


class TextModel(Pipeline):
    """A pipeline of one step, which a parameter exchanges, that is trained block by block."""

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> TextModel:
        self.steps[-1][1].partial_fit(X, y, classes=classes)
        return self


# -- data in memory ---------------------------------------------------------------------------------------------------


def one_block(X: Any, y: Any, n_train: int) -> Blocks:
    """One block of scaled rows, and the others to score on."""
    X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=n_train, random_state=0, stratify=y)
    scaler = StandardScaler().fit(X_train)
    X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    return Blocks((lambda: (X_train, y_train),), X_train, y_train, (X_test, y_test))


def digits() -> Blocks:
    return one_block(*load_digits(return_X_y=True), n_train=600)


def cancer() -> Blocks:
    return one_block(*load_breast_cancer(return_X_y=True), n_train=300)


def noisy_classes() -> Blocks:
    X, y = make_classification(
        2200, 20, n_informative=8, n_classes=6, n_clusters_per_class=2, flip_y=0.1, class_sep=1.2, random_state=0
    )
    return one_block(X, y, n_train=500)


def words() -> Blocks:
    """Counts of 2,000 words in 30 blocks of 60 texts, of 5 kinds whose words differ little."""
    rng = np.random.default_rng(0)
    common = rng.dirichlet(np.full(2000, 0.1))
    kinds = [0.85 * common + 0.15 * rng.dirichlet(np.full(2000, 0.05)) for _ in range(5)]

    def texts(n: int) -> tuple[Any, Any]:
        y = rng.integers(0, 5, n)
        rows = [rng.multinomial(rng.integers(8, 40), kinds[label]) for label in y]
        return scipy.sparse.csr_matrix(np.array(rows, dtype=np.float64)), y

    parts = [texts(60) for _ in range(30)]
    X = da.concatenate(
        [da.from_delayed(dask.delayed(part[0]), part[0].shape, float, meta=part[0][:0]) for part in parts]
    )
    y = da.from_array(np.concatenate([part[1] for part in parts]), chunks=60)
    return Blocks(tuple((lambda part=part: part) for part in parts), X, y, texts(800))


# -- data larger than the memory of the worker ------------------------------------------------------------------------

N_BLOCKS = 420
Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]


def linear_rows(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes, apart by a line; columns of scales from 0.03 to 30, and one label of ten at random."""
    chosen = np.random.default_rng(1)
    scales, weights = np.geomspace(0.03, 30, 64), chosen.standard_normal(64)
    X = rng.standard_normal((n, 64))
    y = (X @ weights > 0).astype(np.int64)
    y = np.where(rng.random(n) < 0.1, rng.integers(0, 2, n), y)
    return (X * np.sqrt(scales)).astype(np.float32), y


def curved_rows(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes, by a quadratic form of 6 of 128 columns."""
    form = np.random.default_rng(2).standard_normal((6, 6))
    X = rng.standard_normal((n, 128))
    y = np.einsum("ri,ij,rj->r", X[:, :6], form, X[:, :6]) > np.trace(form)
    return X.astype(np.float32), y.astype(np.int64)


def on_disk(draw: Draw, block_rows: int) -> Callable[[], Blocks]:
    """Blocks of 1 MB in `.npy` files, 440 MB together, and 2,000 rows to score on."""

    def load() -> Blocks:
        folder = Path(tempfile.mkdtemp(prefix="dhpo-power-"))
        FOLDERS.append(folder)
        for number in range(N_BLOCKS):
            X, y = draw(np.random.default_rng([0, number]), block_rows)
            np.save(folder / f"X{number}.npy", X)
            np.save(folder / f"y{number}.npy", y)
        read = dask.delayed(np.load, pure=True)
        X = da.concatenate(
            [
                da.from_delayed(read(str(folder / f"X{number}.npy")), (block_rows, X.shape[1]), X.dtype)
                for number in range(N_BLOCKS)
            ]
        )
        y = da.concatenate(
            [
                da.from_delayed(read(str(folder / f"y{number}.npy")), (block_rows,), y.dtype)
                for number in range(N_BLOCKS)
            ]
        )

        def part(number: int) -> tuple[Any, Any]:
            return np.load(folder / f"X{number}.npy"), np.load(folder / f"y{number}.npy")

        parts = tuple((lambda number=number: part(number)) for number in range(N_BLOCKS))
        return Blocks(parts, X, y, draw(np.random.default_rng([1, 0]), 2000))

    return load


# What a benchmark removes at its end.
FOLDERS: list[Path] = []

LINEAR = {
    "alpha": loguniform(1e-7, 1),
    "eta0": loguniform(1e-5, 1),
    "power_t": uniform(0.05, 0.95),
    "l1_ratio": uniform(0, 1),
    "loss": ["hinge", "log_loss", "modified_huber", "perceptron"],
    "learning_rate": ["constant", "invscaling", "optimal"],
}

LINEAR_CHANGES = ("alpha", "eta0", "power_t", "l1_ratio")

TASKS = {
    task.name: task
    for task in (
        Task(
            "MLP",
            MLPClassifier(),
            {
                "hidden_layer_sizes": OneHiddenLayer(8, 256),
                "alpha": loguniform(1e-6, 1),
                "learning_rate_init": loguniform(1e-5, 0.3),
                "batch_size": [16, 32, 64, 128, 256],
                "activation": ["relu", "tanh", "logistic"],
                "solver": ["sgd", "adam"],
            },
            "random_state",
            digits,
            ("alpha", "learning_rate_init", "batch_size"),
            (0.965, 0.970),
        ),
        Task("SGD", SGDClassifier(penalty="elasticnet"), LINEAR, "random_state", digits, LINEAR_CHANGES, (0.950,)),
        Task(
            "noisy MLP",
            MLPClassifier(batch_size=100),
            {
                "hidden_layer_sizes": OneHiddenLayer(4, 96),
                "alpha": loguniform(1e-6, 10),
                "learning_rate_init": loguniform(1e-5, 0.3),
                "activation": ["relu", "tanh"],
                "beta_1": uniform(0, 0.99),
            },
            "random_state",
            noisy_classes,
            ("alpha", "learning_rate_init", "beta_1"),
            (0.600,),
        ),
        Task(
            "log loss",
            SGDClassifier(loss="log_loss", penalty="elasticnet"),
            {
                "alpha": loguniform(1e-7, 10),
                "eta0": loguniform(1e-6, 10),
                "l1_ratio": uniform(0, 1),
                "learning_rate": ["constant", "invscaling", "optimal"],
            },
            "random_state",
            cancer,
            ("alpha", "eta0", "l1_ratio"),
            (-0.062,),
            "neg_log_loss",
        ),
        Task(
            "conditional",
            TextModel([("model", MultinomialNB())]),
            [
                {
                    "model": [MultinomialNB()],
                    "model__alpha": loguniform(1e-4, 100),
                    "model__fit_prior": [True, False],
                },
                {
                    "model": [SGDClassifier(learning_rate="constant")],
                    "model__alpha": loguniform(1e-7, 1),
                    "model__eta0": loguniform(1e-6, 1),
                    "model__loss": ["hinge", "log_loss", "modified_huber"],
                    "model__average": [True, False],
                },
                {
                    "model": [SGDClassifier(penalty=None, learning_rate="pa1")],
                    "model__eta0": loguniform(1e-5, 10),
                    "model__average": [True, False],
                },
            ],
            "model__random_state",
            words,
            ("model__alpha", "model__eta0"),
            (0.850,),
        ),
        Task(
            "larger than memory, SGD",
            SGDClassifier(penalty="elasticnet"),
            LINEAR,
            "random_state",
            on_disk(linear_rows, 4_096),
            LINEAR_CHANGES,
            (0.910,),
            worker_memory="400MB",
        ),
        Task(
            "larger than memory, MLP",
            MLPClassifier(hidden_layer_sizes=(16,), batch_size=128),
            {
                "hidden_layer_sizes": OneHiddenLayer(4, 32),
                "alpha": loguniform(1e-6, 1),
                "learning_rate_init": loguniform(1e-5, 0.3),
                "activation": ["relu", "tanh", "logistic"],
                "solver": ["sgd", "adam"],
            },
            "random_state",
            on_disk(curved_rows, 2_048),
            ("alpha", "learning_rate_init"),
            (0.930,),
            worker_memory="400MB",
        ),
    )
}
