from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from dhpo.space.parameter_range import ParameterRange, readable_choice
from dhpo.space.parameter_space import Space

repeatable = settings(derandomize=True, deadline=None, max_examples=100)

finite_dicts = st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(), min_size=1, max_size=4))


@repeatable
@given(st.lists(finite_dicts, min_size=1, max_size=3).filter(any))
def test_grid_is_scikit_learns_parameter_grid(dicts):
    space = Space(dicts)
    expected = list(ParameterGrid(dicts))
    assert space.is_finite
    assert space.size == len(expected) == len(space.grid())
    assert list(space.grid()) == expected
    assert [space.grid()[i] for i in range(-len(expected), 0)] == expected


def test_grid_has_the_key_order_of_iteration():
    assert list(Space({"b": [1], "a": [2]}).grid()[0]) == ["a", "b"]


def test_grid_takes_slices_and_knows_its_end():
    grid = Space({"a": range(10)}).grid()
    assert grid[8:] == [{"a": 8}, {"a": 9}]
    with pytest.raises(IndexError, match="10 points, number 10"):
        grid[10]
    with pytest.raises(IndexError):
        grid[-11]


@pytest.mark.parametrize("n_names", [12, 100])
def test_a_huge_grid_is_lazy_and_exact(n_names):
    # 10**100 points: more than an int64, in which scikit-learn's grid counts.
    space = Space({f"p{i:03}": range(10) for i in range(n_names)})
    assert space.size == 10**n_names
    last = space.grid()[space.size - 1]
    assert set(last.values()) == {9}
    assert list(space.grid()[123].values())[-4:] == [0, 1, 2, 3]
    assert space.sample(np.random.RandomState(0)) != space.sample(np.random.RandomState(1))


def test_values_are_given_as_they_are():
    marker = object()
    space = Space({"a": [marker], "b": np.array([1.5]), "c": (None,)})
    point = space.grid()[0]
    assert point["a"] is marker
    assert point["b"] == 1.5
    assert point["c"] is None


def test_a_distribution_makes_the_space_infinite():
    space = Space([{"a": [1, 2]}, {"b": scipy.stats.uniform(), "c": scipy.stats.norm()}])
    assert not space.is_finite
    assert space.size is None
    assert space.names == ("a", "b", "c")
    with pytest.raises(ValueError, match="parameters: 'b', 'c' given as a distribution"):
        space.grid()


def test_a_sample_of_an_infinite_space_is_scikit_learns():
    choices = [{"a": scipy.stats.loguniform(1e-4, 1), "b": [1, 2, 3]}, {"c": scipy.stats.randint(0, 9)}]
    rng, same = np.random.RandomState(0), np.random.RandomState(0)
    assert [Space(choices).sample(rng) for _ in range(20)] == list(ParameterSampler(choices, 20, random_state=same))


@pytest.mark.parametrize("values", [[1, 2, 3], scipy.stats.uniform()])
def test_a_generator_is_advanced_by_sampling(values):
    space = Space({"a": values, "b": range(1000)})
    first, second = np.random.default_rng(0), np.random.default_rng(0)
    points = [space.sample(first) for _ in range(10)]
    assert points == [space.sample(second) for _ in range(10)]
    assert len({point["b"] for point in points}) > 5


def test_samples_of_a_finite_space_are_uniform_over_its_points():
    # Not over its dicts: the one with three points gets three quarters.
    space = Space([{"a": [1, 2, 3]}, {"b": [1]}])
    rng = np.random.default_rng(0)
    counts = Counter(tuple(space.sample(rng).items()) for _ in range(4000))
    assert len(counts) == 4
    assert all(abs(count - 1000) < 100 for count in counts.values())


def test_custom_distributions_need_only_rvs():
    class Constant:
        def rvs(self, random_state):
            assert isinstance(random_state, np.random.RandomState)
            return 5

    assert Space({"a": Constant()}).sample(np.random.default_rng(0)) == {"a": 5}


