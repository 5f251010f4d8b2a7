"""Points that are given before those of a sampler."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import loguniform, norm, randint, uniform

from dhpo.samplers import Enqueued, OptunaSampler, RandomSampler
from dhpo.space.parameter_space import Space
from dhpo.testing import check_sampler
from dhpo.trial import Drop, Report

SPACE = Space({"x": uniform(0, 1), "n": randint(1, 9), "kind": ["a", None, (1, 2)], "z": norm(3, 2)})
POINT = {"x": 0.25, "n": 3, "kind": None, "z": 2.5}


class Recording:
    """Gives numbers, and notes what it is told."""

    learns = True
    n_trials = None

    def __init__(self):
        self.heard = []

    def ask(self, number):
        return {"x": float(number)}

    def tell(self, report):
        self.heard.append(report)


class Taking(Recording):
    def take(self, number, params):
        self.heard.append((number, params))

    def learn_from(self, scored):
        self.heard.append(list(scored))

    def drop(self, drop):
        self.heard.append(drop)


@pytest.mark.parametrize("make", [RandomSampler, OptunaSampler])
def test_conformance(make):
    check_sampler(lambda: Enqueued(make(SPACE, 0), SPACE, {0: POINT, 2: {"x": 0.5}}))


def test_what_is_left_out_is_drawn():
    sampler = Enqueued(RandomSampler(SPACE, 0), SPACE, {1: {"x": 2.0}})
    assert sampler.ask(1) == {**RandomSampler(SPACE, 0).ask(1), "x": 2.0}
    assert sampler.ask(0) == RandomSampler(SPACE, 0).ask(0)


def test_a_sampler_is_told_of_points_where_it_has_a_word_for_them():
    report, drop = Report(0, 1, 0.5), Drop(0, "finished")
    space = Space({"x": [1.0, 2.0]})
    deaf = Enqueued(Recording(), space, {0: {"x": 9.0}})
    deaf.ask(0)
    deaf.tell(report)
    deaf.drop(drop)
    deaf.learn_from([({"x": 1.0}, 0.5)])
    assert deaf.sampler.heard == []
    hearing = Enqueued(Taking(), space, {0: {"x": 9.0}})
    hearing.learn_from([({"x": 1.0}, 0.5)])
    hearing.ask(0)
    hearing.tell(report)
    hearing.drop(drop)
    assert hearing.sampler.heard == [[({"x": 1.0}, 0.5)], (0, {"x": 9.0}), report, drop]
    assert hearing.learns


def test_optuna_learns_of_points_that_came_from_elsewhere():
    space = Space({"x": uniform(0, 1)})
    sampler = Enqueued(OptunaSampler(space, 0), space, {number: {"x": number / 30} for number in range(31)})
    asked = []
    for number in range(50):
        asked.append(sampler.ask(number)["x"])
        sampler.tell(Report(number, 1, -abs(asked[-1] - 0.7)))
    assert asked[:31] == [number / 30 for number in range(31)]
    assert np.median([abs(x - 0.7) for x in asked[31:]]) < 0.1


def test_optuna_takes_no_notice_of_points_outside_of_the_space():
    sampler = Enqueued(OptunaSampler(SPACE, 0), SPACE, {0: {**POINT, "x": 7.0}, 1: {**POINT, "kind": "b"}})
    assert [sampler.ask(0)["x"], sampler.ask(1)["kind"]] == [7.0, "b"]
    for number in range(2):
        sampler.tell(Report(number, 1, 5.0))
    assert sampler.ask(2) == OptunaSampler(SPACE, 0).ask(2)


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_what_an_earlier_search_has_found_counts_until_there_are_scores(sampler):
    space = Space({"x": uniform(0, 1), "y": loguniform(1e-3, 1)})
    rng = np.random.default_rng(0)
    scored = [({"x": x, "y": 0.1}, -abs(x - 0.7)) for x in rng.uniform(0, 1, 50)]
    learned, alone = OptunaSampler(space, 0, sampler), OptunaSampler(space, 0, sampler)
    learned.learn_from([*scored, ({"x": 3.0, "y": 0.1}, 9.0)])
    asked = [learned.ask(number) for number in range(9)]
    if sampler == "cmaes":
        assert asked == [alone.ask(number) for number in range(9)]
        return
    assert np.median([abs(params["x"] - 0.7) for params in asked]) < 0.15
    found = []
    for number in range(80):  # and then its own scores, which say something else
        params = asked[number] if number < 9 else learned.ask(number)
        found.append(abs(params["x"] - 0.2))
        learned.tell(Report(number, 1, -found[-1]))
    assert np.median(found[40:]) < 0.15 < np.median(found[:9])


def test_of_several_earlier_searches_all_count():
    space = Space({"x": uniform(0, 1)})
    together, apart = OptunaSampler(space, 0), OptunaSampler(space, 0)
    scored = [({"x": x}, -abs(x - 0.7)) for x in np.random.default_rng(0).uniform(0, 1, 50)]
    together.learn_from(scored)
    apart.learn_from(scored[:20])
    apart.learn_from(scored[20:])
    assert [apart.ask(number) for number in range(9)] == [together.ask(number) for number in range(9)]


def test_what_several_dicts_have_in_common_is_told_once():
    several = Space([{"x": uniform(0, 1), "kind": ["a", "b"]}, {"x": uniform(0, 1), "n": [1, 2]}])
    sampler = Enqueued(OptunaSampler(several, 0), several, {0: {"x": 0.5, "n": 2}, 1: {"x": 0.5, "kind": "b"}})
    for number in range(15):
        params = sampler.ask(number)
        sampler.tell(Report(number, 1, params["x"] + 2 * ("n" in params)))
    chosen = [sampler.ask(number) for number in range(15, 30)]
    assert sum("n" in params for params in chosen) > 10
