from __future__ import annotations

import io
import math
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from dhpo.history.events import DataPrepared, Dropped, Event, Reported, StepDone, StepStats, Stopped, TrialStarted
from dhpo.history.history import History
from dhpo.observers.base import ObservedSearch, Observer
from dhpo.observers.terminal import Picture, Terminal, make_terminal
from dhpo.schedules.plan import BracketPlan, Plan, Rung
from dhpo.trial import Drop, DropReason, Report, Trial

LINK = "http://127.0.0.1:8787/status"


def plan_of(*brackets: list[tuple[int, int]]) -> Plan:
    return Plan(
        tuple(
            BracketPlan(number, tuple(Rung(*rung) for rung in rungs))
            for number, rungs in zip(reversed(range(len(brackets))), brackets, strict=True)
        )
    )


TWO_BRACKETS = plan_of([(3, 1), (1, 3)], [(2, 3)])


def started(trial: int, bracket: int, **params: Any) -> Event:
    return TrialStarted(Trial(trial, params, bracket), 0.0)


def reported(trial: int, resource: int, score: float) -> Event:
    return Reported(Report(trial, resource, score), 0.0)


def dropped(trial: int, reason: DropReason = "not promoted") -> Event:
    return Dropped(Drop(trial, reason), 0.0)


def stepped(**progress: int) -> Event:
    return StepDone({int(name[1:]): calls for name, calls in progress.items()}, StepStats(), 0.0)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def draw(picture: Picture, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), record=True, force_terminal=True, width=width)
    console.print(picture.render())
    return console.export_text().splitlines()


def row(lines: list[str], name: str) -> list[str]:
    line = next(line for line in lines if line.split()[0] == name)
    return [word for word in line.split() if not set(word) <= set("━╸╺")]


def history_of(*events: Event) -> History:
    history = History()
    for event in events:
        history.append(event)
    return history


def test_before_anything_happened() -> None:
    lines = draw(Picture(TWO_BRACKETS, History(), LINK, clock=Clock()))
    assert lines[0].split() == ["bracket", "trials", "active", "best", "calls"]
    assert row(lines, "1") == ["1", "0/3", "0", "-", "0/5", "0%"]
    assert row(lines, "0") == ["0", "0/2", "0", "-", "0/6", "0%"]
    assert row(lines, "all") == ["all", "0/5", "0", "-", "0/11", "0%"]
    assert lines[-1] == f"0 s  ·  {LINK}"


def test_in_the_middle() -> None:
    clock = Clock()
    history = History()
    picture = Picture(TWO_BRACKETS, history, LINK, clock=clock)
    for event in [
        *(started(i, 1, alpha=10.0**-i, penalty="l1") for i in range(3)),
        reported(0, 1, 0.5),
        reported(1, 1, 0.75),
        reported(2, 1, math.nan),
        dropped(0),
        dropped(2, "failed"),
        started(3, 0, alpha=1.0, penalty="l2"),
        stepped(t1=2, t3=1),
    ]:
        history.append(event)
    clock.now += 6.4
    lines = draw(picture)
    assert row(lines, "1") == ["1", "3/3", "1", "0.7500", "4/5", "80%"]
    assert row(lines, "0") == ["0", "1/2", "1", "-", "1/6", "17%"]
    assert row(lines, "all") == ["all", "4/5", "2", "0.7500", "5/11", "45%"]
    assert lines[-2] == "best 0.7500 by trial 1 after 1 call: alpha=0.1, penalty=l1"
    assert lines[-1] == f"6 s, about 8 s left  ·  1 failed  ·  {LINK}"


def test_the_data_once_it_is_known() -> None:
    history = history_of(DataPrepared(20, 1149, 288, 9_000, 0, 0.1))
    assert (
        draw(Picture(TWO_BRACKETS, history, None, clock=Clock()))[-2]
        == "20 blocks: 1,149 rows to train on, 288 to score on"
    )


