"""Models whose parameter is the resource: trained in parts, they are those that one fit gives."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import ensemble
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dhpo.data.rows import Rows
from dhpo.testing import check_trainer
from dhpo.trainers import ParameterTrainer

X, Y = make_classification(200, 6, random_state=0)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize(
    ("parameter", "estimator"),
    [
        ("n_estimators", ensemble.RandomForestClassifier()),
        ("n_estimators", ensemble.RandomForestRegressor(max_features=0.5)),
        ("n_estimators", ensemble.ExtraTreesClassifier(bootstrap=True)),
        ("n_estimators", ensemble.BaggingClassifier(max_samples=0.5)),
        ("n_estimators", ensemble.GradientBoostingClassifier(subsample=0.5, max_features=0.5)),
        ("n_estimators", ensemble.GradientBoostingRegressor()),
        ("max_iter", ensemble.HistGradientBoostingClassifier(max_features=0.5)),
        ("max_iter", ensemble.HistGradientBoostingRegressor()),
        ("n_estimators", ensemble.AdaBoostClassifier()),
        ("max_iter", LogisticRegression()),
        ("max_iter", MLPClassifier((4,), learning_rate_init=0.01)),
        (
            "randomforestclassifier__n_estimators",
            make_pipeline(StandardScaler(), ensemble.RandomForestClassifier(random_state=0)),
        ),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else value,
)
def test_in_parts_is_at_once_is_one_fit(parameter, estimator):
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=0)
    trainer = ParameterTrainer(parameter)
    check_trainer(trainer, estimator, X, Y, resources=(1, 3, 9, 27))
    model = clone(estimator)
    for before, after in ((0, 3), (3, 9)):
        model = trainer.advance(model, Rows(X, Y), {}, before, after)
    by_itself = clone(estimator).set_params(**{parameter: 9})
    if by_itself.get_params().get("early_stopping") == "auto":
        by_itself.set_params(early_stopping=False)
    np.testing.assert_array_equal(model.predict(X), by_itself.fit(X, Y).predict(X))
    assert repr(model.get_params()) == repr(by_itself.get_params())


@pytest.mark.parametrize("warm_start", [False, True])
def test_trees_are_added_and_what_the_user_said_of_warm_start_stays(warm_start):
    trainer = ParameterTrainer("n_estimators")
    model = ensemble.RandomForestClassifier(random_state=0, warm_start=warm_start)
    first = trainer.advance(model, Rows(X, Y), {}, 0, 3).estimators_[:]
    grown = trainer.advance(model, Rows(X, Y), {}, 3, 7)
    assert [a is b for a, b in zip(first, grown.estimators_, strict=False)] == [True] * 3
    assert len(grown.estimators_) == grown.n_estimators == 7
    assert grown.warm_start is warm_start


def test_boosting_does_not_stop_by_itself_where_it_would_decide_so():
    trainer = ParameterTrainer("max_iter")
    rows = Rows(np.random.default_rng(0).standard_normal((10_100, 2)), np.arange(10_100) % 2)
    model = trainer.advance(ensemble.HistGradientBoostingClassifier(random_state=0), rows, {}, 0, 15)
    assert model.n_iter_ == 15
    own = ensemble.HistGradientBoostingClassifier(random_state=0, early_stopping=True, n_iter_no_change=1, tol=1.0)
    assert trainer.advance(own, rows, {}, 0, 15).n_iter_ < 15


def test_weights_and_other_arguments_go_along():
    seen = {}

    class Model:
        def get_params(self, deep=True):
            return {"n": 1}

        def set_params(self, **params):
            seen.update(params)
            return self

        def fit(self, X, y, sample_weight=None, extra=None):
            seen.update(sample_weight=sample_weight.sum(), extra=extra)
            return self

    ParameterTrainer("n").advance(Model(), Rows(X, Y, np.ones(200)), {"extra": 3}, 1, 4)
    assert seen == {"n": 4, "sample_weight": 200.0, "extra": 3}


@pytest.mark.parametrize(
    ("parameter", "estimator", "error", "said"),
    [
        ("n_estimatrs", ensemble.RandomForestClassifier(), ValueError, "Did you mean 'n_estimators'"),
        ("criterion", ensemble.RandomForestClassifier(), ValueError, "has 'gini' in RandomForestClassifier"),
        ("bootstrap", ensemble.RandomForestClassifier(), ValueError, "takes whole numbers"),
        ("n_estimators", ensemble.RandomForestClassifier, TypeError, "is the class RandomForestClassifier"),
        ("n_estimators", object(), TypeError, "lacks fit and get_params and set_params"),
    ],
)
def test_what_cannot_be_trained_so(parameter, estimator, error, said):
    with pytest.raises(error, match=said):
        ParameterTrainer(parameter).check(estimator)
