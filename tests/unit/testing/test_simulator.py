from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhpo.schedules import ASHA, BracketPlan, BracketSchedule, Fixed, Hyperband, InVirtualTime, Plan, Rung
from dhpo.schedules import SuccessiveHalving as Halving
from dhpo.testing import lognormal_stragglers, simulate
from dhpo.testing.synthetic import learning_curves
from dhpo.trial import Drop, Report, Train

repeatable = settings(derandomize=True, deadline=None, max_examples=40)

STRAGGLERS = lognormal_stragglers(1.0, 1.0)
ONE_SLOW = (1.0, 1.0, 1.0, 0.1)


def one_bracket(*rungs):
    return BracketSchedule(Plan((BracketPlan(0, tuple(Rung(*rung) for rung in rungs)),)))


def by_number(trial, resource):
    return float(trial)


class Recorded(ASHA):
    def __init__(self, *args):
        super().__init__(*args)
        self.asked = 0

    def ask(self):
        self.asked += 1
        return super().ask()


def test_one_worker_does_one_job_after_the_other():
    result = simulate(Fixed(3, 4), workers=1, durations=2.0, scores=by_number)
    assert result.reports == tuple((8.0 * (n + 1), Report(n, 4, float(n))) for n in range(3))
    assert result.makespan == 24.0
    assert result.busy == result.occupied == 1.0
    assert (result.useful, result.wasted, result.lost) == (12, 0, 0)
    assert result.decisions == {n: (Train(n, 4), Drop(n, "finished")) for n in range(3)}
    assert result.finishes == (8.0, 16.0, 24.0)
    assert [result.finished_by(time) for time in (0, 7.9, 8, 20, 1e9)] == [0, 0, 1, 2, 3]


def test_a_model_goes_on_from_where_it_was():
    result = simulate(one_bracket((2, 2), (1, 5)), workers=2, durations=1.0, scores=by_number)
    assert [(time, r.trial, r.resource) for time, r in result.reports] == [(2.0, 0, 2), (2.0, 1, 2), (5.0, 1, 5)]
    assert result.promotions == {(0, 0): 1}
    assert result.busy == result.occupied == pytest.approx(7 / 10)


def test_speeds_are_those_of_the_workers():
    result = simulate(Fixed(3, 1), workers=2, durations=1.0, speeds=[0.1, 1.0])
    assert [(time, report.trial) for time, report in result.reports] == [(1.0, 1), (2.0, 2), (10.0, 0)]
    assert result.busy == pytest.approx(12 / 20)


def test_durations_may_be_a_function():
    seen = []

    def durations(trial, calls_from, calls_to, rng):
        assert isinstance(rng, random.Random)
        seen.append((trial, calls_from, calls_to))
        return 7.0

    assert simulate(one_bracket((2, 2), (1, 5)), workers=1, durations=durations, scores=by_number).makespan == 21.0
    assert seen == [(0, 0, 2), (1, 0, 2), (1, 2, 5)]


def test_later_rungs_go_first():
    result = simulate(one_bracket((3, 1), (3, 2)), workers=1, durations=1.0)
    assert [(r.trial, r.resource) for _, r in result.reports] == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]


def test_steps_let_a_job_go_on_elsewhere():
    whole = simulate(Fixed(2, 10), workers=2, durations=1.0, speeds=[0.1, 1.0])
    in_steps = simulate(Fixed(2, 10), workers=2, durations=1.0, speeds=[0.1, 1.0], calls_per_step=1)
    assert whole.makespan == 100.0
    assert in_steps.makespan == 64.0  # the worker free for longest takes the next step, and they take turns
    assert in_steps.useful == whole.useful == 20
    assert [(r.trial, r.resource) for _, r in in_steps.reports] == [(1, 10), (0, 10)]


def test_an_idle_worker_trains_the_best_so_far_ahead():
    # Trial 2 is on the slow worker; until it reports, 1 is the best that waits, and goes on in the end.
    def score(trial, resource):
        return [0.1, 0.9, 0.5][trial]

    arguments = {"workers": 3, "durations": 1.0, "scores": score, "speeds": [1.0, 1.0, 0.1]}
    waiting = simulate(one_bracket((3, 1), (1, 6)), **arguments)
    ahead = simulate(one_bracket((3, 1), (1, 6)), speculate=True, **arguments)
    assert (waiting.makespan, ahead.makespan) == (15.0, 10.0)
    assert (ahead.useful, ahead.wasted) == (8, 0)
    assert ahead.busy == ahead.occupied > waiting.busy
    assert ahead.reports[-1] == (10.0, Report(1, 6, 0.9))
    assert ahead.decisions == waiting.decisions


