"""What a report finds, and what is on its page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dhpo.history.events import DataPrepared, Planned, Reported, Stopped
from dhpo.history.history import History
from dhpo.history.judgement import BestJudged
from dhpo.report import report_html, write_report
from dhpo.report.findings import edge_of_range, failure_groups, findings
from dhpo.report.predictions import metrics_table, pictures
from dhpo.scoring.judgement import judge_classes, judge_numbers
from dhpo.space.parameter_range import ParameterRange
from dhpo.trial import Report
from tests.unit.views.events import TWO_BRACKETS, history_of, reported, started, stepped, training

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LOG = ParameterRange("log", 1e-6, 1.0)
LINEAR = ParameterRange("linear", 0, 100)
LISTED = ParameterRange("log", 0.01, 1.0, choices=(0.01, 0.1, 1.0))


def failed(trial: int, error: str) -> Reported:
    return Reported(Report(trial, 1, float("nan"), error=error), 1.0)


@pytest.fixture
def history() -> History:
    return history_of(
        Planned(TWO_BRACKETS, 0.0, "HyperbandSearchCV(SGDClassifier)", {"alpha": "log"}, {"alpha": LOG}),
        DataPrepared(n_blocks=9, n_training=630, n_validation=70, nbytes=1_000_000, materialised=0, time=0.1),
        training(),
        started(0, 1, alpha=1.2e-6),
        started(1, 1, alpha=0.5),
        started(2, 1, alpha=0.7),
        stepped(1.0, t0=1, t1=1, t2=1),
        reported(0, 1, 0.75),
        failed(1, "Traceback\n  in <partial_fit>\nValueError: <no> 1"),
        failed(2, "Traceback\n  in fit\nValueError: <no> 1"),
        started(3, 0, alpha=0.1),
        failed(3, ""),
        started(4, 0, alpha=0.2),
        failed(4, "Traceback\nTypeError: other"),
        Stopped("done", 65.0),
    )


@pytest.mark.parametrize(
    ("value", "of_parameter", "expected"),
    [
        (1.2e-6, LOG, "The best p, 1.2e-06, lies at the lower end of its range, 1e-06 to 1: .* Extend p below 1e-06."),
        (0.9, LOG, "at the upper end .* Extend p above 1."),
        (1e-3, LOG, None),
        (3, LINEAR, "lower end"),
        (10, LINEAR, None),
        (1.0, LISTED, "upper end"),
        (0.1, LISTED, None),
        (1.0, ParameterRange("log", 0.01, 1.0, choices=(0.01, 1.0)), None),
        (0.5, ParameterRange("linear", 0, None), None),
        ("l1", ParameterRange("category", choices=("l1", "l2", "l3")), None),
        (None, LOG, None),
        (True, ParameterRange("linear", 0, 1), None),
        (5, ParameterRange("linear", 5, 5), None),
    ],
)
def test_the_best_at_the_end_of_its_range_is_told(
    value: Any, of_parameter: ParameterRange, expected: str | None
) -> None:
    found = edge_of_range("p", value, of_parameter)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(expected, found)


def test_few_rows_and_failures_are_told(history: History) -> None:
    ends, rows, failures = findings(history)
    assert "lower end" in ends
    assert "Scores rest on 70 rows" in rows
    assert failures == "4 trials failed; see below."
    assert findings(history_of()) == []


def test_few_rows_are_told_in_the_words_of_what_is_predicted(history: History) -> None:
    numbers = judge_numbers(np.arange(70.0), np.arange(70.0))
    for judged in (None, numbers):
        if judged is not None:
            history.append(BestJudged(0, 1, judged, 66.0))
        assert "accuracy" not in findings(history)[1]
    labels = np.arange(70) % 2
    history.append(BestJudged(0, 1, judge_classes(labels, labels, None, np.array([0, 1])), 67.0))
    assert "has a standard error of up to 0.06, so" in findings(history)[1]  # sqrt(0.25 / 70)


def test_a_parameter_that_a_trial_does_not_have_is_a_dash() -> None:
    trials = [started(0, 1, weight=None), reported(0, 3, 0.75), started(1, 1, other=0.5), reported(1, 3, 0.5)]
    page = report_html(history_of(Planned(TWO_BRACKETS, 0.0), *trials))
    assert "<td>None</td>" in page
    assert "<td>nan</td>" not in page


def test_failures_are_grouped_by_their_last_line(history: History) -> None:
    groups = failure_groups(history)
    assert [(group.error, group.trials) for group in groups] == [
        ("ValueError: <no> 1", (1, 2)),
        ("the score is not a finite number", (3,)),
        ("TypeError: other", (4,)),
    ]
    assert "in <partial_fit>" in groups[0].traceback


def test_the_page_says_it_all_and_escapes_it(history: History, tmp_path: Path) -> None:
    write_report(history, tmp_path / "report.html", {"max_iter": "<9>", "text": 5_000 * "x"})
    page = (tmp_path / "report.html").read_text()
    assert "Best score <b>0.7500</b> by trial 0 after 1 call" in page
    assert "HyperbandSearchCV(SGDClassifier)" in page
    assert "ValueError: &lt;no&gt; 1</b>: 2 trials (1, 2)" in page
    assert "in &lt;partial_fit&gt;" in page
    assert "&lt;9&gt;" in page
    assert "xxx…" in page
    assert 1_000 * "x" not in page
    assert "done after 1 min 05 s" in page
    assert "<td>1</td><td>3</td><td>3</td><td>5</td><td>" in page  # bracket 1: 3 of 3 trials, 5 calls planned


@pytest.mark.parametrize("events", [[], [Planned(TWO_BRACKETS, 0.0)], [started(0, alpha=1.0), failed(0, "E: no")]])
def test_a_search_that_came_to_nothing_has_a_page(events: list[Any]) -> None:
    page = report_html(history_of(*events))
    assert "No trial was scored." in page
    assert ("E: no" in page) == (len(events) == 2)


def test_classes_are_judged() -> None:
    truth = np.array(["a", "a", "a", "b", "b", "c"])
    predicted = np.array(["a", "a", "b", "b", "b", "b"])
    judged = judge_classes(truth, predicted, np.eye(3)[[0, 0, 1, 1, 1, 1]], np.array(["a", "b", "c"]))
    assert metrics_table(judged)[1] == [
        ["a", "1.000", "0.667", "0.800", "0.833", "3"],
        ["b", "0.500", "1.000", "0.667", "0.750", "2"],
        ["c", "0.000", "0.000", "0.000", "0.500", "1"],
        ["mean of the classes", "0.500", "0.556", "0.489", "", "6"],
        ["accuracy 0.6667", "", "", "", "", ""],
    ]
    confusion, curves = pictures(judged)
    assert confusion.renderers[0].data_source.data["count"] == ["2", "1", "", "", "2", "", "", "1", ""]
    labels = [item.label.value for item in curves.legend[0].items]
    assert labels == ["a: area 0.833", "b: area 0.750", "c: area 0.500"]
    assert curves.title.text == "ROC curves"


def test_of_many_classes_the_curves_of_the_worst_are_drawn() -> None:
    truth = np.arange(30).repeat(2)
    predicted = np.where(truth == 29, 28, truth)
    judged = judge_classes(truth, predicted, np.eye(30)[predicted], np.arange(30))
    rows = metrics_table(judged)[1]
    assert [row[0] for row in rows[22:]] == [
        "22",
        "28",
        "29",
        "5 other classes, none with a lower F1",
        "mean of the classes",
        "accuracy 0.9667",
    ]
    (curves,) = pictures(judged)  # a confusion matrix of 30 classes has no place
    assert len(curves.legend[0].items) == 7
    assert curves.title.text == "ROC curves of the 7 classes with the smallest areas"


def test_numbers_are_judged() -> None:
    judged = judge_numbers(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 6.0]))
    header, rows = metrics_table(judged)
    assert header == ["metric", "value"]
    assert rows[0] == ["R²", "0.2"]
    assert rows[-1] == ["mean residual", "-0.5"]
    assert len(pictures(judged)) == 2


def test_rows_held_out_judge_the_best_beside_rows_that_are_given(history: History) -> None:
    held_out = judge_classes(np.array([0, 1] * 20), np.array([0, 1] * 20), None, np.array([0, 1]))
    given = judge_classes(np.array([0, 1, 1]), np.array([0, 1, 0]), None, np.array([0, 1]))
    history.append(BestJudged(0, 1, held_out, 66.0))
    page = report_html(history, given=given)
    assert page.index("on the rows that were given</h2><p>3 rows</p>") < page.index(
        "on the rows that were held out</h2>"
    )
    assert "held out</h2><p>40 rows of 70, drawn at random</p>" in page
    assert "accuracy 1.0000" in page
    assert "accuracy 0.6667" in page


def test_another_model_than_the_best_is_not_told_of(history: History) -> None:
    judged = judge_classes(np.array([0, 1]), np.array([0, 1]), None, np.array([0, 1]))
    history.append(BestJudged(4, 1, judged, 66.0))
    assert history.judgement is None
    assert "held out</h2>" not in report_html(history)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_opens_it_without_network_and_without_complaints(history: History, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    truth, predicted, scores = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [-1, 2, 0.5, -0.5]])
    judged = judge_classes(truth, predicted, scores, np.array([0, 1]))
    (tmp_path / "report.html").write_text(report_html(history, given=judged))
    said: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_context(offline=True).new_page()
        page.set_default_timeout(300_000)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "report.html").as_uri())
        page.wait_for_selector(".bk-DataTable", state="attached")
        # Curves, best so far, rungs, the one parameter, the timeline, the confusion matrix and the ROC curve.
        page.locator(".bk-Figure").nth(6).wait_for(state="attached")
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
