"""A search that takes its time, for `test_dashboard.py`: `python shown.py SCHEDULER [SECONDS]`."""

import os
import sys
import time

import dask.array as da
import numpy as np
from distributed import Client
from scipy.stats import loguniform
from sklearn.linear_model import SGDClassifier

from dhpo import HyperbandSearchCV


class Slow(SGDClassifier):
    def __init__(self, alpha=1e-4, seconds=0.0, held_by=""):
        super().__init__(alpha=alpha, random_state=0)
        self.seconds = seconds
        self.held_by = held_by

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        time.sleep(self.seconds)
        while os.path.exists(self.held_by):
            time.sleep(0.02)
        if self.alpha > 0.3:
            raise ValueError("alpha is too large for me")
        return super().partial_fit(X, y, classes, sample_weight)


def make(seed=0, seconds=0.02, max_iter=27, held_by=""):
    """A search, and its data. Nothing is trained while there is a file `held_by`."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 5))
    arrays = da.from_array(X, (100, 5)), da.from_array((X[:, 0] > 0).astype(int), 100)
    space = {"alpha": loguniform(1e-6, 1)}
    slow = Slow(seconds=seconds, held_by=held_by)
    return HyperbandSearchCV(slow, space, max_iter=max_iter, random_state=seed, verbose=0), arrays


if __name__ == "__main__":
    with Client(sys.argv[1]):
        search, arrays = make(seconds=float(sys.argv[2]))
        search.fit(*arrays, classes=[0, 1])
