from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhpo.errors.checks import checked_factor, checked_int
from dhpo.schedules.halving import halving_rungs
from dhpo.schedules.hyperband import hyperband_brackets, integer_log
from dhpo.schedules.inverse_decay import inverse_decay_rungs
from dhpo.schedules.plan import BracketPlan, Plan, Rung
from dhpo.schedules.rungs import fixed_rungs

repeatable = settings(derandomize=True, deadline=None, max_examples=200)


def table(rungs):
    return [(rung.n_trials, rung.resource) for rung in rungs]


@repeatable
@given(st.integers(1, 10**30), st.integers(2, 50))
def test_integer_log(n, base):
    k = integer_log(n, base)
    assert base**k <= n < base ** (k + 1)


@pytest.mark.parametrize(("n", "base", "k"), [(243, 3, 5), (1000, 10, 3), (125, 5, 3), (1, 2, 0), (2, 3, 0)])
def test_integer_log_where_floats_are_wrong(n, base, k):
    assert integer_log(n, base) == k


@pytest.mark.parametrize(("n", "base"), [(0, 2), (1, 1)])
def test_integer_log_refuses(n, base):
    with pytest.raises(ValueError, match="not defined"):
        integer_log(n, base)


@repeatable
@given(st.integers(1, 10**30), st.fractions(2, 50, max_denominator=1000))
def test_integer_log_of_a_fraction(n, base):
    k = integer_log(n, base)
    assert base**k <= n < base ** (k + 1)


@pytest.mark.parametrize(
    ("given", "factor"), [(3, 3), (3.0, 3), (np.int64(4), 4), (3.5, Fraction(7, 2)), (2.1, Fraction(21, 10))]
)
def test_a_reduction_factor_is_an_exact_fraction(given, factor):
    assert checked_factor("aggressiveness", given) == factor


@pytest.mark.parametrize("given", [1, 1.99, True, None, "3", math.nan, math.inf])
def test_a_reduction_factor_is_two_or_more(given):
    with pytest.raises(ValueError, match=r"aggressiveness=.* is not allowed: give a number >= 2\."):
        checked_factor("aggressiveness", given)


@repeatable
@given(st.integers(1, 500), st.integers(1, 30), st.fractions(2, 6, max_denominator=100))
def test_halving_by_a_fraction(n, r, eta):
    rungs = halving_rungs(n, r, eta)
    for i, rung in enumerate(rungs):
        assert rung.n_trials == n // eta**i
        assert abs(rung.resource - r * eta**i) <= Fraction(1, 2)
    assert n // eta ** len(rungs) == 0
    assert BracketPlan(0, rungs).max_resource == rungs[-1].resource


@repeatable
@given(st.integers(1, 5000), st.fractions(2, 6, max_denominator=100))
def test_hyperband_by_a_fraction_ends_every_bracket_at_max_iter(max_iter, eta):
    brackets = hyperband_brackets(max_iter, eta)
    assert len(brackets) == integer_log(max_iter, eta) + 1
    assert {bracket.max_resource for bracket in brackets} == {max_iter}


def test_hyperband_is_algorithm_1_of_the_paper():
    assert [(b.bracket, table(b.rungs)) for b in hyperband_brackets(81, 3)] == [
        (4, [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]),
        (3, [(34, 3), (11, 9), (3, 27), (1, 81)]),
        (2, [(15, 9), (5, 27), (1, 81)]),
        (1, [(8, 27), (2, 81)]),
        (0, [(5, 81)]),
    ]


@pytest.mark.parametrize(
    ("max_iter", "eta", "n_trials"),
    [
        (243, 3, [243, 98, 41, 18, 9, 6]),
        (1000, 10, [1000, 134, 20, 4]),
        (1, 3, [1]),
        (2, 3, [1]),
        (100, 3, [81, 34, 15, 8, 5]),
    ],
)
def test_hyperband_brackets_are_counted_in_integers(max_iter, eta, n_trials):
    assert [b.n_trials for b in hyperband_brackets(max_iter, eta)] == n_trials


