from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dhpo.schedules
from dhpo.schedules import (
    ASHA,
    BracketPlan,
    BracketSchedule,
    Fixed,
    Hyperband,
    Incremental,
    InverseDecay,
    InVirtualTime,
    Patience,
    Plan,
    Rung,
    SuccessiveHalving,
)
from dhpo.testing import check_schedule, simulate
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
        (lambda: SuccessiveHalving(10, 5, aggressiveness=1), "aggressiveness=1 .* number >= 2"),
        (lambda: Hyperband(0), "max_iter=0 .* int >= 1"),
        (lambda: Hyperband(81, 1.5), "aggressiveness=1.5 .* number >= 2"),
        (lambda: Hyperband(81, 1), "aggressiveness=1 .* number >= 2"),
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


SCHEDULES = {
    "grid": lambda: Fixed(12, 6),
    "grid, scored on the way": lambda: Fixed(8, 7, 3),
    "incremental": lambda: Incremental(6, 9, 2),
    "inverse decay": lambda: InverseDecay(15, 12),
    "halving": lambda: SuccessiveHalving(20, 2),
    "Hyperband": lambda: Hyperband(9),
    "patience": lambda: Patience(Hyperband(9), 3, 0.2),
    "ASHA": lambda: ASHA(20, 1, 9),
    "patience, ASHA": lambda: Patience(ASHA(20, 1, 9), 3, 0.2),
    "virtual time": lambda: InVirtualTime(ASHA(20, 1, 9), 4),
    "patience, virtual time": lambda: Patience(InVirtualTime(ASHA(20, 1, 9), 4), 3, 0.2),
}
STOPS_NOTHING = [name for name in SCHEDULES if not name.startswith("patience")]

names = st.sampled_from(list(SCHEDULES))


class Conversation:
    """Completes jobs in a random order, and keeps all that was said."""

    def __init__(self, schedule, seed, failures, n_workers):
        self.schedule = schedule
        self.rng = random.Random(f"{seed} {n_workers}")
        self.seed, self.failures, self.n_workers = seed, failures, n_workers
        self.moves = []
        self.training = {}

    def go_on(self):
        while not self.schedule.done:
            decision = self.schedule.ask() if len(self.training) < self.n_workers and self.rng.random() < 0.9 else None
            if decision is not None:
                self.ask(decision)
            elif self.training:
                train = self.training[self.rng.choice(sorted(self.training))]
                self.tell(self.report(train))
        assert not self.training
        return self

    def repeat(self, moves):
        for kind, what in moves:
            if kind == "tell":
                self.tell(what)
            else:
                decision = self.schedule.ask()
                assert decision == what
                self.ask(decision)
        return self

    def ask(self, decision):
        self.moves.append(("ask", decision))
        if isinstance(decision, Train):
            self.training[decision.trial] = decision

    def tell(self, report):
        self.moves.append(("tell", report))
        del self.training[report.trial]
        self.schedule.tell(report)

    def report(self, train):
        rng = random.Random(f"{self.seed} {train.trial} {train.resource}")
        score = math.nan if rng.random() < self.failures else round(rng.random(), 1)
        return Report(train.trial, train.resource, score)

    @property
    def by_trial(self):
        return sorted((what for kind, what in self.moves if kind == "ask"), key=lambda decision: decision.trial)


@repeatable
@given(names, seeds, shares, st.sampled_from([1, 2, 5, 1000]))
def test_every_schedule_ends_each_trial_once_in_any_order(name, seed, failures, n_workers):
    conversation = Conversation(SCHEDULES[name](), seed, failures, n_workers).go_on()
    dropped = [what.trial for kind, what in conversation.moves if kind == "ask" and isinstance(what, Drop)]
    assert sorted(dropped) == sorted({what.trial for kind, what in conversation.moves if kind == "ask"})
    assert dropped


@repeatable
@given(st.sampled_from(STOPS_NOTHING), seeds, st.sampled_from([1, 2, 5, 1000]))
def test_every_schedule_runs_what_it_plans(name, seed, n_workers):
    conversation = Conversation(SCHEDULES[name](), seed, 0.0, n_workers).go_on()
    ran: dict[tuple[int, int, int], int] = {}
    for kind, what in conversation.moves:
        if kind == "ask" and isinstance(what, Train):
            key = (what.bracket, what.rung, what.resource)
            ran[key] = ran.get(key, 0) + 1
    plan = conversation.schedule.plan()
    assert ran == {
        (b.bracket, i, rung.resource): rung.n_trials for b in plan.brackets for i, rung in enumerate(b.rungs)
    }


@settings(repeatable, max_examples=100)
@given(names, seeds, shares, st.sampled_from([1, 2, 5, 1000]), st.floats(0, 1), st.sampled_from([1, 3, 1000]))
def test_every_schedule_goes_on_from_any_prefix(name, seed, failures, n_workers, share, n_workers_then):
    whole = Conversation(SCHEDULES[name](), seed, failures, n_workers).go_on()
    prefix = whole.moves[: int(share * len(whole.moves))]
    same = Conversation(SCHEDULES[name](), seed, failures, n_workers).repeat(whole.moves)
    assert same.schedule.done
    # Resumed by other workers: whatever is told again decides the same, and so does the rest where order is no matter.
    resumed = Conversation(SCHEDULES[name](), seed, failures, n_workers_then).repeat(prefix).go_on()
    assert resumed.moves[: len(prefix)] == prefix
    if not whole.schedule.asynchronous:
        assert resumed.by_trial == whole.by_trial


@repeatable
@given(names, seeds, shares, st.sampled_from([1, 5, 1000]))
def test_leading_changes_nothing(name, seed, failures, n_workers):
    plain = Conversation(SCHEDULES[name](), seed, failures, n_workers).go_on()
    looked_at = Conversation(SCHEDULES[name](), seed, failures, n_workers)
    for move in plain.moves:
        leading = [train.trial for train in looked_at.schedule.leading()]
        assert len(set(leading)) == len(leading)
        assert not set(leading) & set(looked_at.training)
        looked_at.repeat([move])
    assert looked_at.schedule.leading() == ()


@repeatable
@given(plans(), seeds, shares)
def test_what_led_and_was_outranked_is_not_promoted(plan, seed, failures):
    # Every decision is asked for before the next report, so a trial that still waits either leads or has lost.
    schedule = BracketSchedule(plan)
    conversation = Conversation(schedule, seed, failures, 10**6)
    outranked, led = set(), set()
    while not schedule.done:
        while (decision := schedule.ask()) is not None:
            conversation.ask(decision)
            assert not (isinstance(decision, Train) and (decision.trial, decision.rung) in outranked)
            led -= {entry for entry in led if entry[0] == decision.trial}
        now = {(train.trial, train.rung) for train in schedule.leading()}
        outranked |= led - now
        led = now
        if conversation.training:
            train = conversation.training[conversation.rng.choice(sorted(conversation.training))]
            conversation.tell(conversation.report(train))


def test_only_asha_alone_is_asynchronous():
    assert [name for name, make in SCHEDULES.items() if make().asynchronous] == ["ASHA", "patience, ASHA"]


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_runs_in_the_simulator(name):
    result = simulate(SCHEDULES[name](), workers=3, durations=1.0)
    assert result.finishes or name.startswith(("inverse", "patience"))
    assert result.makespan > 0
