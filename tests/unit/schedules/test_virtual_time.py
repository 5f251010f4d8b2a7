from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhpo.schedules import ASHA, Hyperband, InVirtualTime, Patience
from dhpo.testing import check_schedule, lognormal_stragglers, simulate
from dhpo.testing.synthetic import learning_curves
from dhpo.trial import Drop, Report, Train

repeatable = settings(derandomize=True, deadline=None, max_examples=40)

sizes = st.tuples(st.integers(1, 40), st.integers(1, 4), st.integers(4, 40), st.integers(2, 4))
shares = st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0])


class Recorded(ASHA):
    """Writes down the conversation."""

    def __init__(self, *args):
        super().__init__(*args)
        self.said = []

    def ask(self):
        decision = super().ask()
        if decision is not None:
            self.said.append(decision)
        return decision

    def tell(self, report):
        self.said.append(report)
        super().tell(report)


def drain(schedule):
    decisions = []
    while (decision := schedule.ask()) is not None:
        decisions.append(decision)
    return decisions


def run(schedule, rng, n_workers, score):
    """Complete jobs in a random order."""
    training = []
    while not schedule.done:
        decision = schedule.ask() if len(training) < n_workers and rng.random() < 0.9 else None
        if isinstance(decision, Train):
            training.append(decision)
        elif decision is None and training:
            train = training.pop(rng.randrange(len(training)))
            schedule.tell(Report(train.trial, train.resource, score(train)))


def score_of(seed, failures=0.0):
    def score(train):
        rng = random.Random(f"{seed} {train.trial} {train.resource}")
        return math.nan if rng.random() < failures else round(rng.random(), 2)

    return score


@repeatable
@given(sizes, st.integers(1, 50), st.integers(0, 10_000), shares)
def test_conforms_as_a_synchronous_schedule(size, slots, seed, failures):
    check_schedule(lambda: InVirtualTime(ASHA(*size), slots), seed=seed, failures=failures, synchronous=True)


def test_without_it_the_order_shows():
    with pytest.raises(AssertionError, match="order of completion"):
        check_schedule(lambda: ASHA(30, 1, 27), synchronous=True)


@repeatable
@given(sizes, st.integers(1, 12), st.integers(0, 10_000), shares)
def test_the_schedule_inside_hears_and_says_the_same_for_any_workers(size, slots, seed, failures):
    conversations = []
    for n_workers in (1, 3, 100):
        inner = Recorded(*size)
        run(InVirtualTime(inner, slots), random.Random(f"{seed} {n_workers}"), n_workers, score_of(seed, failures))
        # As text: one nan is not equal to another.
        conversations.append([repr(what) for what in inner.said])
    assert conversations[0] == conversations[1] == conversations[2]
    assert conversations[0]


@repeatable
@given(sizes, st.integers(1, 30), st.integers(0, 10_000))
def test_it_decides_as_that_many_even_workers_do(size, slots, seed):
    # Replays what the schedule inside heard and said on a clock of its own.
    inner = Recorded(*size)
    score = score_of(seed)
    run(InVirtualTime(inner, slots), random.Random(seed), 10, score)
    ends, now = {}, 0
    seen = dict.fromkeys(range(size[0]), 0)
    n_running = most = 0
    for what in inner.said:
        if isinstance(what, Train):
            ends[what.trial] = now + what.resource - seen[what.trial]
            seen[what.trial] = what.resource
            n_running += 1
        elif isinstance(what, Report):
            end = ends.pop(what.trial)
            assert (end, what.trial) <= min(((e, t) for t, e in ends.items()), default=(math.inf, 0))
            now = end
            n_running -= 1
        most = max(most, n_running)
    assert most == min(slots, size[0])


def test_no_more_jobs_than_slots():
    schedule = InVirtualTime(ASHA(9, 1, 9), slots=3)
    assert drain(schedule) == [Train(0, 1), Train(1, 1), Train(2, 1)]


def test_a_report_that_comes_early_is_kept():
    schedule = InVirtualTime(ASHA(9, 1, 9), slots=3)
    drain(schedule)
    schedule.tell(Report(2, 1, 0.9))
    schedule.tell(Report(1, 1, 0.1))
    assert drain(schedule) == []
    schedule.tell(Report(0, 1, 0.5))
    # Told of 0, 1 and 2, each free slot asks: two new trials, and then the promotion of the best of three.
    assert drain(schedule) == [Train(3, 1), Train(4, 1), Train(2, 3, rung=1)]


def test_longer_jobs_end_later():
    schedule = InVirtualTime(ASHA(9, 1, 9), slots=3)
    drain(schedule)
    for trial, score in enumerate([0.5, 0.1, 0.9]):
        schedule.tell(Report(trial, 1, score))
    assert drain(schedule)[-1] == Train(2, 3, rung=1)  # from 1 to 3, two calls more than 3 and 4
    schedule.tell(Report(2, 3, 0.9))
    assert drain(schedule) == []
    schedule.tell(Report(3, 1, 0.0))
    assert drain(schedule) == [Drop(3, "not promoted"), Train(5, 1)]


