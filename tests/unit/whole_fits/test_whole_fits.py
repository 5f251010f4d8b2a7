"""Whole fits without a cluster: rows, scores, outcomes and what is made of them."""

from __future__ import annotations

import math
import pickle

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import PredefinedSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC

from dhpo.history.events import SplitScores
from dhpo.whole_fits.cv_results import best_index, cv_results, failed_fits, warn_of_fits, warn_of_scores
from dhpo.whole_fits.fit_job import CandidateSplit, FitContext, FitJob, Routed, make_fit_data
from dhpo.whole_fits.fits import FitOutcome, dumps_error, fit_and_score, fit_several, forget_job, hand_over, refit
from dhpo.whole_fits.outcomes import Outcomes, reraise
from dhpo.whole_fits.row_selection import n_samples, rows_of, rows_of_params, split_matrix
from dhpo.whole_fits.whole_scoring import accepts_sample_weight, check_refit, resolve_whole_scoring

X, Y = load_iris(return_X_y=True)
WHERE = np.array([3, 0, 2])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (["a", "b", "c", "d"], ["d", "a", "c"]),
        (np.arange(8).reshape(4, 2), [[6, 7], [0, 1], [4, 5]]),
        (np.arange(8).reshape(4, 1, 2), [[[6, 7]], [[0, 1]], [[4, 5]]]),
        (pd.Series([1, 2, 3, 4], index=list("wxyz")), [4, 1, 3]),
        (pd.DataFrame({"a": [1, 2, 3, 4]}, index=[9, 9, 9, 9]), [[4], [1], [3]]),
    ],
    ids=["list", "array", "three dimensions", "series", "frame"],
)
def test_rows_of_any_container(data, expected):
    rows = rows_of(data, WHERE)
    assert type(rows) is type(data)
    assert np.asarray(rows).tolist() == expected
    assert n_samples(data) == 4


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "dia", "bsr"])
def test_rows_of_sparse_matrices(kind):
    dense = np.arange(8).reshape(4, 2)
    assert rows_of(sp.csr_array(dense).asformat(kind), WHERE).toarray().tolist() == dense[WHERE].tolist()


def test_no_rows_of_nothing():
    assert rows_of(None, WHERE) is None


def test_arguments_are_cut_where_they_have_a_value_for_each_row():
    params = {
        "weight": [1, 2, 3, 4],
        "labels": ["x", "y"],
        "flag": True,
        "word": "four",
        "table": {1: 2, 3: 4, 5: 6, 7: 8},
    }
    cut = rows_of_params(params, 4, WHERE)
    assert cut == {**params, "weight": [4, 1, 3]}


def test_a_kernel_is_cut_both_ways():
    kernel = np.arange(16).reshape(4, 4)
    train, test = split_matrix(SVC(kernel="precomputed"), kernel, np.array([0, 2]), np.array([3]))
    assert train.tolist() == [[0, 2], [8, 10]]
    assert test.tolist() == [[12, 14]]
    for wrong, said in ((kernel[:3], "square"), (kernel.tolist(), "arrays or sparse")):
        with pytest.raises(ValueError, match=said):
            split_matrix(SVC(kernel="precomputed"), wrong, np.array([0]), np.array([1]))


def make_job(estimator, *, X=X, scoring=None, error_score=math.nan, train=False, cv=2, **fit_params):
    data = make_fit_data(estimator, X, Y, cv, Routed(fit_params, {}, {}))
    return FitContext(estimator, data, resolve_whole_scoring(estimator, scoring, error_score), error_score, train, {})