def test_an_empty_dict_among_others_stands_for_the_defaults():
    assert list(Space([{}, {"a": [1]}]).grid()) == [{}, {"a": 1}]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        (None, TypeError, "parameters=None is not allowed; give a dict"),
        (5, TypeError, "parameters=5 is not allowed"),
        ("alpha", TypeError, "parameters='alpha' is not allowed"),
        (["alpha"], TypeError, "a list with 'alpha' is not allowed"),
        ({}, ValueError, "is empty"),
        ([], ValueError, "is empty"),
        ([{}], ValueError, "is empty"),
        ({1: [1]}, TypeError, "the name 1 is not a string"),
        (
            {"alpha": scipy.stats.Normal(mu=0, sigma=1)},
            TypeError,
            "'alpha' is .*one of SciPy's new distributions.*norm",
        ),
        ({"a": 0.1}, TypeError, r"'a' is 0.1 of type float.* write \[0.1\] for a single value"),
        ({"a": "l1"}, TypeError, r"'a' is 'l1' of type str"),
        ({"a": {1, 2}}, TypeError, "'a' is .* of type set"),
        ({"a": iter([1])}, TypeError, "'a' is .*iterator"),
        ({"a": []}, ValueError, "'a' has no values"),
        ({"a": np.array([])}, ValueError, "'a' has no values"),
        ({"a": np.ones((2, 2))}, ValueError, r"'a' is an array of shape \(2, 2\)"),
        ({"a": np.array(1.0)}, ValueError, r"'a' is an array of shape \(\)"),
        ({"a": scipy.stats.loguniform}, TypeError, "'a' is .*rvs.* fails with TypeError.*frozen"),
        ({"a": scipy.stats.uniform(), "b": "l1"}, TypeError, "'b' is 'l1'"),
    ],
)
def test_what_is_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        Space(parameters)


def test_validation_names_the_nearest_parameter():
    Space({"alpha": [1]}).validate_for(SGDClassifier())
    with pytest.raises(ValueError, match=r"parameters: 'alhpa' is not .* SGDClassifier. Did you mean 'alpha'\?"):
        Space({"alhpa": [1]}).validate_for(SGDClassifier())
    with pytest.raises(ValueError, match=r"'qqq' is not a parameter of SGDClassifier\. Allowed are alpha, average"):
        Space([{"alpha": [1]}, {"qqq": scipy.stats.uniform()}]).validate_for(SGDClassifier())


def test_validation_of_nested_parameters():
    pipeline = Pipeline([("scale", StandardScaler()), ("model", SGDClassifier())])
    Space({"model__alpha": [1], "scale__with_mean": [True]}).validate_for(pipeline)
    with pytest.raises(ValueError, match="Did you mean 'model__alpha'"):
        Space({"model__alhpa": [1]}).validate_for(pipeline)
    # LogisticRegression has a C that SGDClassifier has not: the step itself is searched.
    Space({"model": [LogisticRegression()], "model__C": [1]}).validate_for(pipeline)
    with pytest.raises(ValueError, match="'model__C' is not a parameter"):
        Space([{"model": [LogisticRegression()]}, {"model__C": [1]}]).validate_for(pipeline)


def test_validation_leaves_alone_what_only_the_estimator_can_know():
    class Skorch:
        def get_params(self, deep=True):
            return {"module": dict, "lr": 0.1}

    Space({"module__hidden": [1], "module__block__size": [2]}).validate_for(Skorch())
    with pytest.raises(ValueError, match="'modul__hidden'"):
        Space({"modul__hidden": [1]}).validate_for(Skorch())


@pytest.mark.parametrize(
    ("given", "words"),
    [((1e-5, 1.0), [r"loguniform\(1e-05, 1.0\)", r"uniform\(1e-05, "]), ((-1.0, 1), [r"uniform\(-1.0, 2.0\)"])],
)
def test_a_tuple_of_two_numbers_is_told_from_a_range(given, words):
    space = Space([{"alpha": given}, {"penalty": ["l1"]}])
    for said in words:
        with pytest.warns(UserWarning, match=rf"'alpha' is .* a tuple of two numbers: .*{said}"):
            space.warn_of_ranges()


