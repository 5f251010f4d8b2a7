from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dhpo.schedules
from dhpo.schedules import (
    BracketPlan,
    BracketSchedule,
    Fixed,
    Hyperband,
    Incremental,
    InverseDecay,
    Patience,
    Plan,
    Rung,
    SuccessiveHalving,
)
from dhpo.testing import check_schedule
from dhpo.trial import Drop, Report, Train

repeatable = settings(derandomize=True, deadline=None, max_examples=40)

seeds = st.integers(0, 10_000)
shares = st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0])


@st.composite
def plans(draw):
    brackets = []
    for bracket in range(draw(st.integers(1, 3))):
        n_rungs = draw(st.integers(1, 4))
        numbers = sorted(draw(st.lists(st.integers(1, 12), min_size=n_rungs, max_size=n_rungs)), reverse=True)
        resources = sorted(draw(st.sets(st.integers(1, 40), min_size=n_rungs, max_size=n_rungs)))
        brackets.append(BracketPlan(bracket, tuple(map(Rung, numbers, resources))))
    return Plan(tuple(brackets))


@repeatable
@given(plans(), seeds, shares)
def test_any_table_of_rungs_conforms(plan, seed, failures):
    check_schedule(lambda: BracketSchedule(plan), seed=seed, failures=failures)


@repeatable
@given(st.integers(1, 40), st.integers(2, 5), seeds, shares)
def test_hyperband_conforms(max_iter, eta, seed, failures):
    check_schedule(lambda: Hyperband(max_iter, eta), seed=seed, failures=failures)


@repeatable
@given(st.integers(1, 30), st.integers(1, 5), st.none() | st.integers(5, 60), st.integers(2, 4), seeds, shares)
def test_successive_halving_conforms(n, r, max_iter, eta, seed, failures):
    check_schedule(lambda: SuccessiveHalving(n, r, max_iter, eta), seed=seed, failures=failures)


@repeatable
@given(st.integers(1, 20), st.integers(1, 30), st.floats(0, 3), st.integers(1, 4), seeds, shares)
def test_inverse_decay_conforms(n, max_iter, rate, fits_per_score, seed, failures):
    check_schedule(lambda: InverseDecay(n, max_iter, rate, fits_per_score), seed=seed, failures=failures)


@repeatable
@given(st.integers(1, 20), st.integers(1, 12), st.none() | st.integers(1, 15), seeds, shares)
def test_fixed_conforms(n, max_iter, fits_per_score, seed, failures):
    check_schedule(lambda: Fixed(n, max_iter, fits_per_score), seed=seed, failures=failures)
    check_schedule(lambda: Incremental(n, max_iter, fits_per_score or 1), seed=seed, failures=failures)


@repeatable
@given(plans(), st.integers(2, 12), st.sampled_from([0.0, 0.3, 1.0, None]), st.integers(1, 4), seeds, shares)
def test_any_schedule_with_patience_conforms(plan, patience, tol, fits_per_score, seed, failures):
    check_schedule(lambda: Patience(BracketSchedule(plan), patience, tol, fits_per_score), seed=seed, failures=failures)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fixed(0, 5), "n_trials=0"),
        (lambda: Fixed(5, 0), "max_iter=0"),
        (lambda: Fixed(5, 5, 0), "fits_per_score=0"),
        (lambda: Incremental("grid", 5), "n_initial_parameters='grid'"),
        (lambda: Incremental(5, None), "max_iter=None"),
        (lambda: Incremental(5, 5, 1.5), "fits_per_score=1.5"),
        (lambda: InverseDecay(0), "n_initial_parameters=0"),
        (lambda: InverseDecay(decay_rate=-1), "decay_rate=-1 .* give a number >= 0"),
        (lambda: InverseDecay(decay_rate=math.nan), "decay_rate=nan"),
        (lambda: InverseDecay(decay_rate="1"), "decay_rate='1'"),
        (lambda: InverseDecay(fits_per_score=0), "fits_per_score=0"),
        (lambda: SuccessiveHalving(0, 1), "n_initial_parameters=0"),
        (lambda: SuccessiveHalving(10, None), "n_initial_iter=None"),
        (lambda: SuccessiveHalving(10, 5, 4), "max_iter=4 .* n_initial_iter=5"),
        (lambda: SuccessiveHalving(10, 5, aggressiveness=1), "aggressiveness=1 .* int >= 2"),
        (lambda: Hyperband(0), "max_iter=0 .* int >= 1"),
        (lambda: Hyperband(81, 3.5), "aggressiveness=3.5 .* int >= 2"),
        (lambda: Hyperband(81, 1), "aggressiveness=1 .* int >= 2"),
    ],
)
def test_bad_arguments_are_refused_at_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_float_that_is_an_integer_is_one():
    assert Hyperband(81.0, 3.0).plan() == Hyperband(81, 3).plan()


def test_hyperband_numbers_trials_from_the_most_aggressive_bracket():
    schedule = Hyperband(81)
    by_bracket: dict[int, list[int]] = {}
    while (train := schedule.ask()) is not None:
        by_bracket.setdefault(train.bracket, []).append(train.trial)
    bounds = {bracket: (min(trials), max(trials)) for bracket, trials in by_bracket.items()}
    assert bounds == {4: (0, 80), 3: (81, 114), 2: (115, 129), 1: (130, 137), 0: (138, 142)}
    assert list(bounds) == [4, 3, 2, 1, 0]


def test_hyperband_finds_the_best_trial_of_a_bracket():
    schedule = Hyperband(9)
    finished, queue = [], []
    while not schedule.done:
        decision = schedule.ask()
        if decision is None:
            train = queue.pop()
            schedule.tell(Report(train.trial, train.resource, float(train.trial)))
        elif isinstance(decision, Train):
            queue.append(decision)
        elif decision.reason == "finished":
            finished.append(decision.trial)
    assert sorted(finished) == [8, 13, 14, 15, 16]


def test_incremental_lets_no_trial_wait_for_another():
    schedule = Incremental(2, max_iter=3)
    assert schedule.ask() == Train(0, 1)
    for resource in (1, 2):
        schedule.tell(Report(0, resource, 0.0))
        assert schedule.ask() == Train(0, resource + 1, rung=resource)
    schedule.tell(Report(0, 3, 0.0))
    assert schedule.ask() == Drop(0, "finished")
    assert schedule.ask() == Train(1, 1)


def test_schedules_and_samplers_know_neither_dask_nor_each_other():
    package = Path(dhpo.schedules.__file__).parent
    lines = [line.strip() for path in package.glob("*.py") for line in path.read_text().splitlines()]
    imported = {line.split()[1] for line in lines if line.startswith(("import ", "from "))}
    assert imported
    assert not [name for name in imported if name.startswith(("dask", "distributed", "dhpo.samplers", "pandas"))]
