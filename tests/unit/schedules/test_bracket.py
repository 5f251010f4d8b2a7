from __future__ import annotations

import math

import pytest

from dhpo.schedules import Bracket, BracketPlan, BracketSchedule, Plan, Rung
from dhpo.trial import Drop, Report, Train


def make_bracket(*rungs, first_trial=0):
    return Bracket(BracketPlan(3, tuple(Rung(*rung) for rung in rungs)), first_trial)


def drain(schedule):
    decisions = []
    while (decision := schedule.ask()) is not None:
        decisions.append(decision)
    return decisions


def tell(schedule, trains, scores):
    for train, score in zip(trains, scores, strict=True):
        schedule.tell(Report(train.trial, train.resource, score))


def test_a_whole_bracket():
    bracket = make_bracket((4, 1), (2, 3), (1, 9))
    first = drain(bracket)
    assert first == [Train(n, 1, 3, 0) for n in range(4)]
    tell(bracket, first, [0.1, 0.4, 0.3, 0.2])
    second = drain(bracket)
    assert second == [Drop(0, "not promoted"), Drop(3, "not promoted"), Train(1, 3, 3, 1), Train(2, 3, 3, 1)]
    tell(bracket, second[2:], [0.5, 0.6])
    third = drain(bracket)
    assert third == [Drop(1, "not promoted"), Train(2, 9, 3, 2)]
    tell(bracket, third[1:], [0.0])
    assert not bracket.done
    assert drain(bracket) == [Drop(2, "finished")]
    assert bracket.done


def test_nobody_is_promoted_before_all_have_reported():
    bracket = make_bracket((3, 1), (1, 3))
    trains = drain(bracket)
    tell(bracket, trains[:2], [1.0, 0.0])
    assert drain(bracket) == []
    tell(bracket, trains[2:], [0.5])
    assert Train(0, 3, 3, 1) in drain(bracket)


def test_trials_not_started_yet_are_waited_for():
    bracket = make_bracket((3, 1), (1, 3))
    train = bracket.ask()
    tell(bracket, [train], [1.0])
    assert [bracket.ask().trial for _ in range(2)] == [1, 2]
    assert bracket.ask() is None


def test_ties_go_to_the_lower_number_in_any_order():
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        bracket = make_bracket((4, 1), (2, 3))
        trains = drain(bracket)
        tell(bracket, [trains[i] for i in order], [0.5] * 4)
        assert [d.trial for d in drain(bracket) if isinstance(d, Train)] == [0, 1]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_failed_trial_is_dropped_at_once(score):
    bracket = make_bracket((3, 2), (2, 4))
    trains = drain(bracket)
    bracket.tell(Report(1, 2, score))
    assert drain(bracket) == [Drop(1, "failed")]
    tell(bracket, [trains[0], trains[2]], [-5.0, -6.0])
    assert drain(bracket) == [Train(0, 4, 3, 1), Train(2, 4, 3, 1)]


def test_a_trial_that_raised_may_report_any_resource():
    bracket = make_bracket((1, 5))
    bracket.ask()
    bracket.tell(Report(0, 2, math.nan, error="Traceback"))
    assert drain(bracket) == [Drop(0, "failed")]
    assert bracket.done


def test_fewer_go_on_where_too_few_are_left():
    bracket = make_bracket((4, 1), (3, 3), (2, 9))
    trains = drain(bracket)
    tell(bracket, trains, [math.nan, 1.0, math.nan, math.nan])
    decisions = drain(bracket)
    assert decisions == [Drop(0, "failed"), Drop(2, "failed"), Drop(3, "failed"), Train(1, 3, 3, 1)]
    tell(bracket, decisions[-1:], [1.0])
    assert drain(bracket) == [Train(1, 9, 3, 2)]


def test_all_failed_is_the_end():
    bracket = make_bracket((2, 1), (1, 3))
    tell(bracket, drain(bracket), [math.nan, math.nan])
    assert [d.reason for d in drain(bracket)] == ["failed", "failed"]
    assert bracket.done


def test_nobody_waits_where_all_go_on():
    bracket = make_bracket((2, 1), (2, 2), (1, 3))
    first, second = drain(bracket)
    tell(bracket, [first], [0.1])
    assert drain(bracket) == [Train(0, 2, 3, 1)]
    bracket.tell(Report(0, 2, 0.1))
    assert drain(bracket) == []  # here is the gate
    bracket.tell(Report(second.trial, 1, math.nan))
    assert drain(bracket) == [Drop(1, "failed"), Train(0, 3, 3, 2)]


def test_later_rungs_come_before_new_trials():
    bracket = make_bracket((3, 1), (3, 2))
    train = bracket.ask()
    tell(bracket, [train], [0.0])
    assert bracket.ask() == Train(0, 2, 3, 1)
    assert bracket.ask() == Train(1, 1, 3, 0)


def test_the_latest_rung_comes_first():
    bracket = make_bracket((3, 1), (3, 2), (3, 3))
    first, second, _ = drain(bracket)
    tell(bracket, [second], [0.0])
    tell(bracket, drain(bracket), [0.0])
    tell(bracket, [first], [0.0])
    assert drain(bracket) == [Train(1, 3, 3, 2), Train(0, 2, 3, 1)]


