from __future__ import annotations

import random

import pytest

from dhpo.driver.costs import Costs

WORKERS = ["a", "b", "c", "d"]


def one_by_one(costs, trials, seconds, worker):
    for trial in trials:
        costs.measured(trial, 2, 2 * seconds, False, 0.0, worker)


def test_costs_are_those_measured_and_the_mean_for_the_others():
    costs = Costs()
    assert costs.call(0) is None
    assert costs.score == 0.0
    costs.measured(0, 2, 1.0, True, 0.5)
    costs.measured(1, 2, 3.0, False, 0.0)
    costs.measured(2, 0, 0.0, True, 1.5)
    assert (costs.call(0), costs.call(1), costs.call(2)) == (0.5, 1.5, 1.0)
    assert costs.score == 1.0
    costs.measured(0, 1, 2.0, False, 0.0)
    assert costs.call(0) == 2.0  # the latest


@pytest.mark.parametrize("first", range(4))
def test_a_worker_on_which_everything_takes_longer_is_slow(first):
    costs = Costs()
    for i in range(4):
        worker = (first + i) % 4
        one_by_one(costs, range(10 * worker, 10 * worker + 10), 10.0 if worker == 0 else 1.0, WORKERS[worker])
    assert costs.slowness("a") > 2.0
    assert [costs.slowness(worker) for worker in "bcd"] == [1.0, 1.0, 1.0]
    assert costs.speed(WORKERS) == pytest.approx(3 + 1 / costs.slowness("a"))


def test_what_a_call_costs_is_that_of_a_usual_worker():
    costs = Costs()
    rng = random.Random(0)
    for _ in range(400):
        worker = rng.choice(WORKERS)
        one_by_one(costs, [rng.randrange(40)], 10.0 if worker == "a" else 1.0, worker)
    one_by_one(costs, range(40), 10.0, "a")
    for trial in range(40):
        assert costs.call(trial) == pytest.approx(1.0, rel=0.1)


def test_one_dear_trial_makes_no_worker_slow():
    costs = Costs()
    for i, worker in enumerate(WORKERS):
        one_by_one(costs, [i], 8.0 if i == 0 else 1.0, worker)
    assert [costs.slowness(worker) for worker in WORKERS] == [1.0] * 4
    assert costs.call(0) == 8.0


def test_a_trial_that_is_faster_elsewhere_tells_that_its_worker_is_slow():
    costs = Costs()
    for i, worker in enumerate(WORKERS):
        one_by_one(costs, [i], 10.0 if i == 0 else 1.0, worker)
    for _ in range(30):
        for i in range(4):
            for worker in WORKERS:
                one_by_one(costs, [i], 10.0 if worker == "a" else 1.0, worker)
    assert costs.slowness("a") == pytest.approx(10.0, rel=0.5)


def test_workers_that_differ_by_chance_are_not_slow():
    rng = random.Random(0)
    costs = Costs()
    for _ in range(300):
        trial = rng.randrange(40)
        costs.measured(trial, 1, (1 + trial % 5) * rng.lognormvariate(0, 0.3), False, 0.0, rng.choice(WORKERS))
    assert [costs.slowness(worker) for worker in WORKERS] == [1.0] * 4


def test_a_worker_that_recovers_is_slow_no_more():
    costs = Costs()
    for _ in range(5):
        for i, worker in enumerate(WORKERS):
            one_by_one(costs, range(10 * i, 10 * i + 10), 10.0 if worker == "a" else 1.0, worker)
    assert costs.slowness("a") > 2.0
    for _ in range(10):
        for i, worker in enumerate(WORKERS):
            one_by_one(costs, range(10 * i, 10 * i + 10), 1.0, worker)
    assert costs.slowness("a") == 1.0


def test_an_unknown_worker_and_calls_that_take_no_time_are_as_usual():
    costs = Costs()
    assert costs.slowness("x") == 1.0
    costs.measured(0, 1, 0.0, False, 0.0, "a")
    assert (costs.call(0), costs.slowness("a")) == (0.0, 1.0)


def test_reading_is_cheap_where_it_takes_a_small_part_of_a_call():
    costs = Costs()
    assert not costs.reading_is_cheap  # nobody knows
    costs.measured(0, 2, 2.0, False, 0.0)
    assert not costs.reading_is_cheap
    costs.read(0, 0.0)
    assert not costs.reading_is_cheap
    costs.read(10, 0.1)
    assert costs.reading_is_cheap
    costs.measured(0, 1000, 1.0, False, 0.0)
    assert not costs.reading_is_cheap


def test_what_reading_takes_now_counts_for_more_than_what_it_took():
    costs = Costs()
    costs.measured(0, 1, 1.0, False, 0.0)
    costs.read(1, 5.0)
    assert not costs.reading_is_cheap
    for _ in range(60):
        costs.read(1, 0.01)
    assert costs.reading_is_cheap


def test_the_work_of_a_trial_is_its_calls_and_its_score():
    costs = Costs()
    assert costs.work(0, 3) == 3.0
    costs.measured(0, 2, 1.0, True, 0.25)
    assert costs.work(0, 4) == 2.25
    assert costs.work(7, 4) == 2.25  # as the others
