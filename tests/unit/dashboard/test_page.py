"""The page without a browser: what it is told of a search, and what it draws."""

from __future__ import annotations

import math
import threading
from typing import Any

import msgpack
import pytest
from bokeh.document import Document
from bokeh.models.widgets import Button, DataTable, Div, Select

from dhpo.dashboard.document import SearchView
from dhpo.dashboard.messages import Messages
from dhpo.dashboard.search_data import Latest, SearchData
from dhpo.history.events import DataPrepared, PhaseReached, Planned, Promoted, Reported, StepDone, StepStats, Stopped
from dhpo.history.history import History
from dhpo.trial import Report, Train
from tests.unit.views.events import TWO_BRACKETS, dropped, history_of, reported, started

SCALES = {"alpha": "log", "penalty": "category"}
EVENTS = [
    Planned(TWO_BRACKETS, 0.0, "HyperbandSearchCV(SGDClassifier)", SCALES),
    DataPrepared(8, 100, 20, 9_000, 0, 0.5),
    PhaseReached("training", 1.0),
    *(started(i, 1, alpha=10.0**-i, penalty="l1") for i in range(3)),
    StepDone({0: 1, 1: 1, 2: 1}, StepStats(calls=3, blocks_read=1, blocks_cached=2, seconds=0.5), 2.0, worker="w0"),
    Reported(Report(0, 1, 0.5, 0.25, 0.125), 2.0),
    Reported(Report(1, 1, 0.75, 0.25, 0.125), 2.0),
    Reported(Report(2, 1, math.nan, 0.25, 0.0, "Traceback\nValueError: <bad>"), 2.0),
    dropped(2, "failed"),
    dropped(0),
    Promoted(Train(1, 3, 1, 1), 2.5),
    started(3, 0, alpha=1.0, penalty="l2"),
    StepDone({1: 3, 3: 2}, StepStats(calls=4, seconds=1.0), 4.0, worker="w1"),
    Reported(Report(1, 3, 0.625, 0.5, 0.125), 4.0),
    dropped(1, "finished"),
]


def told(history: History, now: float = 10.0) -> SearchData:
    """What the page knows after everything was sent through msgpack, in two messages."""
    messages, data = Messages(history), SearchData("0123456789")
    for _ in range(2):
        data.take(msgpack.loads(msgpack.dumps(messages.new_rows(now)), strict_map_key=False))
    return data


def page(searches: dict[str, SearchData], stop: Any = None) -> tuple[SearchView, Document]:
    view, document = SearchView(searches, stop), Document()
    document.add_root(view.root)
    return view, document


def only(document: Document, kind: Any) -> Any:
    return next(iter(document.select({"type": kind})))


def test_the_table_is_the_summary() -> None:
    history = history_of(*EVENTS)
    _, document = page({"a": told(history)})
    shown = only(document, DataTable).source.data
    frame = history.summary()
    assert shown["trial"] == frame.index.tolist() == [1, 0, 3, 2]
    for name in ("status", "resource", "bracket", "rung", "seconds"):
        assert shown[name] == frame[name].tolist(), name
    assert shown["rank"] == [1, 2, None, None]
    assert shown["score"] == [0.625, 0.5, None, None]
    assert shown["worker"] == ["w1", "w0", "w1", "w0"]
    assert shown["error"] == ["", "", "", "ValueError: <bad>"]
    assert shown["parameters"][1] == "alpha=1, penalty=l1"


def test_the_panels_draw_what_happened() -> None:
    data = told(history_of(*EVENTS))
    assert data.segments.since(0) == [(0, 1, 1, 0.5, 1, 0.5), (1, 1, 1, 0.75, 1, 0.75), (1, 1, 1, 0.75, 3, 0.625)]
    assert data.best.since(0) == [(3, 0.5), (3, 0.75)]
    assert data.reached == {(1, 1): 3, (1, 3): 1}
    assert [step[:5] for step in data.steps.since(0)] == [(1.5, 2.0, "w0", 1, 0), (3.0, 4.0, "w1", 1, 1)]
    _, document = page({"a": data})
    head = only(document, Div).text
    for said in (
        "HyperbandSearchCV(SGDClassifier)",
        "training 64 %",
        "7/11 calls",
        "1 failed",
        "0.6250",
        "9 blocks read",
    ):
        assert said in head
    assert "alpha=0.1" in head


def test_calls_made_ahead_count_when_they_are_reported() -> None:
    events = [*EVENTS[:3], started(0, 1), started(1, 1)]
    ahead = [Reported(Report(0, 27, 0.5), 2.0), StepDone({1: 1}, StepStats(calls=1), 3.0), reported(1, 1, 0.75)]
    data = told(history_of(*events, *ahead))
    assert data.best.since(0) == [(27, 0.5), (28, 0.75)]


def test_what_is_kept_is_bounded() -> None:
    latest = Latest(3)
    assert latest.since(0) == []
    for number in range(10):
        latest.append(number)
    assert (latest.since(0), latest.since(8), latest.since(10)) == ([7, 8, 9], [8, 9], [])


def test_panels_are_drawn_where_trials_have_changed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    history = history_of(*EVENTS)
    messages, data = Messages(history), SearchData("a")
    data.take(messages.new_rows(5.0))
    view, document = page({"a": data})
    shown: list[Any] = []
    monkeypatch.setattr(view._panels[0], "show", shown.append)
    data.take(messages.new_rows(60.0))
    view.update()
    assert shown == []
    assert "1 min 00 s" in only(document, Div).text
    history.append(reported(3, 3, 0.5))
    data.take(messages.new_rows(61.0))
    view.update()
    assert shown == [data]


