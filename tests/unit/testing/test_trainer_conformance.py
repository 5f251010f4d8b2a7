"""The conformance suite of trainers tells those that break the contract."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import make_classification
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import SGDClassifier

from dhpo.testing import check_trainer
from dhpo.trainers import ParameterTrainer, PartialFit

X, Y = make_classification(60, 4, random_state=0)


class Counted(BaseEstimator):
    """Predicts how far it was trained."""

    def __init__(self, start=0):
        self.start = start

    def predict(self, X):
        return np.full(len(X), self.start + self.seen_)


class Counts:
    """Keeps the contract."""

    unit, needs_all_rows, exact = "step", True, True

    def check(self, estimator):
        pass

    def advance(self, model, rows, fit_params, before, after):
        model.seen_ = after
        return model


class CountsParts(Counts):
    def advance(self, model, rows, fit_params, before, after):
        model.seen_ = getattr(model, "seen_", 0) + 1
        return model


class Writes(Counts):
    def advance(self, model, rows, fit_params, before, after):
        rows.X[0] = 0
        return super().advance(model, rows, fit_params, before, after)


class KeepsStateOutside(Counts):
    def __init__(self):
        self.seen = {}

    def advance(self, model, rows, fit_params, before, after):
        self.seen[id(model)] = model.seen_ = self.seen.get(id(model), -1) + after - before
        return model


class Forgetful(Counted):
    def __getstate__(self):
        return {"start": self.start, "seen_": 0}


class NeedsMore(Counts):
    def check(self, estimator):
        raise TypeError("no such estimators here")


class Nameless(Counts):
    unit = ""


def test_what_keeps_the_contract():
    check_trainer(Counts(), Counted(), X)
    check_trainer(PartialFit(), SGDClassifier(random_state=0), X, Y, fit_params={"classes": [0, 1]})
    check_trainer(ParameterTrainer("n_estimators"), ExtraTreesClassifier(random_state=0), X, Y)


@pytest.mark.parametrize(
    ("trainer", "estimator", "error", "said"),
    [
        (CountsParts(), Counted(), AssertionError, "exact is True, but"),
        (Writes(), Counted(), ValueError, "read-only"),
        (KeepsStateOutside(), Counted(), AssertionError, "pickled between its parts becomes another one"),
        (Counts(), Forgetful(), AssertionError, "after 1 of step the model predicts otherwise once it was pickled"),
        (NeedsMore(), Counted(), TypeError, "no such estimators here"),
        (Nameless(), Counted(), AssertionError, "unit is empty"),
    ],
)
def test_what_breaks_it(trainer, estimator, error, said):
    with pytest.raises(error, match=said):
        check_trainer(trainer, estimator, X)


def test_one_that_says_it_is_not_exact_need_not_be():
    trainer = CountsParts()
    trainer.exact = False
    check_trainer(trainer, Counted(), X)
