"""A search as runs of MLflow, on a server that only takes notes."""

from __future__ import annotations

import copy
import logging
import pickle
import sys
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

import dhpo
from dhpo.errors import ExtraNotInstalled
from dhpo.exports.mlflow_runs import MLflowRuns
from dhpo.history.events import Dropped, Event, Planned, Reported, SplitScores, StepDone, StepStats, Stopped
from dhpo.history.history import History
from dhpo.observers import mlflow as observers_mlflow
from dhpo.observers.base import ObservedSearch
from dhpo.trial import Drop, Report
from tests.unit.views.events import TWO_BRACKETS, history_of, started

BEGAN = 1_700_000_000.0


class Server:
    """Stands for MlflowClient."""

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=self.experiments[name]) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        self.experiments[name] = str(len(self.experiments))
        return self.experiments[name]

    def create_run(self, experiment_id: str, start_time: int, tags: dict[str, str], run_name: str) -> Any:
        self.requests.append(f"create {run_name}")
        self.runs[run_name] = {
            **{"experiment": experiment_id, "parent": tags.get("mlflow.parentRunId"), "start": start_time},
            **{"metrics": [], "params": {}, "tags": {}, "status": "RUNNING", "end": None},
        }
        return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

    def log_batch(self, run: str, metrics: Sequence[Any], params: Sequence[Any], tags: Sequence[Any]) -> None:
        self.requests.append(f"log {run}")
        assert len(metrics) + len(params) + len(tags) <= 1_000
        assert max(len(params), len(tags)) <= 100
        self.runs[run]["metrics"] += [(m.key, m.value, m.timestamp, m.step) for m in metrics]
        self.runs[run]["params"] |= {param.key: param.value for param in params}
        self.runs[run]["tags"] |= {tag.key: tag.value for tag in tags}

    def set_terminated(self, run: str, status: str, end_time: int) -> None:
        self.requests.append(f"end {run}")
        self.runs[run] |= {"status": status, "end": end_time}


def reported(number: int, resource: int, score: float, time: float, *splits: SplitScores) -> Event:
    return Reported(Report(number, resource, score, 0.5, 0.25), time, splits)


def at(seconds: float) -> int:
    return round(1000 * (BEGAN + seconds))


EVENTS: list[Event] = [
    Planned(TWO_BRACKETS, 0.0, "HyperbandSearchCV(SGDClassifier)"),
    started(0, 1, alpha=0.5, layers=(64, 32)),
    started(1, 1, alpha=0.25, layers=(64,)),
    StepDone({0: 1, 1: 1}, StepStats(calls=2), 1.0, worker="w0"),
    reported(0, 1, 0.5, 2.0),
    reported(1, 1, float("nan"), 2.0),
    Dropped(Drop(1, "failed"), 2.5),
    reported(0, 3, 0.75, 3.0),
    started(2, 0, alpha=1.0, layers=(64,)),
]


def written(*batches: Sequence[Event]) -> Server:
    """What a server knows after each of these was written."""
    server, history = Server(), History()
    runs = MLflowRuns(server, "digits", history, BEGAN, None)
    for batch in batches:
        for event in batch:
            history.append(event)
        runs.write()
    return server


def test_a_search_is_a_run_with_one_below_it_for_each_trial() -> None:
    server = written([*EVENTS, Dropped(Drop(0, "finished"), 4.0), Stopped("stopped", 5.0)])
    parent, *trials = server.runs.values()
    assert list(server.runs) == ["HyperbandSearchCV(SGDClassifier)", "trial 0", "trial 1", "trial 2"]
    assert {trial["parent"] for trial in trials} == {"HyperbandSearchCV(SGDClassifier)"}
    assert [run["status"] for run in server.runs.values()] == ["KILLED", "FINISHED", "FAILED", "KILLED"]
    assert (parent["start"], parent["end"]) == (at(0.0), at(5.0))
    assert parent["params"] == {"planned_trials": "5", "best_alpha": "0.5", "best_layers": "(64, 32)"}
    assert parent["metrics"][:2] == [("best_score", 0.5, at(2.0), 1), ("best_score", 0.75, at(3.0), 2)]
    assert ("partial_fit_calls", 4.0, at(5.0), 0) in parent["metrics"]
    assert parent["tags"]["status"] == "stopped"
    assert parent["tags"]["best_trial"] == "0"
    first, failed, last = trials
    assert first["params"] == {"alpha": "0.5", "layers": "(64, 32)"}
    assert first["metrics"] == [
        ("score", 0.5, at(2.0), 1),
        ("score", 0.75, at(3.0), 3),
        ("resource", 3.0, at(4.0), 0),
        ("seconds", 1.5, at(4.0), 0),
    ]
    assert first["tags"] == {"trial": "0", "bracket": "1", "status": "finished", "rung": "0", "worker": "w0"}
    assert first["end"] == at(4.0)
    assert [name for name, *_ in failed["metrics"]] == ["resource", "seconds"]
    assert (last["tags"]["status"], last["end"]) == ("stopped", at(5.0))