def test_a_fit_is_scored_on_its_split():
    job = make_job(GaussianNB(), scoring=["accuracy", "f1_macro"], train=True)
    outcome = fit_and_score(job, CandidateSplit(7, 1, {"var_smoothing": 0.5}))
    train, test = job.data.splits[1]
    model = GaussianNB(var_smoothing=0.5).fit(X[train], Y[train])
    assert (outcome.candidate, outcome.split, outcome.raised, outcome.scores.error) == (7, 1, None, None)
    assert outcome.scores.test["accuracy"] == model.score(X[test], Y[test])
    assert outcome.scores.train["accuracy"] == model.score(X[train], Y[train])
    assert outcome.scores.test.keys() == {"accuracy", "f1_macro"}
    assert outcome.scores.fit_time > 0


def test_a_fit_that_raises_is_an_outcome():
    outcome = fit_and_score(make_job(SVC()), CandidateSplit(0, 0, {"C": -1.0}))
    assert outcome.raised is None
    assert "'C' parameter" in outcome.scores.error
    assert outcome.scores.test == {}


def test_a_wrong_name_is_an_outcome_too():
    assert "Invalid parameter" in fit_and_score(make_job(SVC()), CandidateSplit(0, 0, {"wrong": 1})).scores.error


def test_the_error_itself_comes_back_where_it_ends_the_search():
    outcome = fit_and_score(make_job(SVC(), error_score="raise"), CandidateSplit(0, 0, {"C": -1.0}))
    with pytest.raises(ValueError, match="'C' parameter") as raised:
        reraise(outcome.raised)
    assert "fit_and_score" in raised.value.__notes__[0]


def test_a_scorer_that_fails_gives_the_error_score_and_its_traceback():
    def scorer(model, X, y):
        raise RuntimeError("no score")

    for scoring in (scorer, {"bad": scorer, "good": "accuracy"}):
        outcome = fit_and_score(make_job(GaussianNB(), scoring=scoring, error_score=-1.0), CandidateSplit(0, 0, {}))
        assert outcome.scores.test.get("bad", outcome.scores.test.get("score")) == -1.0
        assert ["no score" in failure for failure in outcome.failures] == [True]
    assert outcome.scores.test["good"] > 0.5


def test_a_score_that_is_no_number_ends_the_search():
    outcome = fit_and_score(make_job(GaussianNB(), scoring=lambda m, X, y: "high"), CandidateSplit(0, 0, {}))
    with pytest.raises(ValueError, match="scoring must return a number, got high"):
        reraise(outcome.raised)


def test_an_error_that_cannot_be_pickled_is_told_in_words():
    class Local(Exception):
        def __reduce__(self):
            raise TypeError("never")

    with pytest.raises(RuntimeError, match="Local: what"):
        reraise(dumps_error(Local("what"), "text"))


def test_a_kernel_goes_through_a_fit():
    kernel = rbf_kernel(X)
    outcome = fit_and_score(make_job(SVC(kernel="precomputed"), X=kernel), CandidateSplit(0, 0, {}))
    train, test = make_job(SVC()).data.splits[0]
    assert outcome.scores.test["score"] == SVC(gamma=1 / 4).fit(X[train], Y[train]).score(X[test], Y[test])


def test_tasks_find_their_job_in_a_file_in_bytes_or_in_this_process(tmp_path):
    job = make_job(GaussianNB())
    path = tmp_path / "job"
    path.write_bytes(cloudpickle.dumps(job))
    works = [CandidateSplit(0, 0, {}), CandidateSplit(0, 1, {})]
    hand_over("here", job)
    scores = {}
    for run, source in (("file", str(path)), ("bytes", path.read_bytes()), ("here", None)):
        scores[run] = [outcome.scores.test["score"] for outcome in fit_several(run, source, works, 60.0)]
        model = pickle.loads(refit(run, source, {"var_smoothing": 0.1}).model)
        np.testing.assert_array_equal(model.theta_, GaussianNB(var_smoothing=0.1).fit(X, Y).theta_)
        forget_job(run)
        assert fit_several(run, source, works, 60.0) == []  # a task that comes late makes nothing that nobody frees
    assert scores["file"] == scores["bytes"] == scores["here"]
    assert len(scores["file"]) == 2


