"""Which scores are drawn where some hide the differences of all others."""

from __future__ import annotations

import math

import pytest
from bokeh.plotting import figure

from dhpo.dashboard.score_axis import ScoreAxis, lowest_worth_showing

USUAL = [0.1, 0.5, 0.8, 0.85, 0.9]
DIVERGED = [-(10.0**power) for power in range(3, 33, 3)]


@pytest.mark.parametrize(
    ("scores", "lowest"),
    [
        (USUAL, 0.1),
        ([0.5, 0.5, math.nan], 0.5),
        ([0.5], 0.5),
        ([-0.5, -1e9], -1e9),  # two are too few to tell which is usual
        ([0.97] * 5 + [0.96] * 4 + [0.5] * 8, 0.5),  # classifiers that predict one class are worth showing
        ([*USUAL, *DIVERGED], 0.1),
        ([*USUAL, -3.0, *DIVERGED], -3.0),
        ([0.95, 0.9, 0.85, *(4 * DIVERGED)[:27]], 0.85),  # nine of ten
        ([1.0, 1.0, 1.0, -1e9, -2e9, -2e9], 1.0),
        ([-1e308, 1e308, 1.0, 2.0, 3.0], -5.0),
        # Honest scores: log loss at chance level, constant predictions, equal ones.
        ([-0.1, -0.102, -0.105] * 4 + [-math.log(2)] * 30, -math.log(2)),
        ([-0.1, -0.15, -0.2] * 4 + [-math.log(10)] * 28, -math.log(10)),
        ([0.95, 0.96, 0.97] * 3 + [-0.02, -0.03] * 15, -0.03),
        ([-25.0, -25.1, -25.3] * 3 + [-84.0] * 30, -84.0),
        ([-1.0, -1.0, -1.0, -2.5], -2.5),
        ([0.0] * 10 + [-0.01, -0.1] * 5, -0.1),
    ],
)
def test_scores_that_are_far_apart_are_told_from_low_ones(scores: list[float], lowest: float) -> None:
    assert lowest_worth_showing(scores) == lowest


def test_few_that_are_low_one_after_the_other_are_beyond_the_quartiles() -> None:
    assert 0.6 < lowest_worth_showing([0.8, 0.82, 0.84, 0.86, 0.88] * 4 + [0.6, 0.3, -0.2, -1.0]) < 0.8


def test_the_axis_says_what_it_leaves_out_and_a_viewer_may_move_it() -> None:
    axis = ScoreAxis("Curves")
    plot = figure(y_range=axis.range)
    axis.show([], [plot])
    assert (plot.title.text, axis.range.start, axis.range.end) == ("Curves", 0.0, 1.0)
    axis.show([*USUAL, *DIVERGED], [plot])
    assert plot.title.text == "Curves (10 below 0.1 left out)"
    assert (axis.range.start, axis.range.end) == pytest.approx((0.06, 0.94))
    axis.range.update(start=0.8, end=0.9)
    axis.show([*USUAL, 1.0], [plot])
    assert plot.title.text == "Curves"
    assert (axis.range.start, axis.range.end) == (0.8, 0.9)
    assert (axis.range.reset_start, axis.range.reset_end) == pytest.approx((0.055, 1.045))
    axis.clear()
    assert (axis.range.start, axis.range.end) == pytest.approx((0.055, 1.045))
    axis.range.update(start=0.8, end=0.9)
    axis.range.update(start=axis.range.reset_start, end=axis.range.reset_end)  # the tool that resets
    axis.show([0.5, 0.5], [plot])
    assert (axis.range.start, axis.range.end) == pytest.approx((0.45, 0.55))
    axis.show([0.0], [plot])
    assert (axis.range.start, axis.range.end) == (-1.0, 1.0)
