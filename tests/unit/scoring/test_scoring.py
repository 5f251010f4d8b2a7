"""Scores over blocks equal scikit-learn's on the whole data."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import make_blobs, make_classification, make_multilabel_classification, make_regression
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import (
    check_scoring,
    fbeta_score,
    get_scorer,
    get_scorer_names,
    log_loss,
    make_scorer,
    precision_score,
    top_k_accuracy_score,
)
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier

from dhpo.data.rows import Rows
from dhpo.scoring import CollectingScorer, MeanScorer, R2Scorer, SeveralTallies, make_block_scorer, resolve_scoring
from dhpo.scoring.additive_scores import MEANS

CUTS = [0, 7, 8, 90, 200]


def blocks(X, y):
    return [Rows(X[a:b], None if y is None else y[a:b]) for a, b in itertools.pairwise(CUTS)]


def score_blockwise(model, scoring, X, y):
    tally = make_block_scorer(model, scoring, getattr(model, "classes_", None)).tally(model)
    for rows in blocks(X, y):
        tally.add(rows)
    return tally.score()


@pytest.fixture(scope="module")
def binary():
    X, y = make_classification(200, 6, random_state=0)
    return LogisticRegression().fit(X, y), X, y


@pytest.fixture(scope="module")
def multiclass():
    X, y = make_classification(200, 6, n_informative=4, n_classes=3, random_state=0)
    order = np.argsort(y)  # sorted: the first blocks lack classes
    labels = np.array(["a", "b", "c"], dtype=object)[y]
    return LogisticRegression().fit(X, labels), X[order], labels[order]


@pytest.fixture(scope="module")
def regression():
    X, y = make_regression(200, 6, noise=30, random_state=0)
    return LinearRegression().fit(X, y), X, y


def score_of_whole(model, scoring, X, y):
    return check_scoring(model, scoring=scoring)(model, X, y)


@pytest.mark.parametrize(
    "scoring",
    [None, "accuracy", "neg_log_loss", "roc_auc", "average_precision", "f1", "balanced_accuracy", "neg_brier_score"],
)
def test_binary(binary, scoring):
    model, X, y = binary
    assert score_blockwise(model, scoring, X, y) == pytest.approx(score_of_whole(model, scoring, X, y), abs=1e-12)


@pytest.mark.parametrize("scoring", [None, "accuracy", "neg_log_loss", "roc_auc_ovr", "f1_macro"])
def test_classes_missing_in_blocks(multiclass, scoring):
    model, X, y = multiclass
    assert score_blockwise(model, scoring, X, y) == pytest.approx(score_of_whole(model, scoring, X, y), abs=1e-12)


@pytest.mark.parametrize(
    "scoring",
    [
        None,
        "r2",
        "neg_mean_squared_error",
        "neg_root_mean_squared_error",
        "neg_mean_absolute_error",
        "neg_median_absolute_error",
        "explained_variance",
        "neg_max_error",
    ],
)
@pytest.mark.parametrize("outputs", [1, 2])
def test_regression(regression, scoring, outputs):
    model, X, y = regression
    if outputs == 2:
        if scoring == "neg_max_error":
            pytest.skip("it takes one output")
        y = np.column_stack([y, -3 * y + X[:, 0]])
        model = LinearRegression().fit(X, y)
    assert score_blockwise(model, scoring, X, y) == pytest.approx(score_of_whole(model, scoring, X, y), rel=1e-12)


def test_r2_far_from_zero_keeps_its_digits(regression):
    _, X, y = regression
    model = LinearRegression().fit(X, y + 1e9)
    assert score_blockwise(model, "r2", X, y + 1e9) == pytest.approx(model.score(X, y + 1e9), abs=1e-6)


def test_custom_scorers_see_the_outputs_of_the_model(binary):
    model, X, y = binary
    beta = make_scorer(precision_score, pos_label=0)
    assert score_blockwise(model, beta, X, y) == beta(model, X, y)

    def two_methods(estimator, X, y):
        return float(np.mean(estimator.predict(X) == y) + np.mean(estimator.predict_proba(X)[:, 1])) + X.shape[0]

    assert score_blockwise(model, two_methods, X, y) == pytest.approx(two_methods(model, X, y))


@pytest.mark.parametrize(
    ("scorer", "words"),
    [
        (lambda estimator, X, y: float(np.mean(estimator.predict(X[::2]) == y[::2])), "reads X itself"),
        (lambda estimator, X, y: float(np.mean(estimator.predict(X)) + np.mean(X)), "reads X itself"),
        (lambda estimator, X, y: float(np.mean(estimator.predict(list(range(len(X)))) == y)), "changes X before"),
        (lambda estimator, X, y: estimator.score(X, y), "calls the score method"),
        (lambda estimator, X, y: float(len(y)), "asks the model for none"),
    ],
)
def test_a_scorer_that_needs_the_features_themselves_is_refused(binary, scorer, words):
    model, X, y = binary
    with pytest.raises((TypeError, ValueError), match=words):
        score_blockwise(model, scorer, X, y)


def test_own_scores_of_estimators():
    X, _ = make_classification(200, 6, random_state=0)
    kmeans = MiniBatchKMeans(3, random_state=0, n_init=1).fit(X)
    assert score_blockwise(kmeans, None, X, None) == pytest.approx(kmeans.score(X))
    mixture = GaussianMixture(2, random_state=0).fit(X)
    assert score_blockwise(mixture, None, X, None) == pytest.approx(mixture.score(X))


class CountsScores(LogisticRegression):
    """Its own score is its accuracy, times the share of positive features where `looks_at_features`."""

    looks_at_features = False

    def score(self, X, y):
        self.__dict__.setdefault("calls", []).append(len(y))
        return super().score(X, y) * (float(np.mean(X > 0)) if self.looks_at_features else 1.0)


@pytest.mark.parametrize("looks_at_features", [False, True])
def test_an_own_score_of_one_block_is_computed_once(binary, looks_at_features):
    _, X, y = binary
    model = CountsScores().fit(X, y)
    model.looks_at_features, model.calls = looks_at_features, []
    tally = make_block_scorer(model, None, model.classes_).tally(model)
    tally.add(Rows(X, y))
    assert tally.score() == LogisticRegression.score(model, X, y) * (np.mean(X > 0) if looks_at_features else 1)
    assert model.calls == [200]


def test_own_scores_over_blocks_come_of_the_outputs_or_are_means(binary):
    _, X, y = binary
    model = CountsScores().fit(X, y)
    assert score_blockwise(model, None, X, y) == LogisticRegression.score(model, X, y)
    model.looks_at_features = True
    parts = [(len(rows), model.score(rows.X, rows.y)) for rows in blocks(X, y)]
    assert score_blockwise(model, None, X, y) == pytest.approx(sum(n * score for n, score in parts) / len(y))


def test_sums_are_used_where_there_are_any(binary, regression):
    assert isinstance(make_block_scorer(binary[0], None), MeanScorer)
    assert isinstance(make_block_scorer(binary[0], "neg_log_loss"), MeanScorer)
    assert isinstance(make_block_scorer(regression[0], None), R2Scorer)
    assert isinstance(make_block_scorer(binary[0], "roc_auc"), CollectingScorer)


def test_bad_scoring_is_named():
    with pytest.raises(ValueError, match=r"scoring='acuracy' is not the name of a scorer\. Did you mean 'accuracy'\?"):
        resolve_scoring(LogisticRegression(), "acuracy")
    with pytest.raises(TypeError, match="scoring=3 of type int"):
        resolve_scoring(LogisticRegression(), 3)

    class NoScore:
        def partial_fit(self, X, y=None):
            return self

    with pytest.raises(TypeError, match="scoring=None needs an estimator with a `score` method, which NoScore"):
        resolve_scoring(NoScore(), None)
    assert repr(resolve_scoring(LogisticRegression(), "roc_auc")) == repr(get_scorer("roc_auc"))


def cases():
    """A fitted model with data of every kind that scikit-learn has scorers for; the first blocks lack classes."""
    X, y = make_classification(200, 6, random_state=0)
    order = np.argsort(y)
    yield "binary", LogisticRegression().fit(X, y), X[order], y[order]
    yield (
        "strings",
        LogisticRegression().fit(X, np.array(["no", "yes"])[y]),
        X[order],
        np.array(["no", "yes"])[y][order],
    )
    X, y = make_classification(200, 6, n_informative=4, n_classes=3, random_state=0)
    order = np.argsort(y)
    yield "multiclass", LogisticRegression().fit(X, y), X[order], y[order]
    X, y = make_multilabel_classification(200, 6, n_classes=3, random_state=0)
    yield "multilabel", KNeighborsClassifier().fit(X, y), X, y
    X, y = make_regression(200, 6, noise=30, random_state=0)
    yield "regression", LinearRegression().fit(X, y), X, y
    yield "positive", DummyRegressor().fit(X, np.abs(y) + 1), X, np.abs(y) + 1
    yield "two outputs", LinearRegression().fit(X, np.column_stack([y, X[:, 0]])), X, np.column_stack([y, X[:, 0]])
    X, y = make_blobs(200, random_state=0)
    yield "clusters", MiniBatchKMeans(3, n_init=1, random_state=0).fit(X), X, y


@pytest.mark.filterwarnings("ignore")  # of metrics that are not defined for some of the cases
@pytest.mark.parametrize("name", get_scorer_names())
def test_every_scorer_of_scikit_learn(name):
    compared = 0
    for kind, model, X, y in cases():
        try:
            expected = get_scorer(name)(model, X, y)
        except Exception:
            continue  # the metric is not for data of this kind
        found = score_blockwise(model, name, X, y)
        if name in MEANS or name == "r2":
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=kind)
        else:
            np.testing.assert_equal(found, expected, err_msg=kind)
        compared += bool(np.isfinite(expected))
    assert compared


@pytest.mark.parametrize(
    "scorer",
    [
        make_scorer(fbeta_score, beta=2, average="macro"),
        make_scorer(log_loss, response_method="predict_proba", greater_is_better=False),
        make_scorer(top_k_accuracy_score, response_method=("decision_function", "predict_proba"), k=2),
        lambda model, X, y, power=3: float(np.mean(model.predict_proba(X)[:, 0] ** power)),
    ],
)
def test_scorers_with_arguments_of_their_own(multiclass, scorer):
    model, X, y = multiclass
    assert score_blockwise(model, scorer, X, y) == scorer(model, X, y)


class Counting:
    """Counts what a model is asked for, and never sees more than a block."""

    def __init__(self, model):
        self.model = model
        self.asked = Counter()

    def __getattr__(self, name):
        value = getattr(self.model, name)
        if name not in ("predict", "predict_proba", "decision_function"):
            return value

        def output(X):
            assert len(X) <= max(np.diff(CUTS))
            self.asked[name] += 1
            return value(X)

        output.__name__ = name
        return output


def test_several_metrics_ask_the_model_once_for_each_block(binary):
    model, X, y = binary
    counting = Counting(model)
    names = ["accuracy", "f1", "roc_auc", "neg_log_loss", "neg_brier_score", "recall"]
    scorers = {name: make_block_scorer(model, name, model.classes_) for name in names}
    tallies = SeveralTallies(counting, scorers["accuracy"], {name: scorers[name] for name in names[1:]})
    for rows in blocks(X, y):
        tallies.add(rows)
    assert counting.asked == dict.fromkeys(("predict", "predict_proba", "decision_function"), len(CUTS) - 1)
    assert tallies.score() == pytest.approx(score_of_whole(model, "accuracy", X, y), rel=1e-12)
    for name, found in tallies.others().items():
        assert found == pytest.approx(score_of_whole(model, name, X, y), rel=1e-12)


def test_a_single_metric_asks_the_model_once_for_each_block(binary):
    model, X, y = binary
    counting = Counting(model)
    tally = make_block_scorer(model, "f1").tally(counting)
    for rows in blocks(X, y):
        tally.add(rows)
    tally.score()
    assert counting.asked == {"predict": len(CUTS) - 1}


def test_another_metric_that_fails_is_not_a_number(binary):
    model, X, y = binary

    def broken(estimator, X, y):
        estimator.predict(X)
        raise ValueError("never")

    scorers = {"broken": make_block_scorer(model, broken), "silent": make_block_scorer(model, lambda e, X, y: 1.0)}
    tallies = SeveralTallies(model, make_block_scorer(model, "accuracy"), scorers)
    for rows in blocks(X, y):
        tallies.add(rows)
    assert all(np.isnan(value) for value in tallies.others().values())
    assert np.isfinite(tallies.score())
