from __future__ import annotations

import logging

import pytest

from dhpo.history.events import Event, Stopped
from dhpo.history.history import History
from dhpo.observers.base import ObservedSearch, Observer, Observers
from dhpo.schedules.plan import Plan

PLAN = Plan(())
EVENT = Stopped("done", 0.0)
SEARCH = ObservedSearch(PLAN, History(), None, lambda at_once=False: None, lambda: 0.0)


class Recorder(Observer):
    def __init__(self, fails_in: str | None = None) -> None:
        self.calls: list[str] = []
        self.fails_in = fails_in

    def _record(self, name: str) -> None:
        self.calls.append(name)
        if name == self.fails_in:
            raise RuntimeError(f"no {name}")

    def start(self, search: ObservedSearch) -> None:
        self._record("start")

    def event(self, event: Event) -> None:
        self._record("event")

    def stop(self) -> None:
        self._record("stop")


def drive(observer: Observer) -> None:
    observer.start(SEARCH)
    observer.event(EVENT)
    observer.event(EVENT)
    observer.stop()


def test_all_are_told_everything() -> None:
    recorders = [Recorder(), Recorder()]
    drive(Observers(recorders))
    assert [recorder.calls for recorder in recorders] == [["start", "event", "event", "stop"]] * 2


@pytest.mark.parametrize(
    ("fails_in", "calls"),
    [
        ("start", ["start"]),
        ("event", ["start", "event", "event", "stop"]),
        ("stop", ["start", "event", "event", "stop"]),
    ],
)
def test_one_that_raises_is_logged_once_and_disturbs_nobody(
    fails_in: str, calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = Recorder(fails_in), Recorder()
    with caplog.at_level(logging.INFO):
        drive(Observers([bad, good]))
    assert bad.calls == calls
    assert good.calls == ["start", "event", "event", "stop"]
    assert len(caplog.records) == 1
    assert f"no {fails_in}" in caplog.text


def test_interrupts_pass() -> None:
    class Impatient(Recorder):
        def event(self, event: Event) -> None:
            raise KeyboardInterrupt

    observers = Observers([Impatient()])
    observers.start(SEARCH)
    with pytest.raises(KeyboardInterrupt):
        observers.event(EVENT)
