"""scikit-learn's callbacks on a search that never runs."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dhpo
from dhpo.history.events import Stopped
from dhpo.history.history import History
from dhpo.observers.base import ObservedSearch, Observers
from dhpo.schedules.plan import Plan
from dhpo.search import scikit_learn_callbacks
from dhpo.search.scikit_learn_callbacks import callback_observers, draws_progress, without_callbacks
from tests.unit.search.recording_callback import RecordingCallback
from tests.unit.views.events import TWO_BRACKETS, dropped, plan_of, reported, started


def search_with(*callbacks: Any) -> Any:
    return dhpo.HyperbandSearchCV(SGDClassifier(), {"alpha": [0.1, 1.0]}).set_callbacks(*callbacks)


def drive(search: Any, plan: Plan, *events: Any) -> list[bool]:
    """Tell the callbacks of a search what happens, and return whether one asked for its end."""
    stops: list[bool] = []
    client: Any = SimpleNamespace(dashboard_link=None)
    observers = Observers(callback_observers(search))
    observers.start(ObservedSearch(plan, History(), client, lambda at_once=False: stops.append(True), lambda: 0.0))
    for event in events:
        observers.event(event)
    observers.stop()
    return stops


ONE = plan_of([(2, 1), (1, 3)])
TRIALS = [
    started(0, alpha=0.1),
    started(1, alpha=1.0),
    reported(0, 1, 0.5),
    reported(1, 1, float("nan")),
    dropped(1, "failed"),
    reported(0, 3, 0.75),
    dropped(0, "finished"),
]


def test_the_tasks_are_the_fit_and_its_trials() -> None:
    callback = RecordingCallback()
    assert drive(search_with(callback), ONE, *TRIALS, Stopped("done", 1.0)) == []
    first = {"trial": 0, "params": {"alpha": 0.1}}
    second = {"trial": 1, "params": {"alpha": 1.0}}
    assert callback.calls == [
        ("setup", "fit", 0, None),
        ("begin", "fit", 0, None),
        ("begin", "trial", 0, first),
        ("begin", "trial", 1, second),
        ("end", "trial", 1, {**second, "score": None, "resource": 1, "status": "failed"}),
        ("end", "trial", 0, {**first, "score": 0.75, "resource": 3, "status": "finished"}),
        ("end", "fit", 0, None),
        ("teardown", "fit", 0, None),
    ]


def test_several_brackets_are_tasks_of_their_own() -> None:
    callback = RecordingCallback()
    drive(search_with(callback), TWO_BRACKETS, started(0, 1), dropped(0), Stopped("done", 1.0))
    told = [(name, task, number) for name, task, number, _ in callback.calls]
    assert told == [
        *[("setup", "fit", 0), ("begin", "fit", 0), ("begin", "bracket", 1), ("begin", "bracket", 0)],
        *[("begin", "trial", 0), ("end", "trial", 0)],
        *[("end", "bracket", 1), ("end", "bracket", 0), ("end", "fit", 0), ("teardown", "fit", 0)],
    ]


def test_a_callback_can_ask_for_the_end() -> None:
    assert drive(search_with(RecordingCallback(stops_after=1)), ONE, *TRIALS[:5], Stopped("stopped", 1.0)) == [True]


def test_a_search_that_fails_ends_no_task() -> None:
    callback = RecordingCallback()
    drive(search_with(callback), ONE, started(0), Stopped("failed", 1.0))
    assert [name for name, *_ in callback.calls] == ["setup", "begin", "begin", "teardown"]


@pytest.mark.parametrize("fails_in", ["setup", "begin", "end", "teardown"])
def test_one_that_raises_is_torn_down_and_costs_the_search_nothing(
    fails_in: str, caplog: pytest.LogCaptureFixture
) -> None:
    callback = RecordingCallback(fails_in=fails_in)
    search = search_with(callback)
    drive(search, ONE, *TRIALS, Stopped("done", 1.0))
    assert callback.calls[-1][0] == "teardown"
    assert f"no {fails_in}" in caplog.text
    assert not [name for name in vars(search) if "ctx" in name or "teardown" in name]


def test_more_trials_than_planned_are_no_matter(caplog: pytest.LogCaptureFixture) -> None:
    callback = RecordingCallback()
    drive(search_with(callback), ONE, *(started(i) for i in range(4)), *map(dropped, range(4)), Stopped("done", 1.0))
    assert [(name, number) for name, task, number, _ in callback.calls if task == "trial"] == [
        *[("begin", 0), ("begin", 1), ("end", 0), ("end", 1)]
    ]
    assert not caplog.records


def test_a_search_is_pickled_and_cloned_while_its_callbacks_are_set_up() -> None:
    search = search_with(ProgressBar(), ScoringMonitor(scoring="accuracy"))
    (observer,) = callback_observers(search)
    client: Any = SimpleNamespace(dashboard_link=None)
    observer.start(ObservedSearch(ONE, History(), client, lambda at_once=False: None, lambda: 0.0))
    try:
        assert pickle.loads(pickle.dumps(search)).max_iter == search.max_iter
        assert draws_progress(clone(search))
    finally:
        observer.event(Stopped("done", 1.0))
        observer.stop()


def test_what_is_no_callback_is_refused() -> None:
    with pytest.raises(TypeError, match="FitCallback"):
        search_with(object())
    assert callback_observers(search_with()) == []


def test_callbacks_of_the_estimator_stay_here() -> None:
    estimator = make_pipeline(
        StandardScaler().set_callbacks(RecordingCallback()), LogisticRegression().set_callbacks(RecordingCallback())
    ).set_callbacks(RecordingCallback())
    with pytest.warns(UserWarning, match=r"callbacks of the estimator \(RecordingCallback\) are not called"):
        sent = without_callbacks(clone(estimator))
    pickle.dumps(sent)
    assert [hasattr(part, "_skl_callbacks") for part in (estimator, *estimator)] == [True] * 3


def test_searches_run_on_where_scikit_learn_has_no_callbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    spec = importlib.util.spec_from_file_location("without", scikit_learn_callbacks.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    class Search(module.TakesCallbacks, BaseEstimator):  # type: ignore[name-defined, misc]
        pass

    search = Search()
    assert not hasattr(search, "set_callbacks")
    assert module.callback_observers(search) == []
    assert not module.draws_progress(search)
    assert module.without_callbacks(search) is search
