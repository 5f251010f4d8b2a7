"""Boosters on block after block."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import SGDClassifier
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier

from dhpo.data.rows import Rows
from dhpo.testing import check_trainer
from dhpo.trainers import RoundsOnBlocks

X, Y = make_classification(300, 10, n_informative=6, n_classes=3, random_state=0)
LABELS = np.array([0, 1, 2])
LGB = {"verbose": -1, "min_child_samples": 5, "random_state": 0}


@pytest.mark.parametrize(
    "estimator",
    [
        XGBClassifier(random_state=0, subsample=0.5),
        XGBRegressor(random_state=0),
        LGBMClassifier(**LGB, subsample=0.5, subsample_freq=1),
        LGBMClassifier(**LGB, boosting_type="dart"),
        LGBMRegressor(**LGB, data_sample_strategy="goss"),
    ],
)
def test_it_keeps_the_contract(estimator):
    classes = {"classes": LABELS} if hasattr(estimator, "predict_proba") else {}
    check_trainer(RoundsOnBlocks(3), estimator, X, Y, fit_params=classes)


def trained(estimator, blocks, rounds=3, **given):
    trainer, model = RoundsOnBlocks(rounds), clone(estimator)
    for unit, rows in enumerate(blocks):
        model = trainer.advance(model, rows, given, unit, unit + 1)
    return model


def as_frame(X):
    return pd.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])])


@pytest.mark.parametrize("make", [XGBClassifier(random_state=0), LGBMClassifier(**LGB)])
@pytest.mark.parametrize("container", [np.asarray, as_frame, sp.csr_matrix])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_blocks_that_lack_classes_are_learned_from(make, container, n_classes):
    """The first has one class alone."""
    parts = np.array_split(np.flatnonzero(n_classes > Y), 6)
    kept = [part[Y[part] != unit % 3] for unit, part in enumerate(parts)]
    kept[0] = kept[0][Y[kept[0]] == 1]
    model = trained(make, [Rows(container(X[part]), Y[part]) for part in kept], classes=np.arange(n_classes))
    assert model.classes_.tolist() == list(range(n_classes))
    some = np.concatenate(kept)
    assert model.predict_proba(container(X[some])).shape == (len(some), n_classes)
    assert model.score(container(X[some]), Y[some]) > 0.6  # 0.51 and 0.36 are had by chance


def test_rounds_and_weights_are_those_of_the_blocks():
    model = trained(XGBClassifier(random_state=0), [Rows(X, Y), Rows(X, Y)], rounds=4, classes=LABELS)
    assert (model.n_estimators, model.get_booster().num_boosted_rounds()) == (8, 8)
    weights = np.where(Y == 0, 0.0, 1.0)
    weighted = trained(XGBClassifier(random_state=0), [Rows(X, Y, weights)], classes=LABELS)
    assert 0 not in weighted.predict(X)


def test_a_block_that_was_left_out_is_no_reason_to_fail():
    """As one of which all rows are held out."""
    trainer, model = RoundsOnBlocks(4), LGBMClassifier(**LGB)
    model = trainer.advance(model, Rows(X, Y), {"classes": LABELS}, 1, 2)
    assert model.n_iter_ == 4
    assert trainer.advance(model, Rows(X, Y), {"classes": LABELS}, 3, 4).n_iter_ == model.n_estimators == 8


def test_callbacks_of_the_user_are_called():
    seen = []
    trained(LGBMClassifier(**LGB), [Rows(X, Y)], callbacks=[lambda env: seen.append(env.iteration)])
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("trainer", "estimator", "error", "said"),
    [
        (RoundsOnBlocks(), SGDClassifier(), TypeError, "is for estimators of XGBoost and LightGBM"),
        (RoundsOnBlocks(), XGBRFClassifier(), TypeError, "not for their random forests"),
        (RoundsOnBlocks(0), XGBClassifier(), ValueError, "rounds=0 is not allowed"),
        (RoundsOnBlocks(True), XGBClassifier(), ValueError, "rounds=True is not allowed"),
    ],
)
def test_what_cannot_be_trained_so(trainer, estimator, error, said):
    with pytest.raises(error, match=said):
        trainer.check(estimator)


def test_a_forest_of_lightgbm_fails_by_itself():
    forest = LGBMClassifier(**LGB, boosting_type="rf", subsample=0.5, subsample_freq=1)
    with pytest.raises(ValueError, match="cannot go on from where it stands"):
        trained(forest, [Rows(X, Y)])
