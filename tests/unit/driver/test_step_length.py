"""Steps get shorter where workers die."""

from __future__ import annotations

import math

import pytest

from dhpo.driver.step_length import Pace


def test_steps_are_long_while_nobody_dies():
    pace = Pace(2.0)
    pace.passed(1000.0, 8)
    assert pace.step_seconds == 2.0


@pytest.mark.parametrize(("seconds", "n_workers", "deaths"), [(30.0, 3, 10), (600.0, 3, 10), (100.0, 1, 1)])
def test_young(seconds, n_workers, deaths):
    pace = Pace(100.0, cost=0.01)
    pace.passed(seconds, n_workers)
    for _ in range(deaths):
        pace.died()
    between = seconds * n_workers / deaths
    assert pace.step_seconds == math.sqrt(2 * 0.01 * between)


def test_steps_stay_within_bounds():
    pace = Pace(2.0)
    pace.died()
    assert 0 < pace.step_seconds < 1.0
    pace.passed(10**6, 10)
    assert pace.step_seconds == 2.0


@pytest.mark.parametrize("asynchronous", [False, True])
def test_steps_of_several_trials_are_as_long_as_their_overhead_asks_for(asynchronous):
    most = 5 if asynchronous else 10  # times the overhead
    pace = Pace(2.0, cost=0.01)
    assert 0.005 <= pace.together(1, asynchronous) <= 0.01 * most
    for _ in range(20):
        pace.came_back(0.0, 0.1)
    assert 0.05 <= pace.together(1, asynchronous) <= 0.1 * most


def test_one_step_that_was_held_up_changes_nothing():
    pace = Pace(2.0, cost=0.01)
    before = pace.together(1, True)
    pace.came_back(0.0, 30.0)
    assert pace.together(1, True) == before


def test_what_is_known_late_is_a_small_part_of_the_work_before():
    pace = Pace(2.0, cost=0.01)
    for seconds in (1.0, 4.0, 5.0):
        pace.came_back(seconds, 0.01)
    assert pace.together(1, False) == pytest.approx(0.5)
    assert pace.together(4, False) == pytest.approx(0.125)
    pace.came_back(1000.0, 0.01)
    assert pace.together(1, False) == 1.0  # half of the longest


def test_where_decisions_wait_steps_stay_short():
    pace = Pace(2.0, cost=0.01)
    pace.came_back(1000.0, 0.01)
    assert pace.together(1, True) <= 0.05
