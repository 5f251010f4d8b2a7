from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhpo.schedules import ASHA, BracketPlan, Plan, Rung
from dhpo.testing import check_schedule, lognormal_stragglers, simulate
from dhpo.trial import Drop, Report, Train

repeatable = settings(derandomize=True, deadline=None, max_examples=60)

sizes = st.tuples(st.integers(1, 60), st.integers(1, 4), st.integers(4, 60), st.integers(2, 4))
shares = st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0])


def start(schedule, n):
    trains = [schedule.ask() for _ in range(n)]
    assert all(isinstance(train, Train) and train.rung == 0 for train in trains)
    return trains


def tell(schedule, trial, resource, score):
    schedule.tell(Report(trial, resource, score))


def drain(schedule):
    decisions = []
    while (decision := schedule.ask()) is not None:
        decisions.append(decision)
    return decisions


class Watched(ASHA):
    """Keeps count of the rungs from outside, and checks the rule of promotion at each one."""

    def __init__(self, *args):
        super().__init__(*args)
        self.eta = args[3] if len(args) > 3 else 3
        self.scores: dict[int, dict[int, float]] = {}
        self.promoted: dict[int, set[int]] = {}
        self.rung_of: dict[int, int] = {}

    def ask(self):
        decision = super().ask()
        if isinstance(decision, Train):
            if decision.rung:
                self.check_promotion(decision)
            else:
                assert not self.promotable(), f"a new trial, though {self.promotable()} could be promoted"
            self.rung_of[decision.trial] = decision.rung
        return decision

    def check_promotion(self, train):
        below = train.rung - 1
        scores, promoted = self.scores[below], self.promoted.setdefault(below, set())
        ranked = sorted(scores, key=lambda trial: (-scores[trial], trial))
        assert train.trial in ranked[: len(scores) // self.eta]
        assert scores[train.trial] > -math.inf
        assert train.trial not in promoted
        assert (train.rung, train.trial) == (*max(self.promotable())[:1], self.promotable_best(below))
        promoted.add(train.trial)
        assert len(promoted) <= len(scores) // self.eta

    def promotable(self):
        found = []
        for rung, scores in self.scores.items():
            promoted = self.promoted.get(rung, set())
            room = len(scores) // self.eta
            if rung + 1 < len(self.plan().brackets[0].rungs) and len(promoted) < room:
                top = sorted(scores, key=lambda trial: (-scores[trial], trial))[:room]
                found += [(rung + 1, t) for t in top if t not in promoted and scores[t] > -math.inf]
        return found

    def promotable_best(self, rung):
        scores = self.scores[rung]
        return min(
            (t for above, t in self.promotable() if above == rung + 1), key=lambda trial: (-scores[trial], trial)
        )

    def tell(self, report):
        super().tell(report)
        score = -math.inf if report.failed else report.score
        self.scores.setdefault(self.rung_of[report.trial], {})[report.trial] = score


def test_a_promotion_comes_as_soon_as_there_is_one():
    schedule = ASHA(9, 1, 9)
    start(schedule, 4)
    tell(schedule, 2, 1, 0.5)
    tell(schedule, 0, 1, 0.1)
    assert schedule.ask() == Train(4, 1)
    tell(schedule, 1, 1, 0.3)
    assert schedule.ask() == Train(2, 3, rung=1)
    assert schedule.ask() == Train(5, 1)


def test_the_highest_rung_comes_first():
    schedule = ASHA(12, 1, 9, 2)
    start(schedule, 4)
    for trial in range(4):
        tell(schedule, trial, 1, float(trial))
    assert [schedule.ask() for _ in range(2)] == [Train(3, 2, rung=1), Train(2, 2, rung=1)]
    start(schedule, 2)
    for trial in (2, 3):
        tell(schedule, trial, 2, float(trial))
    for trial in (4, 5):
        tell(schedule, trial, 1, float(trial))
    assert [schedule.ask() for _ in range(2)] == [Train(3, 4, rung=2), Train(5, 2, rung=1)]


def test_no_more_are_promoted_than_a_rung_has_room_for():
    # In the paper trials 3, 4 and 5 would go on after 0 and the three that follow, four of nine.
    schedule = ASHA(9, 1, 3)
    start(schedule, 3)
    for trial, score in enumerate([0.1, 0.0, 0.0]):
        tell(schedule, trial, 1, score)
    assert schedule.ask() == Train(0, 3, rung=1)
    start(schedule, 6)
    for trial in range(3, 9):
        tell(schedule, trial, 1, float(trial))
    promoted = [d.trial for d in drain(schedule) if isinstance(d, Train)]
    assert promoted == [8, 7]


def test_ties_go_to_the_lower_number_in_any_order():
    for order in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 1, 5, 0, 4, 2]):
        schedule = ASHA(6, 1, 3)
        start(schedule, 6)
        for trial in order:
            tell(schedule, trial, 1, 0.5)
        assert [d.trial for d in drain(schedule) if isinstance(d, Train)] == [0, 1]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_failed_trial_counts_and_is_never_promoted(score):
    schedule = ASHA(3, 1, 3)
    start(schedule, 3)
    tell(schedule, 0, 1, score)
    assert schedule.ask() == Drop(0, "failed")
    tell(schedule, 1, 1, score)
    tell(schedule, 2, 1, -5.0)
    assert drain(schedule) == [Drop(1, "failed"), Train(2, 3, rung=1)]


