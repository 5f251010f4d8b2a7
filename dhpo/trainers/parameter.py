"""Trains models by `fit`, with a parameter of theirs as the resource: trees, boosting rounds, iterations."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import sklearn.ensemble

from dhpo.data.rows import Rows
from dhpo.trainers.estimator_check import check_methods_of
from dhpo.trainers.method_calls import fit
from dhpo.wording import did_you_mean

__all__ = ["ParameterTrainer"]

# With `warm_start` these add to what they have until there are as many as the parameter says; a model that was trained
# in parts is then the same as one that was trained at once. What others do with `warm_start` differs: most begin a
# schedule or an order of the rows anew. So those are fitted from the start.
_ADD_UP = {
    "n_estimators": (
        "BaggingClassifier",
        "BaggingRegressor",
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
        "IsolationForest",
        "RandomForestClassifier",
        "RandomForestRegressor",
        "RandomTreesEmbedding",
    ),
    "max_iter": ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"),
}
_UNITS = {"n_estimators": "tree", "max_iter": "iteration", "n_iter": "iteration"}


class ParameterTrainer:
    """A parameter of the estimator counts the units: a model with resource r has the value r.

    Ensembles of scikit-learn that can add to what they have (`warm_start`) are trained on; all others are fitted from
    the start with each new value. Both give the model that one fit with this value gives.

    Parameters
    ----------
    parameter : str
        As in "n_estimators", "max_iter", or "model__n_estimators" of a step of a pipeline.
    """

    needs_all_rows = True
    exact = True

    def __init__(self, parameter: str) -> None:
        self.parameter = parameter
        self._prefix, _, self._name = parameter.rpartition("__")
        self.unit = _UNITS.get(self._name, self._name)

    def check(self, estimator: Any) -> None:
        """Raise TypeError or ValueError for an estimator without this parameter, or with another kind of values."""
        check_methods_of(estimator, "fit", f"resource={self.parameter!r} is for estimators with fit")
        params = estimator.get_params()
        if self.parameter not in params:
            raise ValueError(
                f"resource={self.parameter!r} is no parameter of {type(estimator).__name__}. Give 'auto', 'n_samples' "
                f"or one of its whole numbers.{did_you_mean(self.parameter, params)}"
            )
        value = params[self.parameter]
        if value is not None and (isinstance(value, bool) or not isinstance(value, numbers.Integral)):
            raise ValueError(
                f"resource={self.parameter!r} has {value!r} in {type(estimator).__name__}: a resource is a parameter "
                "that takes whole numbers, such as n_estimators or max_iter."
            )

    def advance(self, model: Any, rows: Rows, fit_params: Mapping[str, Any], before: int, after: int) -> Any:
        """Fit with the new value, from where the model stands if it can add to that."""
        inner = f"{self._prefix}__" if self._prefix else ""
        params = model.get_params()
        now, later = {self.parameter: after}, {}
        if self._adds_up(model):
            now[f"{inner}warm_start"] = True
            later[f"{inner}warm_start"] = params[f"{inner}warm_start"]
        if params.get(f"{inner}early_stopping") == "auto":
            now[f"{inner}early_stopping"] = False  # the search sees to that
        model.set_params(**now)
        fit(model, rows, fit_params)
        return model.set_params(**later)

    def _adds_up(self, model: Any) -> bool:
        inner = model.get_params()[self._prefix] if self._prefix else model
        return isinstance(inner, tuple(getattr(sklearn.ensemble, name) for name in _ADD_UP.get(self._name, ())))