def test_what_ran_ahead_in_vain_is_wasted():
    def score(trial, resource):
        return [0.1, 0.5, 0.9][trial]

    result = simulate(
        one_bracket((3, 1), (1, 6)),
        workers=3,
        durations=1.0,
        scores=score,
        speeds=[1.0, 1.0, 0.1],
        speculate=True,
    )
    assert result.makespan == 15.0
    assert (result.useful, result.wasted) == (8, 5)
    assert result.occupied - result.busy == pytest.approx(5 / 45)


def test_a_trial_that_leads_no_longer_is_left():
    # Trial 0 runs ahead from 1 on, until 1 reports at 2 and outranks it.
    durations = {0: 1.0, 1: 2.0, 2: 30.0}

    def seconds(trial, calls_from, calls_to, rng):
        return durations[trial] if calls_from == 0 else 10.0

    result = simulate(
        one_bracket((3, 1), (1, 11)), workers=3, durations=seconds, scores=lambda t, r: [0.1, 0.9, 0.5][t],
        speculate=True,
    )  # fmt: skip
    assert result.makespan == 30.0
    assert (result.useful, result.wasted) == (13, 1)  # 0 was a tenth of the way when it was left
    assert result.occupied == pytest.approx((1 + 2 + 30 + 10 + 1) / 90)


def test_a_job_takes_the_worker_from_what_runs_ahead():
    # From 2 on one worker trains 0 ahead. At 6 two trials of the other bracket are promoted, and one worker is idle.
    plan = Plan((BracketPlan(1, (Rung(2, 1), Rung(1, 9))), BracketPlan(0, (Rung(3, 1), Rung(2, 2)))))

    def seconds(trial, calls_from, calls_to, rng):
        return [1.0, 12.0, 1.0, 1.0, 5.0][trial] if calls_from == 0 else float(calls_to - calls_from)

    result = simulate(
        BracketSchedule(plan),
        workers=3,
        durations=seconds,
        scores=lambda trial, resource: [0.9, 0.1, 0.8, 0.7, 0.2][trial],
        speculate=True,
    )
    assert [(time, r.trial) for time, r in result.reports if r.resource == 2] == [(7.0, 2), (7.0, 3)]
    assert result.makespan == 15.0  # 0 was begun again at 7, and promoted at 12
    assert result.wasted == 4
    assert result.occupied == pytest.approx((1 + 12 + 1 + 1 + 5 + 4 + 1 + 1 + 8) / 45)


def test_a_trial_that_came_ahead_may_lead_again():
    # 0 is trained ahead to 2 calls, and, while it waits there for 1, to 6.
    def seconds(trial, calls_from, calls_to, rng):
        return {0: {0: 1.0, 1: 1.0, 2: 4.0}, 1: {0: 2.0, 1: 20.0}, 2: {0: 10.0}}[trial][calls_from]

    result = simulate(
        one_bracket((3, 1), (2, 2), (1, 6)),
        workers=3,
        durations=seconds,
        scores=lambda trial, resource: [0.9, 0.5, 0.1][trial],
        speculate=True,
    )
    assert [(time, r.trial, r.resource) for time, r in result.reports][3:] == [(10.0, 0, 2), (22.0, 1, 2), (22.0, 0, 6)]
    assert result.wasted == 0


def test_a_job_takes_as_long_under_any_schedule():
    seen = {}

    def seconds(trial, calls_from, calls_to, rng):
        drawn = rng.random()
        assert seen.setdefault((trial, calls_from), drawn) == drawn
        return drawn

    simulate(Halving(27, 1), workers=3, durations=seconds)
    simulate(Halving(27, 1), workers=30, durations=seconds, speculate=True)
    assert len(set(seen.values())) == len(seen) > 27


@pytest.mark.parametrize("calls_per_step", [None, 2])
def test_lost_jobs_start_again(calls_per_step):
    arguments = {"durations": 1.0, "drop_rate": 0.1, "workers": 5, "calls_per_step": calls_per_step}
    result = simulate(Hyperband(9), **arguments)
    assert result.lost > 0
    assert result.useful == Hyperband(9).plan().partial_fit_calls
    assert result.busy < result.occupied
    assert result.decisions == simulate(Hyperband(9), workers=5, durations=1.0).decisions


def test_jobs_are_lost_as_often_as_asked():
    result = simulate(Fixed(4000, 1), workers=50, durations=2.0, drop_rate=0.2)
    assert 4000 / (4000 + result.lost) == pytest.approx(0.8**2, abs=0.03)


def test_the_same_seed_is_the_same_simulation():
    def run(seed):
        return simulate(ASHA(50, 1, 27), workers=7, durations=STRAGGLERS, drop_rate=0.01, seed=seed)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_made_up_scores_depend_on_seed_trial_and_resource_alone():
    one, same, other = learning_curves(1), learning_curves(1), learning_curves(2)
    assert [one(3, r) for r in (1, 5, 9)] == [same(3, r) for r in (9, 5, 1)][::-1]
    assert one(3, 5) != one(4, 5)
    assert one(3, 5) != other(3, 5)
    assert sum(one(n, 81) > one(n, 1) for n in range(100)) > 90


