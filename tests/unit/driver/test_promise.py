"""What is trained first: brackets in the order of the plan, and in them those that were selected."""

from __future__ import annotations

import math

from dhpo.driver.promise import Promise
from dhpo.driver.trial_progress import TrialProgress
from dhpo.schedules import Hyperband, Incremental, InverseDecay, SuccessiveHalving
from dhpo.trial import Report, Trial


def key(schedule, *, bracket=0, rung=0, calls=0, last=None, number=0):
    progress = TrialProgress(Trial(number, {}, bracket), [], 0, rung, last=last)
    return Promise(schedule.plan()).of(progress, calls)


def test_the_most_aggressive_bracket_goes_first():
    keys = [key(Hyperband(81), bracket=bracket) for bracket in (4, 3, 2, 1, 0)]
    assert keys == sorted(keys)
    assert len(set(keys)) == 5


def test_a_bracket_that_is_begun_goes_before_the_next_and_in_it_who_was_promoted():
    promoted = key(Hyperband(81), bracket=4, rung=2, calls=3, last=Report(0, 3, 0.1))
    new = key(Hyperband(81), bracket=4)
    of_the_next = key(Hyperband(81), bracket=3, rung=2, calls=9, last=Report(90, 9, 0.9))
    assert promoted < new < of_the_next


def test_among_equals_the_best_score_goes_first_and_none_last():
    scores = [0.9, 0.5, -3.0, math.nan]
    keys = [key(SuccessiveHalving(9, 1), rung=1, calls=1, last=Report(0, 1, score)) for score in scores]
    assert keys == sorted(keys)
    assert len(set(keys)) == 4


def test_a_rung_that_drops_nobody_promises_nothing():
    behind = key(Incremental(5, 10, 1), rung=2, calls=2, last=Report(0, 2, 0.1))
    ahead = key(Incremental(5, 10, 1), rung=7, calls=7, last=Report(0, 7, 0.9))
    assert behind < ahead
    assert key(InverseDecay(5, 10), rung=2, calls=2) < key(InverseDecay(5, 10), rung=0)


def test_a_bracket_that_the_plan_does_not_have_goes_by_its_rungs():
    keys = [key(SuccessiveHalving(9, 1), bracket=7, rung=rung) for rung in (2, 1, 0)]
    assert keys == sorted(keys)
