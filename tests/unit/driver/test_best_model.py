"""The model of the best trial, and what is said where there is none."""

from __future__ import annotations

import logging

import pytest

from dhpo.driver.best_model import BestModel
from dhpo.history.history import Best
from dhpo.storage.kept_models import KeptModels
from dhpo.storage.model_store import ModelStore, dumps_model
from dhpo.trial import Report, Trial

BEST = Best(Trial(1, {}), Report(1, 3, 0.5))


@pytest.fixture
def models(tmp_path):
    store = ModelStore(str(tmp_path / "models"))
    store.create()
    return KeptModels(store)


def scored(models, calls):
    checkpoint = models.write(1, calls, dumps_model("a model"))
    models.trained(checkpoint)
    models.reported(BEST.report)
    return checkpoint


def test_the_model_that_was_scored_last_is_read(models):
    scored(models, calls=3)
    best = BestModel(models, trained_on_folds=False)
    assert best.read(BEST)
    assert best.model == "a model"


def test_a_score_without_a_model_is_no_loss(models, caplog):
    scored(models, calls=1)  # the score is that of an earlier search
    with caplog.at_level(logging.INFO):
        assert not BestModel(models, trained_on_folds=False).read(BEST)
    (record,) = caplog.records
    assert (record.levelno, record.exc_info) == (logging.INFO, None)
    assert record.getMessage() == "no model of trial 1, the best, is stored"


def test_a_model_whose_file_is_gone_is_one(models, tmp_path, caplog):
    (tmp_path / "models" / scored(models, calls=3).file).unlink()
    assert not BestModel(models, trained_on_folds=False).read(BEST)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.exc_info
