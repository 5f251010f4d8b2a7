from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from dhpo.history.events import DataPrepared, PhaseReached, Stopped
from dhpo.history.history import History
from dhpo.schedules.plan import Plan
from dhpo.views.picture import Picture
from tests.unit.views.events import (
    LINK,
    TWO_BRACKETS,
    Clock,
    dropped,
    history_of,
    plan_of,
    reported,
    started,
    stepped,
    training,
)


def draw(picture: Picture, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), record=True, force_terminal=True, width=width)
    console.print(picture.render())
    return console.export_text().splitlines()


def row(lines: list[str], name: str) -> list[str]:
    line = next(line for line in lines if line.split()[0] == name)
    return [word for word in line.split() if not set(word) <= set("━╸╺")]


def test_before_anything_happened() -> None:
    lines = draw(Picture(TWO_BRACKETS, History(), LINK, clock=Clock()))
    assert lines[0].split() == ["bracket", "trials", "active", "best", "calls"]
    assert row(lines, "1") == ["1", "0/3", "0", "-", "0/5", "0%"]
    assert row(lines, "0") == ["0", "0/2", "0", "-", "0/6", "0%"]
    assert row(lines, "all") == ["all", "0/5", "0", "-", "0/11", "0%"]
    assert lines[-1] == f"0 s  ·  {LINK}"


def test_in_the_middle() -> None:
    clock = Clock()
    history = history_of(training())
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


def test_what_is_done_before_the_trials_is_told() -> None:
    history = history_of(PhaseReached("first pass", 1.0, 3, 20))
    assert draw(Picture(TWO_BRACKETS, history, None, clock=Clock()))[-1] == "first pass 3/20, 1 s"


def test_the_best_is_that_of_the_last_scores() -> None:
    history = history_of(started(0), reported(0, 1, 0.9), reported(0, 2, 0.6), started(1), reported(1, 1, 0.7))
    lines = draw(Picture(plan_of([(2, 3)]), history, None, clock=Clock()))
    assert row(lines, "all")[3] == "0.7000"
    assert lines[-2].startswith("best 0.7000 by trial 1 after 1 call")


def test_the_data_once_it_is_known() -> None:
    history = history_of(DataPrepared(20, 1149, 288, 9_000, 0, 0.1))
    lines = draw(Picture(TWO_BRACKETS, history, None, clock=Clock()))
    assert lines[-2] == "20 blocks: 1,149 rows to train on, 288 to score on"


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
    clock.now += 3600  # whoever looks later sees how long it took
    assert draw(picture)[-1] == "done after 1 h 01 min"


def test_a_resumed_search_estimates_from_its_own_calls() -> None:
    clock = Clock()
    history = history_of(training(), started(0, 0), stepped(50.0, t0=60), training(50.0))
    picture = Picture(plan_of([(1, 100)]), history, None, clock=clock)
    assert draw(picture)[-1] == "50 s"
    history.append(stepped(150.0, t0=80))
    clock.now += 100
    assert draw(picture)[-1] == "2 min 30 s, about 1 min 40 s left"


def test_the_time_before_the_trials_is_not_counted_as_theirs() -> None:
    clock = Clock()
    history = history_of(PhaseReached("starting workers", 0.0), training(90.0))
    picture = Picture(plan_of([(1, 100)]), history, None, clock=clock)
    history.append(started(0, 0))
    history.append(stepped(100.0, t0=50))
    clock.now += 10
    assert draw(picture)[-1] == "1 min 40 s, about 10 s left"


@pytest.mark.parametrize("width", [60, 80, 200, 300])
def test_narrow_and_wide(width: int) -> None:
    text = "spread\nover lines " + "x" * 100
    history = history_of(started(0, 0, first=text, second=1e-7), reported(0, 1, 0.5))
    lines = draw(Picture(TWO_BRACKETS, history, LINK, clock=Clock()), width=width)
    assert len(lines) == 6
    widest = max(map(len, lines))
    assert widest <= min(width, 200)
    assert widest > min(width, 200) - 10  # what there is, is used
    assert lines[-2].endswith("…" if width < 100 else "first=spread over lines xxxxx…, second=1e-07")


@pytest.mark.parametrize(
    ("width", "cells"),
    [
        (60, ["all", "5/9", "5", "0.5000", "40/1,000", "4%"]),
        (47, ["all", "5/9", "5", "0.5000", "40/1,000", "4%"]),
        (39, ["all", "5/9", "0.5000", "40/1,000", "4%"]),
        (33, ["all", "5/9", "0.5000", "40/1,000"]),
    ],
)
def test_a_narrow_terminal_shows_less_and_cuts_no_number(width: int, cells: list[str]) -> None:
    history = history_of(*(started(n, 0) for n in range(5)), stepped(t0=40), reported(0, 40, 0.5))
    lines = draw(Picture(plan_of([(9, 1), (1, 992)]), history, None, clock=Clock()), width=width)
    assert row(lines, "all") == cells
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines[:2])


@pytest.mark.parametrize("bracket", [0, 7])
def test_trials_that_the_plan_does_not_know(bracket: int) -> None:
    lines = draw(Picture(Plan(()), history_of(started(0, bracket), stepped(t0=5)), None, clock=Clock()))
    assert row(lines, "all") == ["all", "1/1", "1", "-", "5/5", "100%"]


def test_whole_fits_are_counted_as_fits() -> None:
    history = History(by_fits=True)
    for event in [DataPrepared(1, 100, 100, 0, 0, 0.0), started(0), reported(0, 5, 0.5)]:
        history.append(event)
    lines = draw(Picture(plan_of([(2, 5)]), history, None, clock=Clock()))
    assert lines[0].split()[-1] == "fits"
    assert lines[2].rstrip() == "best 0.5000 by trial 0 after 5 fits:"
    assert not any("rows" in line for line in lines)