def test_a_task_gives_back_the_processor_when_its_time_is_over():
    hand_over("brief", make_job(GaussianNB()))
    assert len(fit_several("brief", None, [CandidateSplit(0, 0, {}), CandidateSplit(0, 1, {})], 0.0)) == 1
    forget_job("brief")


def test_a_failing_refit_brings_its_error():
    hand_over("refit", make_job(SVC()))
    fitted = refit("refit", None, {"C": -1.0})
    forget_job("refit")
    with pytest.raises(ValueError, match="'C' parameter"):
        reraise(fitted.raised)


def test_splits_are_checked():
    class Liar(PredefinedSplit):
        def get_n_splits(self, X=None, y=None, groups=None):
            return 5

    with pytest.raises(ValueError, match="Expected 5 splits, got 3"):
        make_fit_data(SVC(), X, Y, Liar(np.arange(150) % 3), Routed({}, {}, {}))
    with pytest.raises(ValueError, match="No fits were performed"):
        make_fit_data(SVC(), X, Y, [], Routed({}, {}, {}))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make_fit_data(SVC(), X, Y[:-1], 2, Routed({}, {}, {}))


def test_masks_are_splits():
    mask = np.arange(150) % 2 == 0
    data = make_fit_data(SVC(), X, Y, [(mask, ~mask)], Routed({}, {}, {}))
    assert data.splits[0][0].tolist() == list(range(0, 150, 2))


def search_of(scoring=None, refit=True, candidates=({"C": 1}, {"C": 2}), error_score=math.nan, train=False):
    return FitJob(
        SVC(), candidates, lambda: None, None, None, resolve_whole_scoring(SVC(), scoring, error_score), refit,
        error_score, False, train, {},
    )  # fmt: skip


def test_the_best_has_the_highest_mean():
    outcomes = Outcomes(search_of())
    outcomes.n_splits = 2
    for candidate, scores in enumerate([(0.5, 0.7), (0.8, 0.6)]):
        assert outcomes.begins(candidate)
        assert not outcomes.begins(candidate)
        for split, score in enumerate(scores):
            outcomes.take(FitOutcome(candidate, split, SplitScores({"score": score}, fit_time=1.0, score_time=0.5)))
            assert outcomes.is_complete(candidate) is (split == 1)
    report, splits = outcomes.report(1)
    assert (report.score, report.resource, report.fit_time, report.score_time) == (0.7, 2, 2.0, 1.0)
    assert len(splits) == 2
    assert outcomes.mean_seconds == 1.5
    assert best_index(outcomes.conclude(), True, "score") == 1
    assert outcomes.concluded


def test_a_candidate_that_is_not_complete_has_no_row():
    outcomes = Outcomes(search_of())
    outcomes.n_splits = 2
    assert outcomes.conclude() is None
    for candidate, splits in ((0, [0]), (1, [0, 1])):
        outcomes.begins(candidate)
        for split in splits:
            outcomes.take(FitOutcome(candidate, split, SplitScores({"score": 0.5})))
    assert outcomes.conclude()["params"] == [{"C": 2}]


def test_failed_fits_get_the_error_score():
    outcomes = Outcomes(search_of(error_score=-1.0, train=True))
    outcomes.n_splits = 1
    outcomes.begins(0)
    outcomes.begins(1)
    outcomes.take(FitOutcome(0, 0, SplitScores({}, error="Traceback: bad")))
    outcomes.take(FitOutcome(1, 0, SplitScores({"score": 0.5}, {"score": 0.6})))
    results = outcomes.conclude()
    assert results["mean_test_score"].tolist() == [-1.0, 0.5]
    assert results["mean_train_score"].tolist() == [-1.0, 0.6]
    with pytest.warns(FitFailedWarning, match=r"1 fits failed out of a total of 2[\s\S]*-1.0[\s\S]*bad"):
        warn_of_fits(outcomes.failed_fits)


