from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhpo.space.seeds import entropy_of, seed_for, seed_sequence

repeatable = settings(derandomize=True, deadline=None, max_examples=100)


@pytest.mark.parametrize("random_state", [0, 7, 2**200, np.int64(7)])
def test_an_int_is_its_own_entropy(random_state):
    entropy = entropy_of(random_state)
    assert entropy == random_state
    assert type(entropy) is int


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
def test_a_generator_is_drawn_from_once(make):
    rng, same = make(3), make(3)
    entropy = entropy_of(rng)
    assert entropy == entropy_of(same)
    assert entropy != entropy_of(rng)


def test_no_random_state_is_fresh_entropy_and_leaves_the_global_state_alone():
    before = np.random.get_state()[1].copy()
    assert entropy_of(None) != entropy_of(None)
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize("random_state", [-1, 1.5, "0", True, [1]])
def test_anything_else_is_refused(random_state):
    with pytest.raises(ValueError, match=r"random_state=.* not allowed: give an int >= 0"):
        entropy_of(random_state)


def test_seeds_are_what_they_were():
    # A journal of last year must find the seeds of last year.
    assert [seed_for(0, n, "estimator") for n in range(3)] == [1891815431, 1297160797, 1076181403]


def test_seeds_differ_by_entropy_number_and_purpose():
    places = list(itertools.product((0, 1, 2**32, 2**100), (0, 1, 2**32, 2**32 + 1), ("params", "estimator", "order")))
    states = {tuple(seed_sequence(*place).generate_state(4)) for place in places}
    assert len(states) == len(places)


@repeatable
@given(st.integers(0, 2**128), st.integers(0, 2**64 - 1), st.text(max_size=5))
def test_a_seed_is_a_function_of_its_place_and_fits_a_signed_int(entropy, number, purpose):
    seed = seed_for(entropy, number, purpose)
    assert type(seed) is int
    assert 0 <= seed < 2**31
    assert seed == seed_for(entropy, number, purpose)


def test_seeds_fill_their_range():
    seeds = np.array([seed_for(1, n, "estimator") for n in range(1000)])
    assert abs(seeds.mean() / 2**31 - 0.5) < 0.03
    assert len(set(seeds.tolist())) == 1000


@pytest.mark.parametrize("number", [-1, 2**64])
def test_a_number_out_of_range_is_refused(number):
    with pytest.raises(ValueError, match=r"number=.* not allowed"):
        seed_for(0, number, "params")
