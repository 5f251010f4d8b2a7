from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from dhpo.samplers import GridSampler, RandomSampler
from dhpo.samplers.permutation import Permutation
from dhpo.space.parameter_space import Space
from dhpo.space.seeds import seed_sequence
from dhpo.testing import check_sampler

repeatable = settings(derandomize=True, deadline=None, max_examples=100)

FINITE = {"a": [1, 2, 3], "b": ["x", "y"]}
INFINITE = {"a": scipy.stats.loguniform(1e-6, 1), "b": ["x", "y"]}


@pytest.mark.parametrize(
    "make_sampler",
    [
        lambda: GridSampler(Space(FINITE)),
        lambda: RandomSampler(Space(FINITE), 0),
        lambda: RandomSampler(Space(INFINITE), 0),
        lambda: RandomSampler(Space([FINITE, INFINITE]), np.random.RandomState(4)),
        lambda: RandomSampler(Space({"a": [np.array([1, 2]), np.array([3])]}), 0),
    ],
)
def test_conformance(make_sampler):
    check_sampler(make_sampler)


def test_grid_gives_every_point_once():
    space = Space(FINITE)
    sampler = GridSampler(space)
    assert sampler.n_trials == 6
    assert [sampler.ask(n) for n in range(6)] == list(space.grid())
    with pytest.raises(IndexError):
        sampler.ask(6)


def test_grid_refuses_a_distribution():
    with pytest.raises(ValueError, match="'a' given as a distribution"):
        GridSampler(Space(INFINITE))


@pytest.mark.parametrize("sampler", [GridSampler(Space(FINITE)), RandomSampler(Space(FINITE), 0)])
def test_trials_are_numbered_from_0(sampler):
    with pytest.raises(ValueError, match="number=-1 is not allowed"):
        sampler.ask(-1)


def test_a_finite_space_is_sampled_without_replacement_again_and_again():
    space = Space(FINITE)
    sampler = RandomSampler(space, 0)
    assert sampler.n_trials == 6
    cycles = [[tuple(sampler.ask(n).items()) for n in range(6 * c, 6 * c + 6)] for c in range(5)]
    points = {tuple(point.items()) for point in space.grid()}
    assert all(set(cycle) == points for cycle in cycles)
    assert len({tuple(cycle) for cycle in cycles}) > 1


def test_a_huge_finite_space_is_sampled_lazily():
    sampler = RandomSampler(Space({f"p{i}": range(10) for i in range(12)}), 0)
    assert sampler.n_trials == 10**12
    assert len({tuple(sampler.ask(n).values()) for n in range(100)}) == 100
    assert sampler.ask(10**12 - 1) != sampler.ask(10**12 - 2)


def test_random_state_decides():
    first, again, other = (RandomSampler(Space(INFINITE), seed) for seed in (0, 0, 1))
    assert first.ask(3) == again.ask(3) != other.ask(3)
    assert first.ask(3)["a"] != first.ask(4)["a"]


def test_fresh_entropy_is_exposed_and_repeats_the_search():
    sampler = RandomSampler(Space(INFINITE))
    assert sampler.entropy != RandomSampler(Space(INFINITE)).entropy
    assert RandomSampler(Space(INFINITE), sampler.entropy).ask(5) == sampler.ask(5)


def test_an_infinite_space_is_endless():
    sampler = RandomSampler(Space(INFINITE), 0)
    assert sampler.n_trials is None
    draws = np.log10([sampler.ask(n)["a"] for n in range(500)])
    assert scipy.stats.kstest((draws + 6) / 6, "uniform").pvalue > 0.01


@repeatable
@given(st.integers(1, 300), st.integers(0, 2**32))
def test_a_permutation_is_one(size, entropy):
    order = Permutation(size, seed_sequence(entropy, 0, "test"))
    assert sorted(order[i] for i in range(size)) == list(range(size))
    assert len(order) == size
    with pytest.raises(IndexError):
        order[size]


@pytest.mark.parametrize("size", [2, 3, 4])
def test_permutations_are_uniform(size):
    n_draws = 6000
    keys = (seed_sequence(0, n, "test") for n in range(n_draws))
    counts = Counter(tuple(Permutation(size, key)[i] for i in range(size)) for key in keys)
    assert set(counts) == set(permutations(range(size)))
    assert scipy.stats.chisquare(list(counts.values())).pvalue > 0.001


def test_a_permutation_has_no_visible_order():
    order = Permutation(10**12, seed_sequence(0, 0, "test"))
    images = np.array([order[i] for i in range(500)]) / 10**12
    assert scipy.stats.kstest(images, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(images[1:], images[:-1])[0, 1]) < 0.1