def test_all_failed_is_the_end():
    schedule = ASHA(4, 1, 9)
    start(schedule, 4)
    for trial in range(4):
        tell(schedule, trial, 1, math.nan)
    assert [d.reason for d in drain(schedule)] == ["failed"] * 4
    assert schedule.done


def test_a_trial_that_has_too_many_before_it_is_dropped_at_once():
    schedule = ASHA(6, 1, 3)
    start(schedule, 6)
    for trial in range(2):
        tell(schedule, trial, 1, float(trial))
    assert drain(schedule) == []
    tell(schedule, 2, 1, 2.0)  # two of six will go on, so not the third
    assert drain(schedule) == [Drop(0, "not promoted"), Train(2, 3, rung=1)]


def test_failures_above_end_the_wait_below():
    # Three go on to rung 1, where one of three would go on; when two of them cannot come to report, nobody does.
    schedule = ASHA(9, 1, 9)
    start(schedule, 9)
    for trial in range(9):
        tell(schedule, trial, 1, 1.0 if trial == 0 else math.nan)
    decisions = drain(schedule)
    assert decisions[-1] == Train(0, 3, rung=1)
    tell(schedule, 0, 3, 1.0)
    assert drain(schedule) == [Drop(0, "not promoted")]
    assert schedule.done


def test_the_last_rung_is_finished_at_once():
    schedule = ASHA(1, 4, 4)
    start(schedule, 1)
    tell(schedule, 0, 4, 0.0)
    assert not schedule.done
    assert drain(schedule) == [Drop(0, "finished")]
    assert schedule.done


def test_the_plan_is_that_of_successive_halving_cut_to_max_iter():
    assert ASHA(30, 2, 40).plan() == Plan((BracketPlan(0, (Rung(30, 2), Rung(10, 6), Rung(3, 18), Rung(1, 40))),))
    assert ASHA(100, 1, 5).plan() == Plan((BracketPlan(0, (Rung(100, 1), Rung(33, 3), Rung(11, 5))),))


def test_a_wrong_report_is_refused_and_changes_nothing():
    schedule = ASHA(1, 5, 5)
    with pytest.raises(ValueError, match="trial 0, which is not in training"):
        tell(schedule, 0, 5, 1.0)
    start(schedule, 1)
    with pytest.raises(ValueError, match="trial 0 at 4 calls; the Train asked for 5"):
        tell(schedule, 0, 4, 1.0)
    tell(schedule, 0, 5, 1.0)
    with pytest.raises(ValueError, match="not in training"):
        tell(schedule, 0, 5, 1.0)
    assert drain(schedule) == [Drop(0, "finished")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 9), "n_initial_parameters=0"),
        ((9, None, 9), "n_initial_iter=None"),
        ((9, 1, None), "max_iter=None"),
        ((9, 5, 4), "max_iter=4 .* n_initial_iter=5"),
        ((9, 1, 9, 1), "aggressiveness=1 .* int >= 2"),
    ],
)
def test_bad_arguments_are_refused_at_the_door(arguments, message):
    with pytest.raises(ValueError, match=message):
        ASHA(*arguments)


def test_it_is_asynchronous_and_nobody_leads():
    schedule = ASHA(9, 1, 9)
    assert schedule.asynchronous
    start(schedule, 2)
    tell(schedule, 0, 1, 0.5)
    assert schedule.leading() == ()


@repeatable
@given(sizes, st.integers(0, 10_000), shares)
def test_conforms(size, seed, failures):
    check_schedule(lambda: ASHA(*size), seed=seed, failures=failures, synchronous=False)


@repeatable
@given(sizes, st.integers(0, 10_000), shares, st.integers(1, 80))
def test_every_promotion_keeps_the_rule_in_any_order(size, seed, failures, n_workers):
    rng = random.Random(seed)
    schedule = Watched(*size)
    training: list[Train] = []
    ran: Counter[int] = Counter()
    while not schedule.done:
        decision = schedule.ask() if len(training) < n_workers else None
        if isinstance(decision, Train):
            training.append(decision)
            ran[decision.resource] += 1
        elif decision is None:
            train = training.pop(rng.randrange(len(training)))
            score = math.nan if rng.random() < failures else round(rng.random(), 1)
            tell(schedule, train.trial, train.resource, score)
    planned = {rung.resource: rung.n_trials for rung in schedule.plan().brackets[0].rungs}
    assert all(ran[resource] <= planned[resource] for resource in ran)
    if failures == 0.0:
        assert dict(ran) == planned


@pytest.mark.parametrize("drop_rate", [0.0, 0.01])
def test_500_workers_never_promote_more_than_a_rung_has_room_for(drop_rate):
    schedule = Watched(600, 1, 27)
    result = simulate(schedule, workers=500, durations=lognormal_stragglers(1.0, 1.0), drop_rate=drop_rate)
    assert result.promotions == {(0, 0): 200, (0, 1): 66, (0, 2): 22}
    assert result.useful == schedule.plan().partial_fit_calls
    assert (result.lost > 0) == (drop_rate > 0)


def test_a_rung_of_ten_thousand():
    result = simulate(ASHA(20_000, 1, 9), workers=50, durations=1.0)
    assert result.promotions == {(0, 0): 6666, (0, 1): 2222}