def test_a_failed_job_ends_when_it_would_have_ended():
    schedule = InVirtualTime(ASHA(4, 2, 6), slots=2)
    drain(schedule)
    schedule.tell(Report(1, 1, math.nan, error="Traceback"))
    assert drain(schedule) == []
    schedule.tell(Report(0, 2, 0.5))
    assert drain(schedule) == [Train(2, 2), Drop(1, "failed"), Train(3, 2)]


def test_a_wrong_report_is_refused_and_changes_nothing():
    schedule = InVirtualTime(ASHA(3, 5, 5), slots=3)
    with pytest.raises(ValueError, match="trial 0, which is not in training"):
        schedule.tell(Report(0, 5, 1.0))
    drain(schedule)
    with pytest.raises(ValueError, match="trial 1 at 4 calls; the Train asked for 5"):
        schedule.tell(Report(1, 4, 1.0))
    schedule.tell(Report(1, 5, 1.0))
    with pytest.raises(ValueError, match="trial 1, which is not in training"):
        schedule.tell(Report(1, 5, 1.0))


@pytest.mark.parametrize(("n_threads", "slots"), [(1, 1), (4, 4), (5, 6), (8, 12), (32, 60)])
@pytest.mark.parametrize("wrapped", [False, True])
def test_slots_follow_the_threads(n_threads, slots, wrapped):
    schedule = InVirtualTime(ASHA(100, 1, 9))
    outer = Patience(schedule, 5) if wrapped else schedule
    with pytest.raises(RuntimeError, match="the number of slots is not known"):
        outer.ask()
    outer.begin(n_threads)
    assert len(list(iter(outer.ask, None))) == slots


def calls_to_target(schedule, n_workers, seed, curves):
    """Calls until a trial has a score of the best 2 %."""
    target = sorted(curves(trial, 81) for trial in range(250))[-5]
    calls, seen = 0, {}
    for _, report in simulate(schedule, workers=n_workers, durations=1.0, scores=curves, seed=seed).reports:
        calls += report.resource - seen.get(report.trial, 0)
        seen[report.trial] = report.resource
        if report.score >= target:
            break
    return calls


@pytest.mark.parametrize("n_workers", [1, 8, 32])
def test_the_order_of_virtual_time_costs_no_more_calls(n_workers):
    pairs = []
    for seed in range(20):
        curves = learning_curves(seed)
        asha, in_virtual_time = (
            calls_to_target(make(ASHA(250, 1, 81)), n_workers, seed, curves)
            for make in (lambda plain: plain, InVirtualTime)
        )
        pairs.append((asha, in_virtual_time))
    asha, in_virtual_time = (statistics.median(calls) for calls in zip(*pairs, strict=True))
    assert in_virtual_time <= 1.05 * asha


def test_slots_that_were_given_stay():
    schedule = InVirtualTime(ASHA(100, 1, 9), 3)
    schedule.begin(8)
    assert len(list(iter(schedule.ask, None))) == 3


def test_the_simulator_tells_how_many_workers_there_are():
    follows, given = (simulate(InVirtualTime(ASHA(27, 1, 9), slots), workers=8, durations=1.0) for slots in (None, 12))
    assert follows.decisions == given.decisions


def test_slots_are_checked_at_the_door():
    with pytest.raises(ValueError, match="slots=0 is not allowed: give an int >= 1"):
        InVirtualTime(ASHA(3, 1, 3), slots=0)


def test_it_is_not_asynchronous_and_plans_as_the_schedule_inside():
    schedule = InVirtualTime(ASHA(30, 1, 27), 4)
    assert not schedule.asynchronous
    assert schedule.plan() == ASHA(30, 1, 27).plan()
    assert schedule.leading() == ()


def test_the_same_decisions_on_slow_unreliable_and_few_workers():
    results = [
        simulate(InVirtualTime(ASHA(600, 1, 27), 8), workers=workers, durations=durations, drop_rate=rate, seed=5)
        for workers, durations, rate in [(8, 1.0, 0.0), (3, lognormal_stragglers(1.0, 1.5), 0.02), (100, 1.0, 0.05)]
    ]
    assert results[0].decisions == results[1].decisions == results[2].decisions
    assert results[0].busy > 0.9  # real workers that are what it pretends never wait for it, but at the end


@repeatable
@given(st.integers(1, 12), st.integers(0, 10_000), shares)
def test_patience_around_it_conforms(slots, seed, failures):
    check_schedule(lambda: Patience(InVirtualTime(ASHA(20, 1, 20), slots), 3, 0.3), seed=seed, failures=failures)


def test_a_synchronous_schedule_inside_stays_what_it_was():
    check_schedule(lambda: InVirtualTime(Hyperband(9), 4))
