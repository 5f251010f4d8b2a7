"""Points that fill a space evenly, whatever it is made of."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import scipy.stats

from dhpo.samplers import SobolSampler
from dhpo.space.parameter_space import Space
from dhpo.testing import check_sampler


class Drawn:
    """A distribution that can only be drawn."""

    def rvs(self, random_state=None):
        return random_state.randint(10)


MIXED = {"a": scipy.stats.loguniform(1e-6, 1), "b": ["x", "y", "z"], "c": scipy.stats.randint(1, 9), "d": Drawn()}


@pytest.mark.parametrize("space", [MIXED, {"a": [1, 2, 3], "b": [True, None]}, [MIXED, {"a": [0.5]}]])
def test_conformance(space):
    check_sampler(lambda: SobolSampler(Space(space), 0))


@pytest.mark.parametrize(
    ("distribution", "kind"),
    [
        (scipy.stats.loguniform(1e-6, 1), float),
        (scipy.stats.norm(3, 2), float),
        (scipy.stats.beta(2, 5), float),
        (scipy.stats.poisson(4), int),
        (scipy.stats.randint(1, 9), int),
    ],
)
def test_each_part_of_a_distribution_gets_its_share(distribution, kind):
    sampler = SobolSampler(Space({"a": distribution}), 0)
    values = [sampler.ask(number)["a"] for number in range(256)]
    assert {type(value) for value in values} == {kind}
    low, high = distribution.support()
    assert low <= min(values) <= max(values) <= high
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        share = np.mean(np.array(values) <= distribution.ppf(quantile))
        assert share == pytest.approx(distribution.cdf(distribution.ppf(quantile)), abs=1.1 / 256)


def test_values_of_a_list_come_equally_often():
    sampler = SobolSampler(Space({"a": list("wxyz"), "b": [1, 2]}), 7)
    pairs = Counter(tuple(sampler.ask(number).values()) for number in range(64))
    assert set(pairs.values()) == {8}
    assert len(pairs) == 8


def test_random_state_decides_and_is_exposed():
    one, same, other = (SobolSampler(Space(MIXED), seed) for seed in (0, 0, 1))
    assert one.ask(5) == same.ask(5) != other.ask(5)
    fresh = SobolSampler(Space(MIXED))
    assert SobolSampler(Space(MIXED), fresh.entropy).ask(3) == fresh.ask(3)


@pytest.mark.parametrize(
    ("dicts", "share"),
    [
        ([{"a": [1, 2, 3]}, {"b": [1]}], 0.75),  # of a finite space all points are equally likely
        ([{"a": scipy.stats.uniform(0, 1)}, {"b": [1]}], 0.5),
    ],
)
def test_several_dicts_are_as_likely_as_in_a_random_search(dicts, share):
    space = Space(dicts)
    assert space.n_dimensions == 2
    sampler = SobolSampler(space, 0)
    points = [sampler.ask(number) for number in range(64)]
    assert sum("a" in point for point in points) == 64 * share


def test_what_can_only_be_drawn_does_not_depend_on_other_trials():
    values = [SobolSampler(Space(MIXED), 0).ask(number)["d"] for number in range(20)]
    assert len(set(values)) > 3


def test_trials_are_numbered_from_0():
    with pytest.raises(ValueError, match="number=-1 is not allowed"):
        SobolSampler(Space(MIXED), 0).ask(-1)


def test_the_ends_of_a_distribution_without_bounds_are_finite():
    space = Space({"a": scipy.stats.norm(0, 1), "b": scipy.stats.randint(1, 9)})
    ends = [space.at([end, end], np.random.RandomState(0)) for end in (0.0, 1.0)]
    assert all(np.isfinite(point["a"]) for point in ends)
    assert [point["b"] for point in ends] == [1, 8]