def test_a_step_told_again_counts_once() -> None:
    history = history_of(started(0, 0), stepped(t0=2), stepped(t0=2), reported(0, 2, 0.5), stepped(t0=1))
    assert row(draw(Picture(plan_of([(1, 3)]), history, None, clock=Clock())), "all")[-2:] == ["2/3", "67%"]


def test_at_the_end() -> None:
    clock = Clock()
    history = History()
    picture = Picture(plan_of([(1, 2)]), history, LINK, clock=clock)
    for event in [started(0, 0, a=1), reported(0, 2, -1234.5), dropped(0, "finished"), Stopped("done", 3700.0)]:
        history.append(event)
    clock.now += 3700
    lines = draw(picture)
    assert len(lines) == 4  # one bracket is no more than all of them
    assert row(lines, "all") == ["all", "1/1", "0", "-1234", "2/2", "100%"]
    assert lines[-1] == "done after 1 h 01 min"


def test_a_resumed_search_estimates_from_its_own_calls() -> None:
    clock = Clock()
    history = history_of(started(0, 0), stepped(t0=60))
    picture = Picture(plan_of([(1, 100)]), history, None, clock=clock)
    assert draw(picture)[-1] == "0 s"
    history.append(stepped(t0=80))
    clock.now += 100
    assert draw(picture)[-1] == "1 min 40 s, about 1 min 40 s left"


def test_narrow_and_wide() -> None:
    text = "spread\nover lines " + "x" * 100
    history = history_of(started(0, 0, first=text, second=1e-7), reported(0, 1, 0.5))
    picture = Picture(TWO_BRACKETS, history, LINK, clock=Clock())
    narrow, wide = draw(picture, width=50), draw(picture, width=300)
    assert len(narrow) == len(wide) == 6
    assert max(map(len, narrow)) <= 50
    assert max(map(len, wide)) <= 100
    assert narrow[-2].endswith("…")
    assert wide[-2].endswith("first=spread over lines xxxxx…, second=1e-07")


def test_nothing_where_nobody_looks() -> None:
    assert make_terminal(0, Console(file=io.StringIO(), force_terminal=True)) is None
    assert make_terminal(1, Console(file=io.StringIO())) is None
    assert isinstance(make_terminal(1, Console(file=io.StringIO(), force_terminal=True)), Observer)


def search(observer: Observer, n_events: int) -> None:
    """Drive an observer as the executor does."""
    history = history_of(started(0, 0))
    client = SimpleNamespace(dashboard_link=LINK)
    observer.start(ObservedSearch(plan_of([(1, n_events)]), history, client, lambda at_once=False: None))
    for calls in range(n_events):
        event = stepped(t0=calls + 1)
        history.append(event)
        observer.event(event)
    history.append(Stopped("done", 1.0))
    observer.stop()


def test_live_from_another_thread_does_not_flood() -> None:
    file = io.StringIO()
    terminal = Terminal(Console(file=file, force_terminal=True, width=80, _environ={"TERM": "xterm"}))
    thread = threading.Thread(target=search, args=(terminal, 20_000))
    thread.start()
    thread.join()
    assert "20,000/20,000" in file.getvalue()
    assert file.getvalue().count("bracket") < 20
    assert file.getvalue().endswith("\x1b[?25h")  # the cursor is back


def test_dumb_terminal_gets_the_last_picture() -> None:
    file = io.StringIO()
    search(Terminal(Console(file=file, force_terminal=True, width=80, _environ={"TERM": "dumb"})), 100)
    assert file.getvalue().count("bracket") == 1
    assert "\x1b[?25" not in file.getvalue()
    assert "done after" in file.getvalue()


def test_stop_without_start() -> None:
    Terminal(Console(file=io.StringIO())).stop()


@pytest.mark.parametrize("bracket", [0, 7])
def test_trials_that_the_plan_does_not_know(bracket: int) -> None:
    plan = Plan(())
    lines = draw(Picture(plan, history_of(started(0, bracket), stepped(t0=5)), None, clock=Clock()))
    assert row(lines, "all") == ["all", "1/1", "1", "-", "5/5", "100%"]
