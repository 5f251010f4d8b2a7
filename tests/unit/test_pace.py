"""Steps get shorter where workers die."""

from __future__ import annotations

import math

import pytest

from dhpo.pace import Pace


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
