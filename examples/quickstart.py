"""A Hyperband search in three lines: declare it, fit it, look at what it found."""

from __future__ import annotations

import dask.array as da
from scipy.stats import loguniform
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

from dhpo import HyperbandSearchCV


def main() -> None:
    X, y = load_digits(return_X_y=True)
    X, y = da.from_array(X / 16, chunks=(100, -1)), da.from_array(y, chunks=100)

    search = HyperbandSearchCV(
        SGDClassifier(), {"alpha": loguniform(1e-6, 1), "penalty": ["l1", "l2"]}, max_iter=27, random_state=0
    )
    search.fit(X, y, classes=list(range(10)))
    print(search.best_params_, search.best_score_, search.summary().head(), sep="\n")


# The workers import this script, so only the process that was started by hand may search.
if __name__ == "__main__":
    main()
