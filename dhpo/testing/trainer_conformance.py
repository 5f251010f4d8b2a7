"""The conformance suite of trainers."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import clone

from dhpo.data.rows import Rows
from dhpo.trainers.base import Trainer

__all__ = ["check_trainer"]


def check_trainer(
    trainer: Trainer,
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    fit_params: Mapping[str, Any] | None = None,
    resources: Sequence[int] = (1, 3, 9),
) -> None:
    """Train an estimator in parts and at once, and check that a trainer keeps its contract.

    A model has to pickle after each part; what is read back has to predict the same, and to be trained on as if it had
    never been pickled. A trainer that says it is exact has to come to the same predictions in one part. None may write
    into the rows, nor change the estimator that models are cloned from.

    Parameters
    ----------
    trainer : Trainer
    estimator : estimator
        With a `random_state` that is a number, if it has one.
    X, y : ndarray
        Rows to train on, and to predict.
    fit_params : mapping, optional
        More arguments, as `classes` for `partial_fit`.
    resources : sequence of int, default (1, 3, 9)
        Where the parts end.

    Raises
    ------
    AssertionError
        Saying what was broken.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import ExtraTreesClassifier
    >>> from dhpo.testing import check_trainer
    >>> from dhpo.trainers import ParameterTrainer
    >>> X, y = load_iris(return_X_y=True)
    >>> check_trainer(ParameterTrainer("n_estimators"), ExtraTreesClassifier(random_state=0), X, y)
    """
    assert isinstance(trainer.unit, str), f"unit={trainer.unit!r} is no str"
    assert trainer.unit, "unit is empty"
    trainer.check(estimator)
    params, given = repr(estimator.get_params()), dict(fit_params or {})
    rows = Rows(_locked(X), None if y is None else _locked(y))
    steps = [*pairwise((0, *resources))]
    if not trainer.needs_all_rows:  # a unit at a time
        steps = [(unit, unit + 1) for unit in range(resources[-1])]

    def trained(pickled: bool) -> Any:
        model = clone(estimator)
        for before, after in steps:
            model = trainer.advance(model, rows, given, before, after)
            if pickled:
                predicted, model = _predicted(model, X), pickle.loads(pickle.dumps(model))
                same = np.array_equal(predicted, _predicted(model, X))
                assert same, f"after {after} of {trainer.unit} the model predicts otherwise once it was pickled"
        return _predicted(model, X)

    in_parts, through_pickles = trained(pickled=False), trained(pickled=True)
    assert np.array_equal(in_parts, through_pickles), "a model that was pickled between its parts becomes another one"
    if trainer.exact and trainer.needs_all_rows:
        at_once = _predicted(trainer.advance(clone(estimator), rows, given, 0, resources[-1]), X)
        assert np.array_equal(in_parts, at_once), "exact is True, but a model that is trained at once is another one"
    assert repr(estimator.get_params()) == params, "the estimator was changed, of which models are clones"


def _locked(values: Any) -> np.ndarray:
    """A copy that cannot be written to."""
    copy = np.array(values)
    copy.flags.writeable = False
    return copy


def _predicted(model: Any, X: Any) -> np.ndarray:
    return np.asarray(model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X))
