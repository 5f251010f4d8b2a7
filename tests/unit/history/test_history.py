"""One list of events, and the views of it that people look at."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhpo.history.events import (
    DataPrepared,
    Dropped,
    FitDone,
    Promoted,
    Reported,
    SplitScores,
    StepDone,
    StepStats,
    Stopped,
    TrialStarted,
)
from dhpo.history.history import History
from dhpo.history.tables import ranks
from dhpo.trial import Drop, Report, Train, Trial

NAN = float("nan")


def history_of(*trials, first_of_bracket=None):
    """Each trial is (params, reports, reason); a report is (calls, score) or a `Report`."""
    history = History(first_of_bracket)
    for number, (params, reports, reason) in enumerate(trials):
        history.append(TrialStarted(Trial(number, params, bracket=number % 2), 0.0))
        for report in reports:
            if not isinstance(report, Report):
                report = Report(number, *report, fit_time=1.0, score_time=0.25)
            history.append(Reported(report, 1.0))
        if reason:
            history.append(Dropped(Drop(number, reason), 2.0))
    return history


def test_an_empty_history_has_all_its_views():
    history = History()
    assert (len(history), history.trials, history.reported, history.best, history.first_error) == (
        0,
        [],
        [],
        None,
        None,
    )
    assert history.partial_fit_calls == 0
    assert len(history.summary()) == 0
    assert history.summary().columns.tolist() == [
        *("rank", "score", "status", "resource", "bracket", "rung", "seconds", "worker", "error")
    ]
    assert history.cv_results()["rank_test_score"].shape == (0,)
    assert history.records() == []
    assert history.model_records() == {}
    assert history.costs()["passes"] == 0.0


def test_the_summary_has_one_row_for_each_trial_as_it_stands():
    history = history_of(
        ({"a": 1}, [(1, 0.5), (3, 0.7)], "finished"),
        ({"a": 2}, [(1, 0.9)], "not promoted"),
        ({"a": 3}, [(1, 0.9), Report(2, 2, NAN, error="Traceback\n  ...\nValueError: bad\n")], "failed"),
        ({"a": 4}, [], None),
        ({"a": 5}, [], None),
    )
    history.append(Promoted(Train(0, 9, bracket=0, rung=1), 2.0))
    history.append(StepDone({4: 2}, StepStats(), 3.0, worker="worker-1"))
    frame = history.summary()
    assert frame.index.name == "trial"
    assert frame.index.tolist() == [1, 0, 3, 4, 2]  # by rank, then those that have no score yet, then those that failed
    assert frame.attrs == history.costs()
    frame = frame.sort_index()
    assert frame["bracket"].tolist() == [0, 1, 0, 1, 0]
    assert frame["rung"].tolist() == [1, 0, 0, 0, 0]
    assert frame["status"].tolist() == ["finished", "not promoted", "failed", "waiting", "running"]
    assert frame["resource"].tolist() == [3, 1, 2, 0, 2]
    np.testing.assert_array_equal(frame["score"], [0.7, 0.9, NAN, NAN, NAN])
    assert frame["rank"].tolist()[:2] == [2, 1]
    assert frame["rank"].isna().tolist() == [False, False, True, True, True]
    assert frame["seconds"].tolist() == [2.5, 1.25, 1.25, 0.0, 0.0]
    assert frame["param_a"].tolist() == [1, 2, 3, 4, 5]
    assert frame["worker"].dropna().to_dict() == {4: "worker-1"}
    assert frame["error"].dropna().to_dict() == {2: "ValueError: bad"}


def test_the_columns_of_the_summary_have_types_whatever_is_in_them():
    expected = {
        **{"rank": "Int64", "score": "float64", "status": "str", "resource": "int64", "bracket": "int64"},
        **{"rung": "int64", "seconds": "float64", "worker": "str", "error": "str"},
    }
    for history in (History(), history_of(({}, [], None)), history_of(({}, [(1, 0.5)], "finished"))):
        assert history.summary().dtypes.astype(str).to_dict() == expected


def test_none_as_a_value_is_told_from_a_parameter_that_a_trial_does_not_have():
    history = history_of(({"a": None, "b": 1.0}, [], None), ({"a": "balanced"}, [], None), ({"b": None}, [], None))
    frame = history.summary()
    assert frame["param_a"].tolist()[:2] == [None, "balanced"]
    assert np.isnan(frame["param_a"].tolist()[2])
    assert frame["param_b"].tolist()[0] == 1.0
    assert np.isnan(frame["param_b"].tolist()[1])
    assert frame["param_b"].tolist()[2] is None


@pytest.mark.parametrize("values", [[1, 1.0], [True, False, 5], [1, True], [None, "None"], ["1", 1]])
def test_the_summary_has_the_values_that_the_trials_have(values):
    shown = history_of(*(({"a": value}, [], None) for value in values)).summary()["param_a"].tolist()
    assert [(type(value), value) for value in shown] == [(type(value), value) for value in values]


@pytest.mark.parametrize(("values", "dtype"), [([0, 0.5], "float64"), ([1, 2], "int64"), ([True, False], "bool")])
def test_parameters_of_one_kind_have_typed_columns(values, dtype):
    assert history_of(*(({"a": value}, [], None) for value in values)).summary()["param_a"].dtype == dtype


def test_the_summary_has_several_metrics_and_the_splits_where_they_are_wanted():
    def scored(trial, *tests):
        splits = tuple(SplitScores({"accuracy": accuracy, "recall": recall}) for accuracy, recall in tests)
        mean = float(np.mean([recall for _, recall in tests])) if tests else NAN
        return Reported(Report(trial, 2, mean), 1.0, splits)

    history = history_of(({"a": 1}, [], None), ({"a": 2}, [], None), ({"a": 3}, [], None))
    history.append(scored(2))
    history.append(scored(0, (0.5, 0.25), (1.0, 0.75)))
    history.append(scored(1, (0.25, 0.5), (0.25, 1.0)))
    frame = history.summary()
    assert frame.columns.tolist()[:5] == ["rank", "score", "test_accuracy", "test_recall", "status"]
    assert frame.index.tolist() == [1, 0, 2]
    assert frame["score"].tolist()[:2] == frame["test_recall"].tolist()[:2] == [0.75, 0.5]
    assert frame["test_accuracy"].tolist()[:2] == [0.25, 0.75]
    assert frame["test_accuracy"].isna().tolist() == [False, False, True]
    frame = history.summary(splits=True)
    assert frame["split1_test_recall"].tolist()[:2] == [1.0, 0.75]
    assert "split0_test_score" in history_of(({}, [(1, 0.5)], None)).summary(splits=True)


def test_parameters_are_plain_values():
    params = {"a": np.float64(0.5), "b": np.int64(3), "c": np.str_("x"), "d": (np.int64(1), 2), "e": np.bool_(True)}
    trial = Trial(0, params)
    assert trial.params == {"a": 0.5, "b": 3, "c": "x", "d": (1, 2), "e": True}
    assert "np." not in repr(trial)
    assert params["a"] is not trial.params["a"]


def test_a_summary_reads_well_in_80_columns(monkeypatch):
    params = {"alpha": 1.2345678e-5, "penalty": "elasticnet"}
    history = history_of(*((params, [(81, 0.9123456)], "not promoted") for _ in range(3)))
    text = history.summary().to_string(line_width=80)
    first = text.splitlines()[0]
    assert first.split()[:5] == ["rank", "score", "status", "param_alpha", "param_penalty"]
    assert max(map(len, text.splitlines())) <= 80
    # In a terminal pandas leaves columns out, where there is no room for all.
    monkeypatch.setenv("COLUMNS", "80")
    with pd.option_context("display.max_columns", 0, "display.width", 80):
        shown = repr(history.summary()).splitlines()[0].split()
    assert shown[:3] == ["rank", "score", "status"]
    assert shown[-1] == "error"


def test_no_trial_of_a_search_that_has_ended_is_said_to_run():
    history = history_of(({"a": 1}, [(1, 0.5)], "finished"), ({"a": 2}, [(1, 0.9)], None), ({"a": 3}, [], None))
    assert history.summary().sort_index()["status"].tolist() == ["finished", "running", "waiting"]
    history.append(Stopped("stopped", 4.0))
    assert history.summary().sort_index()["status"].tolist() == ["finished", "stopped", "stopped"]
    history.append(StepDone({2: 1}, StepStats(), 5.0))  # it goes on where it ended
    assert history.summary().sort_index()["status"].tolist() == ["finished", "running", "running"]


def test_trials_are_sorted_by_number_in_whatever_order_they_came():
    history = History()
    for number in (2, 0, 1):
        history.append(TrialStarted(Trial(number, {"a": number}), 0.0))
        history.append(Reported(Report(number, 1, float(number)), 1.0))
    assert [trial.number for trial in history.trials] == [0, 1, 2]
    assert history.summary()["param_a"].tolist() == [2, 1, 0]  # the best first
    assert history.cv_results()["params"].tolist() == [{"a": 0}, {"a": 1}, {"a": 2}]
    assert [record["model_id"] for record in history.records()] == [2, 0, 1]
    assert [event.time for event in history.events] == [0.0, 1.0] * 3


def test_a_parameter_that_a_trial_does_not_have_is_missing():
    history = history_of(({"a": 1.5, "b": "x"}, [(1, 0.1)], None), ({"c": None}, [(1, 0.2)], None))
    frame = history.summary().sort_index()
    assert frame["param_a"].isna().tolist() == [False, True]
    assert frame["param_b"].tolist()[0] == "x"
    assert not any(value is np.ma.masked for column in frame for value in frame[column])
    results = history.cv_results()
    assert results["param_a"].mask.tolist() == [False, True]
    assert results["param_c"].mask.tolist() == [True, False]  # None is a value
    assert results["param_c"][1] is None
    assert results["params"].tolist() == [{"a": 1.5, "b": "x"}, {"c": None}]


def test_parameters_may_be_lists():
    values = [[1, 2], [3, 4], (5, 6)]
    history = history_of(*(({"layers": value}, [(1, 0.5)], None) for value in values))
    assert history.summary()["param_layers"].tolist() == values
    assert history.cv_results()["param_layers"].shape == (3,)
    assert list(history.cv_results()["param_layers"].data) == values


def test_ranks_are_those_of_scikit_learn_and_failures_come_last():
    scores = [0.5, NAN, 0.9, 0.5, float("inf"), 0.1, -np.inf]
    history = history_of(*(({}, [(1, score)], None) for score in scores))
    results = history.cv_results()
    assert results["rank_test_score"].tolist() == [2, 5, 1, 2, 5, 4, 5]
    assert results["rank_test_score"].dtype == np.int32
    assert np.isnan(results["test_score"]).tolist() == [False, True, False, False, True, False, True]
    ranks = history.summary()["rank"]
    assert ranks.dropna().to_dict() == {0: 2, 2: 1, 3: 2, 5: 4}


def test_cv_results_are_of_reported_trials_and_their_last_score():
    history = history_of(
        ({"a": 1}, [(1, 0.5), Report(0, 3, 0.7, fit_time=3.0, score_time=0.75)], "finished"),
        ({"a": 2}, [], None),
        ({"a": 3}, [(1, 0.6)], "not promoted"),
        first_of_bracket={0: 0, 1: 1},
    )
    results = history.cv_results()
    assert {len(column) for column in results.values()} == {2}
    assert results["model_id"].tolist() == ["bracket=0-0", "bracket=0-2"]
    assert results["partial_fit_calls"].tolist() == [3, 1]
    assert results["mean_partial_fit_time"].tolist() == [2.0, 1.0]
    assert results["std_partial_fit_time"].tolist() == [1.0, 0.0]
    assert results["mean_score_time"].tolist() == [0.5, 0.25]
    assert results["std_score_time"].tolist() == [0.25, 0.0]
    for name in ("test_score", "mean_test_score", "split0_test_score"):
        assert results[name].tolist() == [0.7, 0.6]
    assert results["std_test_score"].tolist() == [0.0, 0.0]
    assert [trial.number for trial in history.reported] == [0, 2]
    assert len(pd.DataFrame(results)) == 2


def test_the_best_is_the_highest_last_score_and_ties_go_to_the_lower_number():
    history = history_of(
        ({}, [(1, 0.99), (3, 0.2)], None),
        ({}, [(1, 0.5)], "not promoted"),
        ({}, [(1, 0.1), (3, 0.5)], None),
        ({}, [(1, 0.8), (3, NAN)], "failed"),
        ({}, [(1, float("inf"))], "failed"),
        ({}, [], None),
    )
    assert history.best.trial.number == 1
    assert history.best.report == Report(1, 1, 0.5, 1.0, 0.25)
    assert history_of(({}, [(1, NAN)], "failed")).best is None


reports = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0, -1.0, NAN, float("inf")]), st.booleans()), max_size=20
)


@settings(derandomize=True, deadline=None)
@given(reports)
def test_the_best_has_rank_one_in_every_view(given):
    history = history_of(*[({}, [], None)] * 5)
    last = {}
    for calls, (number, score, raised) in enumerate(given, start=1):
        last[number] = Report(number, calls, score, error="boom" if raised else None)
        history.append(Reported(last[number], 0.0))
    finite = [report for report in last.values() if not report.failed]
    best = min(finite, key=lambda report: (-report.score, report.trial), default=None)
    if best is None:
        assert history.best is None
        assert history.summary()["rank"].isna().all()
        return
    assert history.best.report == best
    assert history.summary().loc[best.trial, "rank"] == 1
    results = history.cv_results()
    first = int(np.argmin(results["rank_test_score"]))
    assert results["model_id"][first] == best.trial
    assert history.summary()["score"].notna().sum() == len(finite)


def test_the_first_error_is_the_first_that_came():
    history = history_of(
        ({}, [Report(0, 1, NAN)], "failed"),
        ({}, [Report(1, 1, NAN, error="first")], "failed"),
        ({}, [Report(2, 1, NAN, error="second")], "failed"),
    )
    assert history.first_error == "first"


def test_records_have_the_words_of_dask_ml():
    history = history_of(({"a": 1}, [(1, 0.5), (3, 0.7)], None), ({"a": 2}, [], None), first_of_bracket={0: 0, 1: 1})
    first, second = history.records()
    assert first == {
        "model_id": "bracket=0-0",
        "params": {"a": 1},
        "bracket": 0,
        "partial_fit_calls": 1,
        "partial_fit_time": 1.0,
        "score": 0.5,
        "score_time": 0.25,
        "elapsed_wall_time": 1.0,
        "error": None,
    }
    assert history.model_records() == {"bracket=0-0": [first, second], "bracket=1-0": []}


def test_who_changes_a_view_does_not_change_the_history():
    history = history_of(({"a": 1}, [(1, 0.5)], None))
    history.records()[0]["params"]["a"] = 2
    history.cv_results()["params"][0]["a"] = 2
    history.cv_results()["test_score"][0] = 2
    assert history.records()[0]["params"] == {"a": 1}
    assert history.cv_results()["test_score"].tolist() == [0.5]


def test_costs_add_up():
    history = history_of(({}, [], None), ({}, [], None))
    history.append(DataPrepared(4, 80, 20, 1000, 0, 0.0))
    stats = StepStats(
        calls=6,
        blocks_read=3,
        blocks_cached=2,
        bytes_read=500,
        validation_blocks_read=1,
        fit_seconds=2.0,
        score_seconds=1.0,
        load_seconds=0.5,
        store_seconds=0.25,
        seconds=4.0,
    )
    history.append(StepDone({0: 3, 1: 3}, stats, 1.0))
    history.append(StepDone({0: 6, 1: 6}, stats, 2.0))
    history.append(StepDone({1: 5}, stats, 2.0))  # an older one that came late
    history.append(Stopped("done", 3.0))
    assert history.costs() == {
        "partial_fit_calls": 12,
        "wasted_calls": 6,
        "reused_calls": 0,
        "tasks": 3,
        "n_blocks": 4,
        "blocks_read": 13,
        "blocks_cached": 6,
        "validation_blocks_read": 3,
        "bytes_read": 2500,
        "passes": 13 / 4,
        "partial_fit_seconds": 6.0,
        "score_seconds": 3.0,
        "load_seconds": 1.5,
        "store_seconds": 0.75,
    }


def test_an_event_of_a_trial_that_never_started_is_refused():
    with pytest.raises(KeyError):
        History().append(Reported(Report(0, 1, 0.5), 0.0))


def test_what_failed_is_ranked_behind_the_lowest_score() -> None:
    assert ranks(np.array([-1e300, NAN, 0.5, -1e300, NAN])).tolist() == [2, 4, 1, 2, 4]


FAILED, SCORED = SplitScores({"score": 0.0}, error="Traceback\nValueError: no\n"), SplitScores({"score": 0.75})
SCORER = "Traceback\nTypeError: this scorer\n"
ON_ONE = "a scorer, on 1 of 2 splits: TypeError: this scorer"


@pytest.mark.parametrize(
    ("report", "splits", "scorer", "why", "status", "traceback"),
    [
        (Report(0, 1, 0.5), (), "", None, "finished", None),
        (Report(0, 1, NAN), (), "", "the score is not a finite number", "failed", ""),
        (Report(0, 1, NAN, error="ValueError: no\n"), (), "", "ValueError: no", "failed", "ValueError: no\n"),
        # With a number for error_score.
        (Report(0, 2, 0.0), (FAILED,) * 2, "", "ValueError: no", "failed", FAILED.error),
        (Report(0, 2, 0.375), (FAILED, SCORED), "", "on 1 of 2 splits: ValueError: no", "finished", FAILED.error),
        (Report(0, 2, 0.75), (SCORED,) * 2, SCORER, ON_ONE, "finished", SCORER),
        (Report(0, 2, NAN), (SCORED,) * 2, SCORER, ON_ONE, "failed", SCORER),
    ],
)
def test_a_failure_says_why_also_in_part(
    report: Report, splits: tuple[SplitScores, ...], scorer: str, why: str | None, status: str, traceback: str | None
) -> None:
    history = History(by_fits=True)
    history.append(TrialStarted(Trial(0, {}), 0.0))
    if scorer:
        history.append(FitDone(0, 0, SCORED, 0.5, failures=(scorer,)))
    history.append(Reported(report, 1.0, splits))
    history.append(Dropped(Drop(0, "finished"), 1.0))
    row = history.summary().loc[0]
    assert row["status"] == status
    assert row["error"] == why if why else pd.isna(row["error"])
    assert history.errors() == ({} if traceback is None else {0: traceback})
    assert history.first_error == (traceback or None)
    assert (history.n_failed, history.n_failed_in_part) == (status == "failed", bool(why) and status != "failed")
    if np.isfinite(report.score):
        assert (row["rank"], row["score"]) == (1, report.score)
