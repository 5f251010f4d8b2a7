"""Trains models by `fit`, with a parameter of theirs as the resource: trees, boosting rounds, iterations."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import sklearn.ensemble
from sklearn.pipeline import Pipeline

from dhpo.data.rows import Rows
from dhpo.trainers.boosters import more_rounds
from dhpo.trainers.estimator_check import check_methods_of
from dhpo.trainers.fit_settings import FitSettings
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

    Ensembles of scikit-learn that can add to what they have (`warm_start`) and boosters of XGBoost and LightGBM are
    trained on; all others are fitted from the start with each new value. All give the model that one fit with this
    value gives; where a booster samples rows or columns, it is the one that this trainer gives at once.

    Parameters
    ----------
    parameter : str
        As in "n_estimators", "max_iter", or "model__n_estimators" of a step of a pipeline.
    unit : str, optional
        What is counted, in the singular; by default what the name says.
    """

    needs_all_rows = True
    exact = True

    def __init__(self, parameter: str, unit: str | None = None) -> None:
        self.parameter = parameter
        prefix, separator, self._name = parameter.rpartition("__")
        self._owner, self._prefix = prefix, prefix + separator
        self.unit = unit or _UNITS.get(self._name, self._name)

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
        if model.get_params().get(f"{self._prefix}early_stopping") == "auto":
            model.set_params(**{f"{self._prefix}early_stopping": False})  # the search sees to that
        model.set_params(**{self.parameter: after})
        self._settings(model, before, after).fit(model, rows, fit_params, self._prefix)
        return model

    def _settings(self, model: Any, before: int, after: int) -> FitSettings:
        owner = model.get_params()[self._owner] if self._owner else model
        if isinstance(owner, tuple(getattr(sklearn.ensemble, name) for name in _ADD_UP.get(self._name, ()))):
            return FitSettings({"warm_start": True})
        # What is no step of a pipeline, but a part of something else, is cloned by that before it is fitted.
        goes_on = self._name == "n_estimators" and (not self._owner or isinstance(model, Pipeline))
        return (goes_on and more_rounds(owner, before, after)) or FitSettings()