def test_what_is_sent_is_small_and_each_event_is_sent_once() -> None:
    history = History()
    messages = Messages(history)
    assert [row[0] for row in messages.new_rows(0.0)] == ["state"]
    for event in EVENTS:
        history.append(event)
    kinds = [row[0] for row in messages.new_rows(5.0)]
    assert kinds.count("report") == 4
    assert kinds[-1] == "state"
    assert [row[0] for row in messages.new_rows(6.0)] == ["state"]


def test_the_end_is_told() -> None:
    history = history_of(*EVENTS, started(4, 0, alpha=0.5, penalty="l1"), Stopped("stopped", 7.0))
    data = told(history, now=99.0)
    assert data.state["status"] == "stopped"
    assert data.state["seconds"] == 7.0
    assert [t["status"] for t in data.ranked()] == history.summary()["status"].tolist()
    _, document = page({"a": data}, stop=lambda name: None)
    assert only(document, Button).disabled


def test_what_a_search_failed_by_is_told() -> None:
    error = "SearchFailed: 1 trial failed. The first failure:\nTraceback\nValueError: <b"
    _, document = page({"a": told(history_of(*EVENTS, Stopped("failed", 7.0, error)))})
    assert "SearchFailed: 1 trial failed. The first failure: ValueError: &lt;b<br>" in only(document, Div).text


def test_the_button_asks_before_it_stops_the_search() -> None:
    asked: list[str] = []
    view, document = page({"a": told(history_of(*EVENTS))}, asked.append)
    button = only(document, Button)
    click = button._event_callbacks["button_click"][0]
    click()
    assert (asked, button.label, button.button_type) == ([], "Really stop it?", "danger")
    for _ in range(20):  # nobody clicks again
        view.update()
    assert (button.label, button.button_type) == ("Stop the search", "default")
    click()
    click()
    assert asked == ["a"]
    assert button.label == "Asked to stop"


def test_viewers_in_other_threads_see_no_search_that_is_half_taken_in() -> None:
    data = told(history_of(*EVENTS))
    view, document = page({"a": data})
    choice = next(select for select in document.select({"type": Select}) if select.value == "alpha")
    for deed in (view.update, lambda: setattr(choice, "value", "penalty")):
        data.version += 1
        viewer = threading.Thread(target=deed)
        with data.lock:
            viewer.start()
            viewer.join(0.2)
            assert viewer.is_alive()
        viewer.join()


def test_searches_come_and_go_and_one_is_selected() -> None:
    searches: dict[str, SearchData] = {}
    view, document = page(searches)
    select = next(model for model in document.select({"type": Select}) if model.width == 320)
    assert not select.visible
    searches["a"] = told(history_of(*EVENTS))
    view.update()
    assert (select.value, select.visible) == ("a", False)
    searches["b"] = told(history_of(*EVENTS[:4]))
    view.update()
    assert (select.value, select.visible) == ("a", True)
    select.value = "b"
    assert only(document, DataTable).source.data["trial"] == [0]
    del searches["b"]
    view.update()
    assert (select.value, select.visible) == ("a", False)
    assert only(document, DataTable).source.data["trial"] == [1, 0, 3, 2]
    searches.clear()
    view.update()  # nothing left to show


def test_a_viewer_who_was_behind_when_the_search_went_still_sees_how_it_ended() -> None:
    history = history_of(*EVENTS)
    messages, data = Messages(history), SearchData("0123456789")
    data.take(messages.new_rows(10.0))
    searches = {"a": data}
    view, document = page(searches, stop=lambda name: None)
    history.append(Stopped("stopped", 11.0))
    data.take(messages.new_rows(11.0))
    searches.clear()
    view.update()
    assert "<b>stopped</b>" in next(div.text for div in document.select({"type": Div}) if "<b>" in div.text)
    assert only(document, Button).disabled


@pytest.mark.parametrize(
    ("scale", "values", "kind"),
    [
        ("log", [1e-3, 1.0], "log"),
        ("log", [0.0, 1.0], "linear"),
        ("linear", [-1.0, 1.0], "linear"),
        ("linear", [1.0, "auto"], "category"),
        ("category", [1.0, True], "category"),
    ],
)
def test_a_parameter_has_the_axis_of_its_space(scale: str, values: list[Any], kind: str) -> None:
    events = [Planned(TWO_BRACKETS, 0.0, "", {"a": scale})]
    for number, value in enumerate(values):
        events += [started(number, 1, a=value), reported(number, 1, 0.5)]
    view, _ = page({"a": told(history_of(*events))})
    figures = view._panels[3]._figure._figures
    assert [name for name, figure in figures.items() if figure.visible] == [kind]


def test_rows_of_another_version_are_left_out() -> None:
    data = SearchData("a")
    data.take([["something new", 1, 2], ["trial", 0, 0, {}]])
    assert list(data.trials) == [0]


def test_a_thousand_trials_are_small_messages() -> None:
    history = history_of(*EVENTS[:3])
    messages = Messages(history)
    messages.new_rows(0.0)
    for number in range(1_000):
        history.append(started(number, 1, alpha=0.1, penalty="elasticnet"))
        history.append(StepDone({number: 1}, StepStats(calls=1), 1.0, worker="tcp://127.0.0.1:12345"))
        history.append(reported(number, 1, 0.5))
    assert len(msgpack.dumps(messages.new_rows(1.0))) < 200_000