@pytest.mark.parametrize("n_batches", [2, 3, 11])
def test_it_is_the_same_in_whatever_batches_it_is_written(n_batches: int) -> None:
    events = [*EVENTS, Dropped(Drop(0, "finished"), 4.0), Stopped("done", 5.0)]
    size = -(-len(events) // n_batches)
    parts = [events[i : i + size] for i in range(0, len(events), size)]
    assert written(*parts).runs == written(events).runs


def test_what_is_new_of_a_trial_is_one_request() -> None:
    server = written(EVENTS, [Dropped(Drop(0, "finished"), 4.0), Stopped("done", 5.0)])
    assert server.requests.count("log trial 0") == 2
    assert server.requests.count("log trial 1") == 1
    assert len(written(EVENTS, [], []).requests) == len(written(EVENTS).requests)


def test_several_metrics_are_told() -> None:
    splits = (SplitScores({"auc": 0.5, "f1": 0.25}), SplitScores({"auc": 1.0, "f1": float("nan")}))
    server = written([EVENTS[0], started(0, alpha=0.5), reported(0, 2, 0.75, 2.0, *splits)])
    assert server.runs["trial 0"]["metrics"] == [("score", 0.75, at(2.0), 2), ("test_auc", 0.75, at(2.0), 2)]


def test_large_batches_are_divided() -> None:
    params = {f"p{i}": i for i in range(120)}
    events = [EVENTS[0], started(0, **params), *(reported(0, i, 0.5, 2.0) for i in range(2500))]
    trial = written(events).runs["trial 0"]
    assert len(trial["params"]) == 120
    assert [step for *_, step in trial["metrics"]] == list(range(2500))


def test_an_experiment_is_made_once() -> None:
    server = Server()
    for _ in range(2):
        MLflowRuns(server, "digits", History(), BEGAN, None)
    assert len(server.experiments) == 1


def observed(history: History) -> ObservedSearch:
    client: Any = None
    return ObservedSearch(TWO_BRACKETS, history, client, lambda at_once=False: None, lambda: 0.0)


def drive(monkeypatch: pytest.MonkeyPatch, server: Any) -> dhpo.MLflowObserver:
    """Tell an observer of a whole search, and wait until it has written it."""
    import mlflow.tracking

    monkeypatch.setattr(mlflow.tracking, "MlflowClient", lambda tracking_uri: server)
    observer = dhpo.MLflowObserver("http://nowhere", experiment="digits", every=0.01)
    observer.start(observed(history_of(*EVENTS, Stopped("done", 5.0))))
    observer.stop()
    return observer


def test_everything_is_written_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    server.gate = threading.Event()  # type: ignore[attr-defined]
    create = server.create_experiment
    monkeypatch.setattr(server, "create_experiment", lambda name: server.gate.wait(300) and create(name))  # type: ignore[attr-defined]
    observer = drive(monkeypatch, server)
    assert not observer.wait(0.0)
    server.gate.set()  # type: ignore[attr-defined]
    assert observer.wait(300)
    assert len(server.runs) == 4
    copied = copy.deepcopy(pickle.loads(pickle.dumps(observer)))
    assert copied.experiment == "digits"


def test_a_server_that_fails_is_one_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Server):
        def set_terminated(self, run: str, status: str, end_time: int) -> None:
            if run == "trial 1":
                raise ConnectionError("no route\nto host")
            super().set_terminated(run, status, end_time)

    with caplog.at_level(logging.INFO):
        assert not drive(monkeypatch, Failing()).wait(300)
    assert [record.getMessage() for record in caplog.records] == [
        "Nothing more of this search is written to MLflow; 1 of 3 trials were written completely: "
        "ConnectionError: no route"
    ]


def test_what_the_end_of_the_process_does_not_wait_for_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(observers_mlflow, "_AT_EXIT_SECONDS", 0.05)
    gate = threading.Event()

    def connect(history: History) -> Any:
        gate.wait(300)
        raise ConnectionError

    writing = observers_mlflow._Writing(history_of(*EVENTS), connect, 0.01)
    writing.start()
    writing._finish()
    assert "the process ends, and 0.05 s were not enough" in caplog.text
    gate.set()
    writing.join(300)


@pytest.mark.parametrize(("every", "error"), [("5", TypeError), (True, TypeError), (0, ValueError), (-1.0, ValueError)])
def test_every_is_checked(every: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="every="):
        dhpo.MLflowObserver(every=every)


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    monkeypatch.setattr(observers_mlflow, "find_spec", lambda name: None)
    with pytest.raises(ExtraNotInstalled, match=r'pip install "dhpo\[mlflow\]"'):
        dhpo.MLflowObserver()
