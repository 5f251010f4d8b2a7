"""Boosters that get more rounds are those that were trained at once, bit for bit."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_classification
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier
from xgboost.callback import TrainingCallback

from dhpo.data.rows import Rows
from dhpo.testing import check_trainer
from dhpo.trainers import ParameterTrainer
from dhpo.trainers.boosters import is_booster, more_rounds

X, Y = make_classification(300, 10, n_informative=6, n_classes=3, random_state=0)
ROWS = Rows(X, Y)


def xgb(**params):
    return XGBClassifier(random_state=0, max_depth=3, **params)


def lgb(**params):
    return LGBMClassifier(random_state=0, num_leaves=7, min_child_samples=5, verbose=-1, **params)


PLAIN = [
    xgb(),
    xgb(tree_method="exact"),
    XGBRegressor(random_state=0),
    lgb(),
    lgb(deterministic=True, force_row_wise=True),
    LGBMRegressor(random_state=0, verbose=-1),
]
SAMPLING = [
    xgb(subsample=0.5),
    xgb(colsample_bytree=0.5, colsample_bylevel=0.5, colsample_bynode=0.7),
    xgb(subsample=0.5, tree_method="approx"),
    xgb(subsample=0.5, tree_method="exact"),
    xgb(subsample=0.5, grow_policy="lossguide"),
    xgb(subsample=0.5, num_parallel_tree=2),
    xgb(subsample=0.5, seed_per_iteration=True),
    xgb(subsample=0.5, booster="dart", rate_drop=0.3),
    lgb(colsample_bytree=0.5),
    lgb(feature_fraction_bynode=0.5, extra_trees=True),
    lgb(subsample=0.5, subsample_freq=1),
    lgb(subsample=0.5, subsample_freq=4, colsample_bytree=0.5),
    lgb(bagging_fraction=0.3, bagging_freq=2),
]
ANEW = [
    lgb(boosting_type="dart"),
    XGBRFClassifier(random_state=0),
    lgb(data_sample_strategy="goss"),
    lgb(boosting_type="rf", subsample=0.5, subsample_freq=1),
    lgb(linear_tree=True),
    lgb(pos_bagging_fraction=0.5, neg_bagging_fraction=0.5, subsample_freq=1),
]


def name_of(model):
    default = type(model)().get_params()
    own = {k: v for k, v in model.get_params().items() if v is not None and v != default.get(k)}
    own = {k: v for k, v in own.items() if k not in ("random_state", "verbose", "max_depth", "num_leaves")}
    return f"{type(model).__name__}-" + "-".join(f"{k}={v}" for k, v in own.items() if k != "min_child_samples")


def in_parts(model, *resources, y=Y):
    trainer, model, before = ParameterTrainer("n_estimators"), clone(model), 0
    for after in resources:
        model = trainer.advance(model, Rows(X, y), {}, before, after)
        before = after
    return model


@pytest.mark.parametrize("estimator", [*PLAIN, *SAMPLING], ids=name_of)
def test_in_parts_is_at_once(estimator):
    check_trainer(ParameterTrainer("n_estimators"), estimator, X, Y, resources=(1, 3, 9, 27))


@pytest.mark.parametrize("estimator", [*PLAIN, *ANEW], ids=name_of)
def test_without_sampling_that_is_what_one_fit_gives(estimator):
    labels = Y % 2 if estimator.get_params().get("pos_bagging_fraction") else Y
    by_itself = clone(estimator).set_params(n_estimators=9, n_jobs=1).fit(X, labels)
    np.testing.assert_array_equal(in_parts(estimator, 1, 3, 9, y=labels).predict(X), by_itself.predict(X))


@pytest.mark.parametrize("estimator", [*PLAIN, *SAMPLING], ids=name_of)
def test_a_model_gets_only_the_rounds_that_it_lacks(estimator):
    model = in_parts(estimator, 3)
    settings = more_rounds(model, 3, 9)
    assert settings is not None
    assert settings.params["n_estimators"] == 6
    more = in_parts(estimator, 3, 9)
    rounds = more.n_iter_ if isinstance(more, lightgbm.LGBMModel) else more.get_booster().num_boosted_rounds()
    assert rounds == 9
    expected = clone(estimator).set_params(n_estimators=9, objective=more.objective)  # which XGBoost sets
    assert repr(more.get_params()) == repr(expected.get_params())


@pytest.mark.parametrize("estimator", [*ANEW, xgb(booster="gblinear")], ids=name_of)
def test_what_would_not_be_the_same_is_fitted_from_the_start(estimator):
    assert more_rounds(estimator, 0, 3) is None


def test_rounds_draw_other_rows_and_columns_than_those_before():
    """Where each part began with the same seed, a model would see the same rows again."""
    for make in (xgb(subsample=0.1, colsample_bytree=0.1), lgb(subsample=0.1, subsample_freq=1, colsample_bytree=0.1)):
        model = in_parts(make, *range(1, 31))
        table = (model.booster_ if isinstance(model, lightgbm.LGBMModel) else model.get_booster()).trees_to_dataframe()
        features = table.get("split_feature", table.get("Feature")).dropna()
        assert len(set(features) - {"Leaf"}) == 10


def test_an_ordinary_estimator_is_no_booster():
    assert not is_booster(SGDClassifier())
    assert more_rounds(SGDClassifier(), 0, 3) is None


def test_a_step_of_a_pipeline_goes_on_and_a_part_of_something_else_is_fitted_anew():
    trainer = ParameterTrainer("xgbclassifier__n_estimators")
    check_trainer(trainer, make_pipeline(StandardScaler(), xgb(subsample=0.5)), X, Y)
    within = TransformedTargetRegressor(LGBMRegressor(random_state=0, verbose=-1, subsample=0.5, subsample_freq=1))
    check_trainer(ParameterTrainer("regressor__n_estimators"), within, X, Y * 1.0)


def test_callbacks_of_the_user_are_called_and_early_stopping_is_left_to_the_search():
    seen = []

    class Counts(TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            seen.append(epoch)
            return False

    own = [Counts()]
    model = in_parts(xgb(callbacks=own, early_stopping_rounds=2, n_jobs=2), 2, 5)
    assert seen == [0, 1, 0, 1, 2]
    assert [type(callback) for callback in model.callbacks] == [Counts]
    assert (model.early_stopping_rounds, model.n_jobs) == (2, 2)
    seen.clear()
    given = {"callbacks": [lambda env: seen.append(env.iteration)]}
    ParameterTrainer("n_estimators").advance(lgb(), ROWS, given, 0, 3)
    assert seen == [0, 1, 2]
