"""Samplers of Optuna: the same points that Optuna itself suggests, a model for each resource."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec

import numpy as np
import optuna
import pytest
import scipy.stats
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, RandomSampler, TPESampler

from dhpo.errors import ExtraNotInstalled
from dhpo.samplers import OptunaSampler, by_name, optuna_sampler
from dhpo.schedules import Fixed, SuccessiveHalving
from dhpo.space.parameter_space import Space
from dhpo.testing import check_sampler
from dhpo.trial import Report


class Drawn:
    """A distribution that can only be drawn."""

    def rvs(self, random_state=None):
        return random_state.randint(10)


MIXED = {"a": scipy.stats.loguniform(1e-6, 1), "b": ["x", None, (1, 2)], "c": scipy.stats.randint(1, 9), "d": Drawn()}
SEVERAL = [MIXED, {"a": MIXED["a"], "b": [0.5, 1.5], "e": scipy.stats.norm(3, 2)}]
X = Space({"x": scipy.stats.uniform(0, 1)})


@pytest.mark.parametrize(
    ("space", "sampler"),
    [
        (MIXED, "tpe"),
        (SEVERAL, "tpe"),
        (MIXED, "cmaes"),
        (MIXED, "nsga2"),
        ({"a": [1, 2, 3], "b": [True, None]}, RandomSampler(seed=0)),
        ({"a": MIXED["a"]}, TPESampler(seed=0, n_startup_trials=5)),
    ],
)
def test_conformance(space, sampler):
    check_sampler(lambda: OptunaSampler(Space(space), 0, sampler))


@pytest.mark.parametrize("sampler", ["cmaes", "nsga2"])
def test_an_evolution_takes_one_dict(sampler):
    with pytest.raises(ValueError, match=f"sampler='{sampler}' is not allowed for a list of dicts"):
        OptunaSampler(Space(SEVERAL), 0, sampler)


def test_a_genetic_algorithm_learns_from_all_metrics_as_in_optuna_itself():
    names = ("near", "low")

    def scores(number, x):
        return {"near": -((x - 0.7) ** 2), "low": math.nan if number % 7 == 3 else -x}

    def genetic():
        return NSGAIISampler(seed=0, population_size=6)

    study = optuna.create_study(directions=["maximize"] * 2, sampler=genetic())
    space = Space({name: scipy.stats.uniform(0, 1) for name in "xyz"})  # a single one would be mutated each time
    ours = OptunaSampler(space, sampler=genetic(), metrics=names)
    alone = OptunaSampler(space, sampler=genetic())  # which learns from the one that decides
    told, others = [], []
    for number in range(40):
        trial = study.ask()
        params = {name: trial.suggest_float(name, 0, 1) for name in "xyz"}
        assert ours.ask(number) == params
        others.append(alone.ask(number) == params)
        metrics = scores(number, params["x"])
        values = list(metrics.values())
        if number % 7 == 3:  # a trial that lacks a metric is worse than all that have both
            values = [min(values) for values in zip(*told, strict=True)]
        else:
            told.append(values)
        study.tell(trial, values)
        for sampler in (ours, alone):
            sampler.tell(Report(number, 1, metrics["near"], metrics=metrics))
    assert not all(others)


def test_the_points_are_those_of_optuna_itself():
    def suggest(trial):
        return {"x": trial.suggest_float("x", 1e-6, 1, log=True), "n": trial.suggest_int("n", 1, 8)}

    def score(params):
        return -((np.log10(params["x"]) + 3) ** 2) - (params["n"] - 3) ** 2

    study = optuna.create_study(direction="maximize", sampler=TPESampler(seed=0, multivariate=True))
    space = Space({"n": scipy.stats.randint(1, 9), "x": scipy.stats.loguniform(1e-6, 1)})
    ours = OptunaSampler(space, sampler=TPESampler(seed=0, multivariate=True))
    for number in range(40):
        trial = study.ask()
        n, x = trial.suggest_int("n", 1, 8), trial.suggest_float("x", 1e-6, 1, log=True)
        params = ours.ask(number)
        assert params == {"n": n, "x": x}
        study.tell(trial, score(params))
        ours.tell(Report(number, 1, score(params)))


@pytest.mark.parametrize(
    ("distribution", "kind"),
    [
        (scipy.stats.loguniform(1e-6, 1), float),
        (scipy.stats.uniform(2, 3), float),
        (scipy.stats.randint(-4, 9), int),
        (scipy.stats.randint(2**60, 2**60 + 8), int),
        (scipy.stats.norm(3, 2), float),
        (scipy.stats.beta(2, 5), float),
        (scipy.stats.poisson(4), int),
    ],
)
def test_before_anything_is_learned_values_are_as_likely_as_the_user_said(distribution, kind):
    sampler = OptunaSampler(Space({"a": distribution}), 0)
    values = [sampler.ask(number)["a"] for number in range(200)]
    assert {type(value) for value in values} == {kind}
    low, high = distribution.support()
    assert low <= min(values) <= max(values) <= high
    for quantile in (0.1, 0.5, 0.9):
        share = np.mean(np.array(values) <= distribution.ppf(quantile))
        assert share == pytest.approx(distribution.cdf(distribution.ppf(quantile)), abs=0.1)


def test_values_of_lists_are_the_very_objects_of_the_user():
    values = [np.array([1, 2]), {"a": 1}, object()]
    sampler = OptunaSampler(Space({"a": values}), 0)
    drawn = [sampler.ask(number)["a"] for number in range(30)]
    assert {id(value) for value in drawn} == {id(value) for value in values}


def test_of_several_dicts_a_point_has_the_parameters_of_one():
    sampler = OptunaSampler(Space(SEVERAL), 0)
    kinds = Counter()
    for number in range(60):
        params = sampler.ask(number)
        kinds[tuple(params)] += 1
        assert params["b"] in SEVERAL["e" in params]["b"]
        sampler.tell(Report(number, 1, float("e" in params)))
    assert set(kinds) == {("a", "b", "c", "d"), ("a", "b", "e")}
    assert kinds["a", "b", "e"] > 40


def test_the_highest_resource_with_enough_scores_decides():
    sampler, points = OptunaSampler(X, 0), {}

    def ask(numbers, *best_at):
        for number in numbers:
            points[number] = sampler.ask(number)["x"]
            for resource, best in best_at:
                tell(number, resource, best)
        return np.median([points[number] for number in numbers])

    def tell(number, resource, best):
        # Scores of the higher resource are all lower.
        sampler.tell(Report(number, resource, -((points[number] - best) ** 2) - resource))

    ask(range(30), (1, 0.2))
    for number in range(9):
        tell(number, 9, 0.8)
    assert ask(range(30, 50), (1, 0.2)) == pytest.approx(0.2, abs=0.1)
    tell(9, 9, 0.8)
    assert ask(range(50, 80), (1, 0.2), (9, 0.8)) == pytest.approx(0.8, abs=0.1)


def test_points_of_failures_are_avoided():
    sampler, points = OptunaSampler(X, 0), []
    for number in range(80):
        points.append(sampler.ask(number)["x"])
        sampler.tell(Report(number, 1, float("nan") if points[-1] > 0.3 else 0.5))
    assert np.mean([point <= 0.3 for point in points[40:]]) > 0.6


class Watching(BaseSampler):
    """Draws the middle, and notes what it knows of the trials before."""

    seen = {}
    values = {}

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        before = study.get_trials(deepcopy=False)[:-1]
        self.seen[trial.number] = Counter(t.state.name for t in before)
        self.values[trial.number] = [t.value for t in before if t.value is not None]
        return 0.5


def test_what_is_under_way_or_failed_is_known():
    sampler = OptunaSampler(X, 0, Watching())
    for number in range(4):
        sampler.ask(number)
    assert Watching.seen[3] == {"RUNNING": 3}
    sampler.tell(Report(0, 1, 0.5))
    sampler.tell(Report(1, 0, float("nan"), error="of the trial"))
    sampler.tell(Report(2, 3, 0.7))  # of another resource
    sampler.ask(4)
    assert Watching.seen[4] == {"COMPLETE": 2, "FAIL": 1, "RUNNING": 1}


def test_a_trial_that_fails_after_its_first_score_keeps_that():
    sampler = OptunaSampler(X, 0, Watching())
    for number in range(2):
        sampler.ask(number)
        sampler.tell(Report(number, 1, 0.5))
    sampler.tell(Report(1, 2, float("nan"), error="on the way to 3"))
    sampler.ask(2)
    assert Watching.seen[2] == {"COMPLETE": 2}
    sampler.tell(Report(0, 3, 0.7))
    sampler.tell(Report(2, 3, 0.7))
    sampler._enough = 2
    sampler.ask(3)  # of the model of resource 3
    assert Watching.seen[3] == {"COMPLETE": 3}
    assert Watching.values[3] == [0.7, 0.7, 0.7]


def test_a_report_of_a_trial_that_was_not_asked_for_is_no_matter():
    sampler = OptunaSampler(X, 0)
    sampler.tell(Report(7, 1, 0.5))
    assert sampler.ask(0) == OptunaSampler(X, 0).ask(0)


@pytest.mark.parametrize(
    ("sampler", "missing", "message"),
    [
        ("tpe", "optuna", r'sampler=.tpe. needs optuna: pip install "dhpo\[optuna\]"'),
        ("cmaes", "cmaes", r'sampler=.cmaes. needs cmaes: pip install "dhpo\[optuna\]"'),
        ("gp", "torch", r"sampler=.gp. needs torch, which is no part of an extra: pip install torch"),
    ],
)
def test_what_is_missing_is_named(sampler, missing, message, monkeypatch):
    monkeypatch.setattr(optuna_sampler, "find_spec", lambda name: None if name == missing else find_spec(name))
    with pytest.raises(ExtraNotInstalled, match=message):
        OptunaSampler(X, 0, sampler)


def test_a_sampler_that_ends_the_study_is_refused():
    with pytest.raises(ValueError, match=r"sampler=GridSampler of Optuna is not allowed, .* give 'grid'"):
        OptunaSampler(X, 0, optuna.samplers.GridSampler({"x": [0.5]}))


def test_failures_alone_teach_nothing():
    # Beside nothing that has a score, they would be as good as the best.
    sampler = OptunaSampler(X, 0, Watching())
    for number in range(3):
        sampler.ask(number)
        sampler.tell(Report(number, 1, float("nan")))
    sampler.ask(3)
    assert Watching.seen[3] == {"FAIL": 3}
    sampler.tell(Report(3, 1, -4.5))
    sampler.ask(4)
    assert Watching.seen[7] == {"FAIL": 3, "COMPLETE": 4}
    assert Watching.values[7] == [-4.5] * 4


def test_where_most_fail_those_that_do_not_are_found():
    space = Space({name: scipy.stats.uniform(0, 1) for name in "xyz"})
    found = 0
    for seed in range(4):
        sampler = OptunaSampler(space, seed)
        for number in range(80):
            params = sampler.ask(number)
            failed = params["x"] > 0.2 or params["y"] > 0.2
            found += not failed
            sampler.tell(Report(number, 1, float("nan") if failed else params["z"]))
    assert found > 4 * 80 * 0.04 * 3  # of those drawn at random, 4 percent succeed


@pytest.mark.parametrize(
    ("sampler", "error", "message"),
    [
        ("TPE", ValueError, "sampler='TPE' is not allowed: give 'tpe', 'gp', 'cmaes', 'nsga2', or a sampler of Optuna"),
        (None, TypeError, "sampler=None is not allowed: give an object"),
        (TPESampler, TypeError, "is not allowed: give an object of one of Optuna's samplers"),
    ],
)
def test_what_is_no_sampler_is_refused(sampler, error, message):
    with pytest.raises(error, match=message):
        OptunaSampler(X, 0, sampler)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sampler_that_wraps_another_is_refused():
    with pytest.raises(ValueError, match="sampler=PartialFixedSampler is not allowed: give the sampler that it has"):
        OptunaSampler(X, 0, optuna.samplers.PartialFixedSampler({}, TPESampler()))


def test_a_sampler_object_without_a_seed_is_known():
    assert OptunaSampler(X, 0, TPESampler(seed=0)).is_repeatable
    assert OptunaSampler(X, 0, "tpe").is_repeatable
    not_comparable = Space({"a": [np.array([1, 2]), object(), Drawn()], "b": Drawn()})
    assert OptunaSampler(not_comparable, 0, RandomSampler(seed=0)).is_repeatable
    unseeded = OptunaSampler(X, 0, TPESampler())
    assert not unseeded.is_repeatable
    with pytest.raises(ValueError, match=r"sampler=TPESampler draws other points in each process.*seed=0"):
        by_name.check_repeatable(unseeded)


def test_what_optuna_has_not_the_like_of_is_drawn_all_the_same():
    space = Space({"shifted": scipy.stats.loguniform(1e-3, 1, loc=-1), "same": scipy.stats.uniform(1, 0)})
    sampler = OptunaSampler(space, 0)
    for number in range(15):
        params = sampler.ask(number)
        assert -1 < params["shifted"] <= 0
        assert params["same"] == 1
        sampler.tell(Report(number, 1, params["shifted"]))


def test_one_name_with_other_values_in_another_dict_is_another_parameter():
    sampler = OptunaSampler(Space([{"a": [1, 2]}, {"a": [3, 4]}, {"a": [1, 2]}]), 0, Watching())
    names = {parameter.told_as for parameters in sampler._space._dicts for parameter in parameters.values()}
    assert names == {"a", "a'"}


@pytest.mark.parametrize("sampler", ["cmaes", CmaEsSampler(seed=0), RandomSampler(seed=0)])
def test_an_evolution_and_a_stream_need_all_scores_at_one_resource(sampler):
    assert by_name.make_sampler(sampler, X, 0, Fixed(9, 3).plan()).ask(0)["x"] <= 1
    with pytest.raises(ValueError, match=r"not allowed here: it learns .* scores them after 1, 3, 9. Give 'tpe'"):
        by_name.make_sampler(sampler, X, 0, SuccessiveHalving(9, 1).plan())


def test_nothing_is_said_and_optunas_log_is_as_before(caplog):
    before = optuna.logging.get_verbosity()
    OptunaSampler(Space(SEVERAL), 0).ask(0)
    assert optuna.logging.get_verbosity() == before
    assert not caplog.records


def test_optuna_is_not_imported_for_other_samplers():
    code = """
import sys
from dhpo.samplers.by_name import make_sampler
from dhpo.schedules import Fixed
from dhpo.space.parameter_space import Space
make_sampler("sobol", Space({"a": [1, 2]}), 0, Fixed(2, 3).plan()).ask(0)
assert "optuna" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_who_learns_is_known_before_anything_is_made():
    assert not by_name.learns("random")
    assert by_name.learns("tpe")
    assert by_name.learns(TPESampler())
    assert not by_name.learns(Drawn())
