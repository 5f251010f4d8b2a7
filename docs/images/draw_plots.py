"""Draws the pictures of `docs/how-to/plot.md`, on white and on black: `python docs/images/draw_plots.py`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
from distributed import Client, LocalCluster
from scipy.stats import loguniform
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

import dhpo
from dhpo import plot

IMAGES = Path(__file__).parent / "plots"
CLASSES = list(range(10))
NETWORKS = {
    "alpha": loguniform(1e-6, 10),
    "learning_rate_init": loguniform(1e-5, 1),
    "activation": ["relu", "tanh", "logistic"],
    "hidden_layer_sizes": [(16,), (64,), (64, 32)],
}
KERNELS = {"C": [0.01, 0.1, 1, 10, 100], "gamma": [1e-4, 1e-3, 1e-2, 0.1, 1]}


def run_searches(journals: Path) -> tuple[str, str, str]:
    """The journals of a Hyperband search, of a cross-validated one, and of a grid."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order] / 16, y[order]
    lazy = da.from_array(X, (200, 64)), da.from_array(y, 200)
    hyperband, folds, grid = (str(journals / name) for name in ("hyperband", "incremental", "grid"))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster):
        common = {"random_state": 0, "verbose": 0}
        search = dhpo.HyperbandSearchCV(MLPClassifier(), NETWORKS, max_iter=27, **common)
        search.fit(*lazy, classes=CLASSES, journal=hyperband)
        linear = {"alpha": loguniform(1e-6, 1)}
        incremental = dhpo.IncrementalSearchCV(SGDClassifier(), linear, 8, max_iter=9, cv=3, **common)
        incremental.fit(*lazy, classes=CLASSES, journal=folds)
        whole = dhpo.GridSearchCV(SVC(), KERNELS, cv=3, return_train_score=True, verbose=0)
        whole.fit(X[:600] * 4, y[:600], journal=grid)
    return hyperband, folds, grid


def draw(hyperband: str, folds: str, grid: str, suffix: str) -> None:
    """Draw each picture of the page once."""
    pictures: dict[str, Callable[[], plot.Display]] = {
        "history": lambda: plot.history(hyperband),
        "best_so_far": lambda: plot.best_so_far({"Hyperband": hyperband, "incremental": folds}),
        "learning_curves": lambda: plot.learning_curves(hyperband),
        "folds": lambda: plot.learning_curves(folds, top=3),
        "rungs": lambda: plot.rungs(hyperband),
        "timeline": lambda: plot.timeline(hyperband),
        "slice": lambda: plot.slice(hyperband),
        "parallel_coordinates": lambda: plot.parallel_coordinates(hyperband),
        "contour": lambda: plot.contour(hyperband, "alpha", "learning_rate_init"),
        "heat_map": lambda: plot.contour(grid, "C", "gamma", train=True),
        "validation_curve": lambda: plot.validation_curve(grid, "gamma"),
        "importance": lambda: plot.importance(hyperband),
    }
    for name, picture in pictures.items():
        picture().figure_.savefig(IMAGES / f"{name}-{suffix}.png", dpi=75)
        plt.close("all")


def main() -> None:
    """Run the searches, and draw them twice."""
    plt.switch_backend("Agg")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        journals = run_searches(Path(folder))
        draw(*journals, "light")
        with plt.style.context("dark_background"):
            draw(*journals, "dark")


if __name__ == "__main__":
    main()
