"""Trains models by `fit` on more and more rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

from dhpo.data.rows import Rows
from dhpo.trainers.estimator_check import check_methods_of
from dhpo.trainers.method_calls import fit

__all__ = ["RowSamples"]


class RowSamples:
    """A model with resource r is fitted from the start on r / `max_resource` of the rows, drawn at random.

    Those of a smaller resource are among those of a larger one. For a classifier each class gives its share, and at
    least one row.

    Parameters
    ----------
    max_resource : int
        Units that all rows are.
    entropy : int
        Seed of the draw, which all trials share.
    """

    needs_all_rows = True
    exact = True

    def __init__(self, max_resource: int, entropy: int) -> None:
        self.max_resource = max_resource
        self.unit = "row part"
        self._entropy = entropy

    def check(self, estimator: Any) -> None:
        """Raise TypeError for an estimator that cannot be fitted."""
        check_methods_of(estimator, "fit", "resource='n_samples' is for estimators with fit")

    def advance(self, model: Any, rows: Rows, fit_params: Mapping[str, Any], before: int, after: int) -> Any:
        """Fit on so many of the rows."""
        labels = rows.y if rows.y is not None and np.ndim(rows.y) == 1 and is_classifier(model) else None
        drawn = rows
        if after < self.max_resource:
            order, n_classes = nested_order(len(rows), self._entropy, labels)
            n_drawn = max(math.ceil(len(rows) * after / self.max_resource), n_classes)
            drawn = rows.take(np.sort(order[:n_drawn]))
        fit(model, drawn, fit_params)
        return model


def nested_order(n_rows: int, entropy: int, labels: np.ndarray | None) -> tuple[np.ndarray, int]:
    """An order of the rows of which each beginning has its share of each class.

    Returns
    -------
    order : ndarray of int
        Positions. One row of each class comes before all others.
    n_classes : int
        1 without labels.
    """
    rng = np.random.default_rng(entropy)
    order = rng.permutation(n_rows)
    if labels is None:
        return order, 1
    codes, classes = pd.factorize(labels[order])
    counts = np.bincount(codes)
    # The k-th row of a class with n rows comes after k / n of all.
    grouped = np.argsort(codes, kind="stable")
    place = np.empty(n_rows)
    place[grouped] = np.arange(n_rows) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[np.argsort(place / counts[codes], kind="stable")], len(classes)