def test_a_callable_may_return_several_metrics():
    outcomes = Outcomes(search_of(scoring=lambda m, X, y: {}, refit="b"))
    outcomes.n_splits = 1
    outcomes.begins(0)
    outcomes.begins(1)
    outcomes.take(FitOutcome(0, 0, SplitScores({}, error="Traceback")))
    outcomes.take(FitOutcome(1, 0, SplitScores({"a": 1.0, "b": 2.0}), several=True))
    assert outcomes.deciding_metric == "b"
    assert outcomes.conclude()["mean_test_a"][1] == 1.0
    wrong = Outcomes(search_of(scoring=lambda m, X, y: {}, refit=True))
    wrong.n_splits = 1
    wrong.begins(0)
    wrong.take(FitOutcome(0, 0, SplitScores({"a": 1.0, "b": 2.0}), several=True))
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        wrong.conclude()


def test_all_fits_failing_is_an_error():
    outcomes = Outcomes(search_of())
    outcomes.n_splits = 1
    outcomes.begins(0)
    outcomes.take(FitOutcome(0, 0, SplitScores({}, error="Traceback: bad")))
    with pytest.raises(ValueError, match=r"All the 1 fits failed[\s\S]*Traceback: bad"):
        outcomes.conclude()
    assert not outcomes.concluded
    assert np.isnan(outcomes.results["mean_test_score"]).all()


def test_equal_errors_are_told_once():
    said = failed_fits(["one", "two", "one"], 9, 0.0)
    assert "2 fits failed with the following error:\none" in said
    assert said.count("one") == 1
    assert failed_fits([], 9, 0.0) is None


RESULTS = cv_results([{"C": 1}, {"C": 2}], [[SplitScores({"a": 1.0})], [SplitScores({"a": math.inf})]], ["a"], False)


@pytest.mark.parametrize(
    ("returned", "error"), [(0.0, TypeError), (None, TypeError), (2, IndexError), (-1, IndexError)]
)
def test_a_callable_refit_has_to_return_a_row(returned, error):
    with pytest.raises(error, match="best_index_"):
        best_index(RESULTS, lambda results: returned, "a")
    assert best_index(RESULTS, lambda results: np.int64(0), "a") == 0


def test_scores_that_are_not_finite_are_warned_of():
    with pytest.warns(UserWarning, match="One or more of the test scores are non-finite"):
        warn_of_scores(RESULTS, [], math.nan)
    with pytest.warns(UserWarning, match=r"Scoring failed[\s\S]*nan[\s\S]*why"):
        warn_of_scores({}, ["why"], math.nan)


@pytest.mark.parametrize("refit", [True, "other", None])
def test_several_metrics_need_one_that_decides(refit):
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        check_refit(refit, ["a", "b"])
    for allowed in ("a", False, lambda results: 0):
        check_refit(allowed, ["a", "b"])


def test_names_of_metrics_are_told_apart():
    with pytest.raises(ValueError, match="more than once"):
        resolve_whole_scoring(SVC(), ["accuracy", "accuracy"], 0.0)
    with pytest.raises(ValueError, match="wrong"):
        resolve_whole_scoring(SVC(), "wrong", 0.0)


class Plain(ClassifierMixin, BaseEstimator):
    """Has a score that takes no weights."""

    def fit(self, X, y):
        return self

    def score(self, X, y):
        return 1.0


def test_scorers_that_take_no_weights_are_told():
    assert accepts_sample_weight(resolve_whole_scoring(SVC(), "accuracy", 0.0), "search")
    with pytest.warns(UserWarning, match="does not support sample_weight"):
        assert not accepts_sample_weight(resolve_whole_scoring(Plain(), lambda m, X, y: 1.0, 0.0), "search")
    with pytest.warns(UserWarning, match="max=make_scorer"):
        assert accepts_sample_weight(
            resolve_whole_scoring(SVC(), {"max": "neg_max_error", "a": "accuracy"}, 0.0), "search"
        )