def test_nobody_waits_above_a_gate_either():
    bracket = make_bracket((4, 1), (2, 2), (2, 3), (1, 4))
    tell(bracket, drain(bracket), [4.0, 3.0, 2.0, 1.0])
    promoted = [decision for decision in drain(bracket) if isinstance(decision, Train)]
    tell(bracket, promoted[:1], [0.0])
    assert drain(bracket) == [Train(0, 3, 3, 2)]


def test_trials_are_numbered_from_the_first():
    assert [train.trial for train in drain(make_bracket((2, 1), first_trial=10))] == [10, 11]


def test_a_wrong_report_is_refused_and_changes_nothing():
    bracket = make_bracket((1, 5))
    with pytest.raises(ValueError, match="trial 0, which is not in training"):
        bracket.tell(Report(0, 5, 1.0))
    bracket.ask()
    with pytest.raises(ValueError, match="trial 0 at 4 calls; the Train asked for 5"):
        bracket.tell(Report(0, 4, 1.0))
    bracket.tell(Report(0, 5, 1.0))
    with pytest.raises(ValueError, match="not in training"):
        bracket.tell(Report(0, 5, 1.0))
    assert drain(bracket) == [Drop(0, "finished")]


def test_a_million_trials_cost_nothing_before_they_start():
    bracket = make_bracket((10**12, 1), (1, 2))
    assert bracket.ask() == Train(0, 1, 3, 0)


def test_brackets_are_open_at_once_and_numbered_through():
    plan = Plan((BracketPlan(1, (Rung(2, 1), Rung(1, 3))), BracketPlan(0, (Rung(2, 3),))))
    schedule = BracketSchedule(plan)
    assert schedule.plan() is plan
    trains = drain(schedule)
    assert trains == [Train(0, 1, 1, 0), Train(1, 1, 1, 0), Train(2, 3, 0, 0), Train(3, 3, 0, 0)]
    tell(schedule, [trains[3], trains[0], trains[1]], [0.5, 0.2, 0.1])
    assert drain(schedule) == [Drop(1, "not promoted"), Drop(3, "finished"), Train(0, 3, 1, 1)]
    tell(schedule, [Train(0, 3), trains[2]], [0.0, 0.0])
    assert not schedule.done
    assert drain(schedule) == [Drop(0, "finished"), Drop(2, "finished")]
    assert schedule.done
    for trial in (-1, 0, 4):
        with pytest.raises(ValueError, match="not in training"):
            schedule.tell(Report(trial, 3, 0.0))


def test_the_best_that_wait_lead():
    bracket = make_bracket((5, 1), (2, 3))
    trains = drain(bracket)
    assert bracket.leading() == ()
    tell(bracket, trains[4:], [0.1])
    assert bracket.leading() == (Train(4, 3, 3, 1),)
    tell(bracket, trains[2:4], [0.3, 0.2])
    assert bracket.leading() == (Train(2, 3, 3, 1), Train(3, 3, 3, 1))
    tell(bracket, trains[1:2], [0.25])
    assert bracket.leading() == (Train(2, 3, 3, 1), Train(1, 3, 3, 1))
    tell(bracket, trains[:1], [math.nan])
    assert bracket.leading() == ()  # they are promoted
    assert drain(bracket)[-2:] == [Train(1, 3, 3, 1), Train(2, 3, 3, 1)]


def test_ties_lead_by_the_lower_number():
    bracket = make_bracket((4, 1), (2, 3))
    trains = drain(bracket)
    tell(bracket, [trains[3], trains[2], trains[1]], [0.5] * 3)
    assert [train.trial for train in bracket.leading()] == [1, 2]


def test_where_nobody_waits_nobody_leads():
    bracket = make_bracket((2, 1), (2, 3))
    tell(bracket, drain(bracket)[:1], [0.5])
    assert bracket.leading() == ()
    tell(bracket, drain(bracket), [0.5])
    assert bracket.leading() == ()


def test_a_failed_trial_does_not_lead():
    bracket = make_bracket((3, 1), (2, 3))
    tell(bracket, drain(bracket)[:2], [math.nan, 0.0])
    assert bracket.leading() == (Train(1, 3, 3, 1),)


def test_the_leading_of_later_rungs_come_first_and_brackets_take_turns():
    rungs = (Rung(3, 1), Rung(2, 3), Rung(1, 9))
    schedule = BracketSchedule(Plan((BracketPlan(2, rungs), BracketPlan(1, rungs), BracketPlan(0, rungs))))
    trains = drain(schedule)
    tell(schedule, trains[:2] + trains[3:5] + trains[6:], [0.1, 0.2, 0.9, 0.8, 0.7, 0.6, 0.5])
    promoted = [decision for decision in drain(schedule) if isinstance(decision, Train)]
    tell(schedule, promoted[:1], [0.0])
    assert schedule.leading() == (
        Train(6, 9, 0, 2),
        Train(1, 3, 2, 1),
        Train(3, 3, 1, 1),
        Train(0, 3, 2, 1),
        Train(4, 3, 1, 1),
    )


def test_leading_is_the_same_object_until_it_changes():
    bracket = make_bracket((4, 1), (1, 3))
    schedule = BracketSchedule(Plan((BracketPlan(0, (Rung(4, 1), Rung(1, 3))),)))
    for either in (bracket, schedule):
        trains = drain(either)
        tell(either, trains[:1], [0.5])
        before = either.leading()
        assert either.leading() is before
        tell(either, trains[1:2], [0.9])
        assert either.leading() != before
