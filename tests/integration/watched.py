"""A search as a user runs it, for `test_watch.py`: `python watched.py JOURNAL`."""

import sys

import dask.array as da
import numpy as np
from sklearn.linear_model import SGDClassifier

from dhpo import HyperbandSearchCV

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 5))
    arrays = da.from_array(X, (100, 5)), da.from_array((X[:, 0] > 0).astype(int), 100)
    search = HyperbandSearchCV(SGDClassifier(), {"alpha": np.logspace(-6, 0, 50)}, max_iter=9, random_state=0)
    search.fit(*arrays, classes=[0, 1], journal=sys.argv[1])