def test_an_asynchronous_schedule_is_asked_for_free_workers_only():
    schedule = Recorded(10**6, 1, 3)
    with pytest.raises(RuntimeError, match="stop here"):
        simulate(schedule, workers=7, durations=1.0, scores=stop_here)
    assert schedule.asked == 7


def stop_here(trial, resource):
    raise RuntimeError("stop here")


def test_a_failed_score_is_a_failure():
    result = simulate(Halving(9, 1), workers=3, durations=1.0, scores=lambda t, r: math.nan if t == 8 else float(t))
    assert result.decisions[8] == (Train(8, 1), Drop(8, "failed"))
    assert result.finished_by(1e9) == 1


def test_a_schedule_that_runs_dry_is_told_so():
    class Dry(Halving):
        def tell(self, report):
            pass

    with pytest.raises(RuntimeError, match="ran dry"):
        simulate(Dry(3, 1), workers=3, durations=1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workers": 0}, "workers=0"),
        ({"durations": -1.0}, "durations=-1.0 .* seconds >= 0 or a function"),
        ({"durations": math.nan}, "durations=nan"),
        ({"durations": "1"}, "durations='1'"),
        ({"drop_rate": 1.0}, "drop_rate=1.0 .* >= 0 and < 1"),
        ({"speeds": [1.0]}, r"speeds=\[1.0\] .* each of 2 workers"),
        ({"speeds": [1.0, 0.0]}, r"speeds=\[1.0, 0.0\]"),
        ({"calls_per_step": 0}, "calls_per_step=0"),
    ],
)
def test_bad_arguments_are_refused_at_the_door(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate(Fixed(1, 1), **{"workers": 2, "durations": 1.0, **arguments})


SYNCHRONOUS = [
    lambda: Hyperband(27),
    lambda: Halving(40, 2),
    lambda: InVirtualTime(ASHA(40, 1, 27), 6),
    lambda: one_bracket((12, 1), (12, 2), (5, 3), (5, 6), (2, 9)),
]


@repeatable
@given(
    st.sampled_from(SYNCHRONOUS),
    st.integers(1, 60),
    st.sampled_from([1.0, 0.0, STRAGGLERS]),
    st.booleans(),
    st.sampled_from([0.0, 0.05]),
    st.sampled_from([None, 1, 4]),
    st.sampled_from([0.0, 0.2]),
)
def test_workers_durations_and_speculation_change_no_decision(
    make, workers, durations, speculate, drop_rate, step, failures
):
    def score(trial, resource):
        rng = random.Random(f"{trial} {resource}")
        return math.nan if rng.random() < failures else round(rng.random(), 1)

    result = simulate(
        make(),
        workers=workers,
        durations=durations,
        scores=score,
        speculate=speculate,
        drop_rate=drop_rate,
        calls_per_step=step,
    )
    alone = simulate(make(), workers=1, durations=1.0, scores=score)
    assert result.decisions == alone.decisions
    assert result.promotions == alone.promotions
    assert result.useful == alone.useful
    assert speculate or drop_rate or result.wasted == 0
    assert 0 <= result.busy <= result.occupied <= 1 + 1e-9


def test_looking_ahead_keeps_workers_busy_that_wait_at_a_gate():
    arguments = {"workers": 4, "durations": 1.0, "speeds": ONE_SLOW}
    waiting = simulate(Halving(81, 1, 81), **arguments)
    ahead = simulate(Halving(81, 1, 81), speculate=True, **arguments)
    assert ahead.makespan < waiting.makespan
    assert ahead.busy > waiting.busy
    assert ahead.occupied > waiting.occupied


def test_hyperband_with_a_straggler_is_busy_when_jobs_move():
    # In whole jobs it is not, with or without work ahead: the last long job may be on the slow worker.
    arguments = {"workers": 4, "durations": 1.0, "speeds": ONE_SLOW, "speculate": True}
    assert simulate(Hyperband(81), **arguments).busy < 0.8
    assert simulate(Hyperband(243), calls_per_step=9, **arguments).busy >= 0.9


def test_asha_with_a_straggler_is_busy():
    assert simulate(ASHA(400, 1, 81), workers=4, durations=1.0, speeds=ONE_SLOW).busy >= 0.9


@pytest.mark.parametrize(
    ("make", "speculate", "drop_rate"),
    [
        (lambda: Hyperband(6561), False, 0.0),
        (lambda: Hyperband(6561), True, 0.0),
        (lambda: ASHA(12_000, 1, 81), False, 0.001),
    ],
)
def test_ten_thousand_workers(make, speculate, drop_rate):
    schedule = make()
    result = simulate(schedule, workers=10_000, durations=1.0, speculate=speculate, drop_rate=drop_rate)
    assert schedule.done
    assert result.useful == schedule.plan().partial_fit_calls
    assert len(result.decisions) == schedule.plan().n_trials > 10_000
