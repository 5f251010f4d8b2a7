"""What scikit-learn checks again at each call is spared where it cannot find anything new, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import config_context, get_config
from sklearn.base import BaseEstimator
from sklearn.linear_model import SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier

from dhpo.compose import PartialFitPipeline
from dhpo.worker.spared_checks import spared_checks


def spared(estimator, calls=1, finite=True):
    with spared_checks(estimator, calls, lambda: finite):
        return get_config()["skip_parameter_validation"], get_config()["assume_finite"]


class Transforming(SGDClassifier):
    """Makes infinite values of finite ones."""

    def partial_fit(self, X, y, classes=None):
        with np.errstate(divide="ignore"):
            return super().partial_fit(np.log(X), y, classes=classes)


class Marked(SGDClassifier):
    """Says that it hands its rows on as they are."""

    __dhpo_passes_rows_on__ = True

    def partial_fit(self, X, y, classes=None):
        return super().partial_fit(X, y, classes=classes)


class Derived(Marked):
    def partial_fit(self, X, y, classes=None):
        return super().partial_fit(np.exp(X), y, classes=classes)


class Inside(SGDClassifier):
    """Transforms its rows where scikit-learn's method calls it."""

    def _partial_fit(self, X, *args, **kwargs):
        return super()._partial_fit(np.exp(X), *args, **kwargs)


class Hidden(OneVsRestClassifier):
    """A meta-estimator whose estimator is no parameter."""

    def __init__(self, alpha=1.0):
        super().__init__(Transforming())
        self.alpha = alpha


class Own(BaseEstimator):
    def partial_fit(self, X, y=None):
        return self


@pytest.mark.parametrize("estimator", [SGDClassifier(), MLPClassifier(), GaussianNB(), Marked()], ids=str)
def test_an_estimator_of_scikit_learn_is_spared_them_after_its_first_call(estimator):
    assert spared(estimator, calls=0) == (False, False)
    assert spared(estimator, calls=1) == (True, True)
    assert get_config()["assume_finite"] is False


def test_a_fitted_one_with_parts_of_its_own_is_spared_them_too():
    model = MLPClassifier((3,)).partial_fit([[0.0], [1.0]], [0, 1], classes=[0, 1])
    assert spared(model) == (True, True)


def test_rows_that_may_not_be_finite_are_looked_through():
    assert spared(SGDClassifier(), finite=False) == (True, False)


@pytest.mark.parametrize(
    "estimator",
    [
        Transforming(),
        Own(),
        Derived(),
        Inside(),
        Hidden(),
        OneVsRestClassifier(Transforming()),
        PartialFitPipeline([("model", Transforming())]),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_others_are_spared_nothing(estimator):
    assert spared(estimator) == (False, False)


def test_what_the_user_has_set_stays():
    with config_context(assume_finite=True, working_memory=7):
        assert spared(SGDClassifier(), finite=False) == (True, True)
        with spared_checks(SGDClassifier(), 1, lambda: True):
            assert get_config()["working_memory"] == 7
