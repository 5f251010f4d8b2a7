"""Predictions judged by the metrics of scikit-learn, as few numbers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.neighbors import NearestCentroid
from sklearn.tree import DecisionTreeRegressor

from dhpo.history.judgement import ClassJudgement, NumberJudgement
from dhpo.scoring.judgement import judge, judge_classes, judge_numbers, scores_of


def test_classes_are_counted_and_told_apart() -> None:
    truth = np.array(["a", "a", "a", "b", "b", "c"])
    predicted = np.array(["a", "a", "b", "b", "b", "b"])
    judged = judge_classes(truth, predicted, np.eye(3)[[0, 0, 1, 1, 1, 1]], np.array(["a", "b", "c"]))
    assert judged.classes == ("a", "b", "c")
    assert judged.counts == ((0, 0, 2), (0, 1, 1), (1, 1, 2), (2, 1, 1))
    assert judged.n_rows == 6
    # Of a: 2 of 3 are found before the first that is none; of b: both, after two others; of c: none is told apart.
    assert judged.areas == pytest.approx({0: 5 / 6, 1: 0.75, 2: 0.5})
    assert judged.curves[1] == ((0.0, 0.5, 1.0), (0.0, 1.0, 1.0))


def test_of_many_classes_the_curves_of_the_worst_are_kept() -> None:
    truth = np.arange(10).repeat(2)
    scores = np.eye(10)[truth]
    scores[0, 0] = scores[19, 9] = -1.0  # one row of the first class, and one of the last, look like any other
    judged = judge_classes(truth, truth, scores, np.arange(10))
    assert len(judged.areas) == 10
    assert list(judged.curves) == [0, 1, 2, 3, 4, 5, 9]


def test_classes_without_a_row_are_left_out() -> None:
    truth = np.array([3, 3, 7, 7])
    judged = judge_classes(truth, truth, np.eye(9)[truth], np.arange(9))
    assert judged.classes == ("3", "7")
    assert judged.counts == ((0, 0, 2), (1, 1, 2))
    assert judged.areas == {0: 1.0, 1: 1.0}


def test_two_classes_have_one_curve_and_scores_are_not_needed() -> None:
    truth, predicted, classes = np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]), np.array([0, 1])
    decisions = np.array([-1.0, 2.0, 0.5, -0.5])
    assert judge_classes(truth, predicted, decisions, classes).areas == {1: 1.0}
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
    assert judge_classes(truth, predicted, probabilities, classes).areas == {1: 1.0}
    assert judge_classes(truth, predicted, None, classes).areas == {}
    assert judge_classes(truth, predicted, np.full(4, np.nan), classes).areas == {}


def test_a_curve_of_many_rows_keeps_its_ends_and_a_thousand_points() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=20_000)
    false, true = judge_classes(truth, truth, rng.normal(size=20_000), np.array([0, 1])).curves[1]
    assert len(false) == len(true) == 1_000
    assert (false[0], true[0], false[-1], true[-1]) == (0.0, 0.0, 1.0, 1.0)


def test_numbers_are_judged() -> None:
    judged = judge_numbers(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 6.0]))
    assert judged.metrics == pytest.approx(
        {
            "R²": 0.2,
            "root mean squared error": 1.0,
            "mean absolute error": 0.5,
            "median absolute error": 0.0,
            "mean residual": -0.5,
        }
    )
    assert sorted(zip(judged.true, judged.predicted, strict=True)) == [(1, 1), (2, 2), (3, 3), (4, 6)]
    assert judged.residual_counts[0] == 1
    assert judged.residual_counts[-1] == 3
    assert judged.residual_edges[0] == -2.0
    assert judged.residual_edges[-1] == 0.0


def test_a_class_that_was_never_learned_is_counted() -> None:
    judged = judge([0, 1, 2], [0, 1, 1], [-1.0, 1.0, 1.0], learned=[0, 1])
    assert isinstance(judged, ClassJudgement)
    assert judged.classes == ("0", "1", "2")
    assert judged.counts == ((0, 0, 1), (1, 1, 1), (2, 1, 1))
    assert judged.areas == {1: 0.75}  # of the two others, one looks like it


def test_a_prediction_that_is_no_class_is_counted() -> None:
    judged = judge([0, 1, 1], [-1, 1, -1], None, learned=[0, 1])
    assert isinstance(judged, ClassJudgement)
    assert judged.classes == ("-1", "0", "1")
    assert judged.counts == ((1, 0, 1), (2, 0, 1), (2, 2, 1))


def test_a_column_of_classes_is_one_output() -> None:
    judged = judge([[0], [1]], [[0], [0]], None, learned=[0, 1])
    assert isinstance(judged, ClassJudgement)
    assert judged.counts == ((0, 0, 1), (1, 0, 1))


def test_numbers_are_kept_as_they_are() -> None:
    truth = 101_325 + np.linspace(-50, 50, 200)
    judged = judge_numbers(truth, np.full(200, 101_325.0))
    assert len(set(judged.true)) == 200
    assert len(set(judged.residual_edges)) == 41


def test_a_column_of_targets_is_one_output() -> None:
    judged = judge([[1.0], [2.0]], [[1.0], [3.0]], None, learned=None)
    assert isinstance(judged, NumberJudgement)
    assert judged.metrics["mean absolute error"] == 0.5


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match=r"y has the shape \(2, 2\); predictions of several outputs"):
        judge(np.ones((2, 2)), np.ones((2, 2)), None, learned=None)
    with pytest.raises(ValueError, match="X has 3 rows, and y has 2"):
        judge([0, 1], [0, 1, 1], None, learned=[0, 1])


class NoDecisions(LogisticRegression):
    def decision_function(self, X: np.ndarray) -> np.ndarray:
        raise RuntimeError("no decisions")

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return X[:, 0] % 3 / 2


def test_classifiers_say_what_they_can() -> None:
    X, y = np.arange(6.0).reshape(-1, 1), np.array([0, 0, 0, 1, 1, 1])
    logistic = LogisticRegression().fit(X, y)
    assert np.array_equal(scores_of(logistic, X), logistic.decision_function(X))
    assert scores_of(Perceptron().fit(X, y), X).shape == (6,)
    without = NoDecisions().fit(X, y)
    assert np.array_equal(scores_of(without, X), [0.0, 0.5, 1.0, 0.0, 0.5, 1.0])
    assert scores_of(NearestCentroid().fit(X, y), None) is None
    assert scores_of(DecisionTreeRegressor().fit(X, y), X) is None