@pytest.mark.parametrize("given", [[1e-5, 1.0], (50, 100), (1.0, 1e-5), (1e-5, 1e-3, 1.0), ("a", "b"), (True, 1.0)])
def test_values_that_are_no_range_are_nothing_to_warn_of(given):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Space({"alpha": given}).warn_of_ranges()


def test_each_parameter_is_drawn_on_the_scale_that_suits_it():
    space = Space(
        {
            "log": scipy.stats.loguniform(1e-6, 1),
            "linear": scipy.stats.uniform(0, 1),
            "values": [1e-4, 1e-2, 1],
            "near": [1, 2, 3],
            "zero": [0, 1, 1000],
            "words": ["l1", "l2"],
            "mixed": [1, "auto"],
            "flags": [True, False],
            "layers": [(64,), (64, 32)],
        }
    )
    assert space.scales() == {
        **{"log": "log", "linear": "linear", "values": "log", "near": "linear", "zero": "linear"},
        **{"words": "category", "mixed": "category", "flags": "category", "layers": "category"},
    }
    log, linear = scipy.stats.loguniform(1e-6, 1), scipy.stats.uniform(0, 1)
    several = Space([{"a": log, "b": [1]}, {"a": linear}, {"b": ["x"]}])
    assert several.scales() == {"a": "linear", "b": "category"}
    assert Space([{"a": log}, {"a": [0.5]}]).scales() == {"a": "linear"}


def test_ranges_tell_what_values_there_are():
    class Mine:
        def rvs(self, random_state):
            return 1

    space = Space(
        {
            "log": scipy.stats.loguniform(1e-6, 1),
            "linear": scipy.stats.uniform(-1, 3),
            "integers": scipy.stats.randint(1, 100),
            "endless": scipy.stats.norm(3, 2),
            "counts": scipy.stats.poisson(4),
            "mine": Mine(),
            "values": np.array([1, 100, 10]),
            "numbers": [0.5, np.inf],
            "many": range(5000),
            "words": ["l1", None, True],
            "layers": [(64,), [64, 32], len, SGDClassifier(alpha=0.5), object()],
        }
    )
    ranges = space.ranges()
    assert ranges == {
        "log": ParameterRange("log", 1e-6, 1.0),
        "linear": ParameterRange("linear", -1.0, 2.0),
        "integers": ParameterRange("linear", 1, 99, integers=True),
        "endless": ParameterRange("linear"),
        "counts": ParameterRange("linear", 0, None, integers=True),
        "mine": ParameterRange("linear"),
        "values": ParameterRange("log", 1, 100, integers=True, choices=(1, 100, 10)),
        "numbers": ParameterRange("log", 0.5, None, choices=(0.5, "inf")),
        "many": ParameterRange("linear", 0, 4999, integers=True),
        "words": ParameterRange("category", choices=("l1", None, True)),
        "layers": ParameterRange(
            "category", choices=("(64,)", "[64, 32]", "len", "SGDClassifier(alpha=0.5)", "<object object>")
        ),
    }
    assert type(ranges["integers"].low) is int
    assert type(ranges["values"].high) is int
    assert type(ranges["values"].choices[0]) is int


def test_a_range_is_of_all_dicts_of_a_space():
    log, linear = scipy.stats.loguniform(1e-6, 1), scipy.stats.uniform(0, 2)
    space = Space([{"a": log, "b": [1], "c": [1]}, {"a": linear, "b": [True, 1.0]}, {"b": [1], "c": linear}])
    assert space.ranges() == {
        "a": ParameterRange("linear", 0.0, 2.0),
        "b": ParameterRange("category", choices=(1, True, 1.0)),
        "c": ParameterRange("linear", 0.0, 2.0),
    }
    assert list(map(type, space.ranges()["b"].choices)) == [int, bool, float]


def test_a_choice_without_a_representation_is_told_by_its_class():
    class Mute:
        def __repr__(self):
            raise RuntimeError

    assert readable_choice(Mute()).endswith("Mute")
    assert len(readable_choice("x" * 999)) == 999
    assert len(readable_choice(("x" * 999,))) == 200
