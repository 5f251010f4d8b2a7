"""A warning tells where the best was chosen by chance."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier

from dhpo.errors import ImpreciseScoresWarning
from dhpo.scoring import make_block_scorer
from dhpo.scoring.precision import standard_error
from dhpo.search.precision_warning import Precision, warn_of_chance

ACCURACY = make_block_scorer(SGDClassifier(), None)
R2 = make_block_scorer(SGDClassifier(), "r2")


@pytest.mark.parametrize(("share", "n_rows"), [(0.5, 400), (0.9, 400), (0.99, 10_000)])
def test_the_error_of_an_accuracy_is_that_of_a_share(share, n_rows):
    drawn = np.random.default_rng(0).binomial(n_rows, share, size=4000) / n_rows
    assert standard_error(ACCURACY, share, n_rows) == pytest.approx(drawn.std(), rel=0.1)


def test_an_accuracy_of_one_on_one_row_is_not_exact():
    assert standard_error(ACCURACY, 1.0, 1) > 0.2


def test_the_error_of_r2_is_what_many_samples_show():
    rng, n_rows, found = np.random.default_rng(0), 300, []
    for _ in range(2000):
        x = rng.normal(size=n_rows)
        found.append(np.corrcoef(x, x + rng.normal(size=n_rows))[0, 1] ** 2)
    assert standard_error(R2, 0.5, n_rows) == pytest.approx(np.std(found), rel=0.15)


def test_the_spread_of_folds_tells_the_error_of_any_metric():
    scorer = make_block_scorer(SGDClassifier(), "roc_auc")
    assert standard_error(scorer, 0.8, 500, [0.7, 0.8, 0.9]) == pytest.approx(0.1 / math.sqrt(3))
    assert math.isnan(standard_error(scorer, 0.8, 500))
    assert math.isnan(standard_error(ACCURACY, 0.8, 0))


@pytest.mark.parametrize(
    ("precision", "words"),
    [
        (Precision(70, 0.93, 0.03, 0.05, 143), ["0.93", "standard error of 0.03", "70 rows", "143 candidates", "0.05"]),
        (Precision(12, 0.5, math.nan, 0.4, 3), ["12 rows alone", "test_size"]),
        (Precision(10_000, 0.9, 0.003, 0.1, 143), None),
        (Precision(400, -3.0, math.nan, 0.001, 3), None),
    ],
)
def test_a_best_within_two_standard_errors_of_the_median_is_told(precision, words):
    if words is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warn_of_chance(precision, with_folds=False)
        return
    with pytest.warns(ImpreciseScoresWarning) as caught:
        warn_of_chance(precision, with_folds=False)
    for word in words:
        assert word in str(caught[0].message)
