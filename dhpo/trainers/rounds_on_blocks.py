"""Trains boosters block by block: some boosting rounds on each."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from dhpo.data.rows import Rows, take
from dhpo.trainers.boosters import is_booster, more_rounds, neutral_start
from dhpo.trainers.estimator_check import check_methods_of

__all__ = ["RoundsOnBlocks"]


class RoundsOnBlocks:
    """A model of XGBoost or LightGBM gets some rounds on each block: a unit is a block.

    So it learns from data that no worker holds. Its rounds see fewer rows than those of a model that has all at once.

    Parameters
    ----------
    rounds : int, default 10
        On each block. Fewer see more blocks for as many trees.
    """

    unit = "block"
    needs_all_rows = False
    exact = True
    needs_classes = True

    def __init__(self, rounds: int = 10) -> None:
        self.rounds = rounds

    def check(self, estimator: Any) -> None:
        """Raise TypeError or ValueError for what is no booster, or for a number of rounds that is none."""
        check_methods_of(estimator, "fit", "RoundsOnBlocks is for estimators of XGBoost and LightGBM")
        if not is_booster(estimator):
            raise TypeError(
                f"estimator is a {type(estimator).__name__}: RoundsOnBlocks is for estimators of XGBoost and LightGBM "
                "that can go on, and is not for their random forests."
            )
        if isinstance(self.rounds, bool) or not isinstance(self.rounds, numbers.Integral) or self.rounds < 1:
            raise ValueError(f"rounds={self.rounds!r} is not allowed; give a whole number of at least 1.")

    def advance(self, model: Any, rows: Rows, fit_params: Mapping[str, Any], before: int, after: int) -> Any:
        """Add the rounds of one block."""
        given = dict(fit_params)
        classes = given.pop("classes", None)
        has = model.n_estimators if model.__sklearn_is_fitted__() else 0  # blocks without rows were left out
        settings = more_rounds(model, has, has + self.rounds, exactly=False)
        if settings is None:
            raise ValueError(f"{model!r} cannot go on from where it stands, as this kind of booster.")
        known = rows if classes is None else _with_all(classes, rows)
        if known is not rows and not has:
            settings |= neutral_start(model, len(known), len(classes))
        model.set_params(n_estimators=has + self.rounds)
        settings.fit(model, known, given)
        return model


def _with_all(classes: Any, rows: Rows) -> Rows:
    """The rows, with a row of no weight for each class that is not among them: a booster takes the labels for all."""
    if np.ndim(rows.y) != 1:
        return rows
    missing = np.setdiff1d(np.asarray(classes), rows.y)
    if not len(missing):
        return rows
    weight = np.ones(len(rows)) if rows.sample_weight is None else np.asarray(rows.sample_weight)
    return Rows(
        _stacked(rows.X, take(rows.X, np.zeros(len(missing), dtype=int))),
        np.concatenate([np.asarray(rows.y), missing]),
        np.concatenate([weight, np.zeros(len(missing), dtype=weight.dtype)]),
    )


def _stacked(X: Any, more: Any) -> Any:
    if isinstance(X, pd.DataFrame):
        return pd.concat([X, more], ignore_index=True)
    return sp.vstack([X, more], format="csr") if sp.issparse(X) else np.concatenate([X, more])