@repeatable
@given(st.integers(1, 5000), st.integers(2, 6))
def test_hyperband_brackets_share_their_rungs(max_iter, eta):
    brackets = hyperband_brackets(max_iter, eta)
    positions = [rung.resource for rung in brackets[0].rungs]
    assert positions[0] >= 1
    assert positions[-1] == max_iter
    for bracket in brackets:
        assert [rung.resource for rung in bracket.rungs] == positions[len(positions) - bracket.bracket - 1 :]
        assert bracket.rungs[-1].n_trials >= 1
        exact = Fraction(len(brackets) * eta**bracket.bracket, bracket.bracket + 1)
        assert bracket.n_trials == math.ceil(exact)
        assert table(bracket.rungs) == [(bracket.n_trials // eta**i, r.resource) for i, r in enumerate(bracket.rungs)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((9, 2, 3), [(9, 2), (3, 6), (1, 18)]),
        ((22, 3, 3), [(22, 3), (7, 9), (2, 27)]),
        ((8, 5, 3), [(8, 5), (2, 15)]),
        ((2, 5, 3), [(2, 5)]),
        ((1, 5, 3), [(1, 5)]),
        ((10, 5, 3, 20), [(10, 5), (3, 15), (1, 20)]),
        ((10, 5, 3, 15), [(10, 5), (3, 15)]),
        ((10, 5, 3, 5), [(10, 5)]),
        ((10, 5, 3, 1000), [(10, 5), (3, 15), (1, 45)]),
    ],
)
def test_halving(arguments, expected):
    assert table(halving_rungs(*arguments)) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((10, 1.0, 100), [(10, 1), (5, 2), (3, 3), (2, 5)]),
        ((10, 1.0, 4), [(10, 1), (5, 2), (3, 3), (2, 4)]),
        ((10, 2.0, 100), [(10, 1), (2, 2)]),
        ((16, 0.5, 20), [(16, 1), (11, 2), (9, 3), (8, 4), (7, 5), (6, 7), (5, 10), (4, 16), (3, 20)]),
        ((10, 0.0, 100), [(10, 100)]),
        ((10, 1.0, 100, 3), [(10, 3), (2, 6)]),
        ((10, 1.0, 2, 3), [(10, 2)]),
        ((1, 1.0, 100, 3), [(1, 3)]),
        ((1, 1.0, 2, 3), [(1, 2)]),
        ((1000, 1e300, 100), [(1000, 1)]),
    ],
)
def test_inverse_decay(arguments, expected):
    assert table(inverse_decay_rungs(*arguments)) == expected


@repeatable
@given(st.integers(1, 200), st.fractions(0, 3, max_denominator=8), st.integers(1, 60), st.integers(1, 7))
def test_inverse_decay_keeps_what_its_formula_says(n, rate, max_iter, fits_per_score):
    rungs = inverse_decay_rungs(n, float(rate), max_iter, fits_per_score)
    assert rungs[0].n_trials == n
    assert rungs[-1].resource <= max_iter
    BracketPlan(0, rungs)
    for below, above in pairwise(rungs):
        kept, k = above.n_trials, below.resource
        exact = n / (1 + k) ** float(rate)
        assert kept <= exact + 1e-6 or kept == 1
        assert kept + 1 > exact - 1e-6
        assert below.resource % fits_per_score == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [((3, 10), [10]), ((3, 10, 4), [4, 8, 10]), ((3, 10, 5), [5, 10]), ((3, 10, 20), [10])],
)
def test_fixed(arguments, expected):
    assert table(fixed_rungs(*arguments)) == [(3, resource) for resource in expected]


def test_plan_adds_up():
    plan = Plan(hyperband_brackets(81, 3))
    assert plan.n_trials == 143
    assert plan.partial_fit_calls == 297 + 276 + 279 + 324 + 405
    assert plan.max_resource == 81
    assert plan.passes(20) == Fraction(81, 20)
    assert math.ceil(plan.passes(20)) == 5
    with pytest.raises(ValueError, match="n_blocks=0"):
        plan.passes(0)


def test_plan_reads_as_a_table():
    lines = str(Plan(hyperband_brackets(9, 3))).splitlines()
    assert lines[0].split() == ["bracket", "trials", "partial_fit", "calls", "rungs", "(trials", "x", "calls", "each)"]
    assert lines[2].split(maxsplit=3) == ["2", "9", "21", "9 x 1 -> 3 x 3 -> 1 x 9"]
    assert lines[-1].split(maxsplit=3) == ["total", "17", "69", "at most 9 calls for one trial"]
    assert set(lines[1]) == set(lines[-2]) == {"-"}


def test_plan_with_many_rungs_stays_readable():
    text = str(Plan((BracketPlan(0, fixed_rungs(3, 100, 1)),)))
    assert max(map(len, text.splitlines())) < 120
    assert "3 x 1 -> 3 x 2 -> 3 x 3 -> 3 x 4 -> (94 more) -> 3 x 99 -> 3 x 100" in text


@pytest.mark.parametrize(
    "rungs", [(), (Rung(0, 1),), (Rung(1, 0),), (Rung(2, 3), Rung(1, 3)), (Rung(2, 3), Rung(3, 4))]
)
def test_a_table_has_to_be_one(rungs):
    with pytest.raises(ValueError, match="rungs="):
        BracketPlan(0, rungs)


@pytest.mark.parametrize("value", [3, 3.0, np.int32(3), np.float64(3)])
def test_integers_are_taken(value):
    checked = checked_int("name", value)
    assert checked == 3
    assert type(checked) is int


@pytest.mark.parametrize("value", [2, 3.5, math.nan, math.inf, True, "3", None])
def test_what_is_no_integer_is_refused(value):
    with pytest.raises(ValueError, match=r"name=.* is not allowed: give an int >= 3"):
        checked_int("name", value, minimum=3)


def test_true_is_not_1():
    with pytest.raises(ValueError, match="name=True"):
        checked_int("name", True)
