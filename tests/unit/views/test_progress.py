from __future__ import annotations

import math

import pytest

from dhpo.history.events import DataPrepared, PhaseReached, Planned, Stopped
from dhpo.history.history import History
from dhpo.views.html import outcome_html, progress_html
from dhpo.views.progress import Progress
from dhpo.views.text import duration, outcome_lines, progress_line, score, short_params
from tests.unit.views.events import TWO_BRACKETS, dropped, history_of, reported, started, stepped, training


def test_the_status_says_what_the_search_is_doing() -> None:
    history = History()
    said = [Progress(history).status]
    for event in [
        Planned(TWO_BRACKETS, 0.0),
        PhaseReached("starting workers", 0.1),
        PhaseReached("first pass", 0.2),
        PhaseReached("first pass", 0.3, 3, 20),
        training(0.4),
        started(0),
        stepped(0.5, t0=3),
        PhaseReached("last training", 0.6),
        Stopped("done", 0.7),
    ]:
        history.append(event)
        said.append(Progress(history).status)
    assert said == [
        *("starting", "starting", "starting workers", "first pass", "first pass 3/20", "training 0 %", "training 0 %"),
        *("training 27 %", "last training", "done"),
    ]


def test_a_search_that_goes_on_has_not_ended() -> None:
    history = history_of(Planned(TWO_BRACKETS, 0.0), training(), Stopped("stopped", 1.0))
    assert Progress(history).status == "stopped"
    history.append(PhaseReached("starting workers", 1.1))
    assert Progress(history).status == "starting workers"


def test_whole_fits_are_said_to_be_fitted() -> None:
    history = History(by_fits=True)
    for event in [Planned(TWO_BRACKETS, 0.0), training(), started(0), reported(0, 11, 0.5)]:
        history.append(event)
    assert Progress(history).status == "fitting 100 %"


def test_a_line_says_where_the_search_is() -> None:
    history = history_of(Planned(TWO_BRACKETS, 0.0), PhaseReached("first pass", 1.0, 3, 20))
    assert progress_line(Progress(history), 12.4) == "first pass 3/20, 12 s so far"
    for event in [training(12.0), started(0, 1), started(1, 1), reported(0, 3, 0.5), reported(1, 1, math.nan)]:
        history.append(event)
    line = progress_line(Progress(history), 16.0)
    assert line == "4/11 calls (36 %), best 0.5000 (trial 0), 2 of 5 active, 1 failed, about 7 s left"
    history.append(Stopped("time budget", 20.0))
    line = progress_line(Progress(history), 20.0)
    assert line == "time budget after 20 s, best 0.5000 by trial 0 after 3 calls: , 1 failed"


def test_nobody_knows_how_long_what_has_not_begun_will_take() -> None:
    history = history_of(Planned(TWO_BRACKETS, 0.0))
    assert Progress(history).seconds_left(5.0) is None
    history.append(training())
    assert Progress(history).seconds_left(5.0) is None
    history.append(started(0))
    history.append(stepped(t0=1))
    assert Progress(history).seconds_left(5.0) == pytest.approx(50.0)


def test_the_outcome_is_told_in_few_lines() -> None:
    history = history_of(DataPrepared(8, 100, 20, 9_000, 0, 0.5), started(0, alpha=0.5), reported(0, 3, 0.75))
    history.append(dropped(0, "finished"))
    history.append(Stopped("done", 61.0))
    assert outcome_lines(history) == [
        "best 0.7500 by trial 0 after 3 calls: alpha=0.5",
        "done after 1 min 01 s: 1 trial, 3 calls, 1.0 passes over 8 blocks",
    ]
    assert outcome_lines(history, with_best=False) == outcome_lines(history)[1:]
    failed = history_of(Stopped("failed", 2.0, "SearchFailed: nothing was scored.\nTraceback"))
    assert outcome_lines(failed) == ["SearchFailed: nothing was scored.", "failed after 2 s: 0 trials, 0 calls"]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            "SearchFailed: 3 failed. The first failure:\nTraceback\nValueError: no\n",
            "SearchFailed: 3 failed. The first failure: ValueError: no",
        ),
        ("ValueError: \nAll the 6 fits failed.\nIt is likely ...", "ValueError: All the 6 fits failed."),
        ('  File "/tmp/a.py", line 3\n    x =\n       ^\nSyntaxError: invalid syntax', "SyntaxError: invalid syntax"),
        ("KeyError", "KeyError"),
        ("", ""),
    ],
)
def test_what_a_search_failed_by_is_said_in_one_line(error: str, why: str) -> None:
    assert Stopped("failed", 1.0, error).why == why


def test_html_says_what_the_terminal_says_and_nothing_is_taken_for_markup() -> None:
    history = history_of(Planned(TWO_BRACKETS, 0.0), training(), started(0, 1, name="<script>"), reported(0, 1, 0.5))
    html = progress_html(Progress(history), 10.0, "http://127.0.0.1:8787/status")
    assert "<script>" not in html
    assert "name=&lt;script&gt;" in html
    for said in ("1/3", "0/2", "0.5000", "1/11", "9%", "about 1 min 40 s left", 'href="http://127.0.0.1:8787/status"'):
        assert said in html
    assert "width:9.1%" in html  # the bar
    history.append(Stopped("done", 11.0))
    assert "8787" not in progress_html(Progress(history), 11.0, "http://127.0.0.1:8787/status")
    assert "name=&lt;script&gt;" in outcome_html(outcome_lines(history))


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (7260, "2 h 01 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("value", "words"), [(0.123456, "0.1235"), (-1234.5, "-1234"), (math.nan, "-")])
def test_scores(value: float, words: str) -> None:
    assert score(value) == words


def test_parameters_are_short() -> None:
    assert short_params({"a": 1e-7, "b": "x" * 30, "c": (1, 2)}) == f"a=1e-07, b={'x' * 23}…, c=(1, 2)"
