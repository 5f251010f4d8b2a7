"""Which points are of a space."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.linear_model import SGDClassifier
from sklearn.svm import SVC

from dhpo.space.membership import is_among
from dhpo.space.parameter_space import Space


class Drawn:
    def rvs(self, random_state=None):
        return 1


@pytest.mark.parametrize(
    ("value", "choice", "among"),
    [
        (0.5, uniform(0, 1), True),
        (1.5, uniform(0, 1), False),
        (np.float64(0.5), uniform(0, 1), True),
        (1e-9, loguniform(1e-6, 1), False),
        (3, randint(1, 9), True),
        (9, randint(1, 9), False),
        (True, randint(0, 9), False),
        ("a", norm(0, 1), False),
        (1e9, norm(0, 1), True),
        ("a", Drawn(), False),
        (7, Drawn(), True),
        (1, [1, 2], True),
        (1.0, [1, 2], False),
        (True, [1, 2], False),
        (np.int64(1), [1, 2], True),
        ((1, 2), [(1, 2), None], True),
        (None, [(1, 2), None], True),
        (None, ["None"], False),
        ("l1", np.array(["l1", "l2"]), True),
    ],
)
def test_values(value, choice, among):
    assert is_among(value, choice) is among


def test_points():
    space = Space({"alpha": loguniform(1e-4, 1), "penalty": ["l1", "l2"]})
    assert {"alpha": 0.5, "penalty": "l1"} in space
    assert {"alpha": 0.5} in space
    assert {"alpha": 5.0} not in space
    assert {"alpha": 0.5, "loss": "hinge"} not in space
    assert space.is_complete({"alpha": 9, "penalty": 9})
    assert not space.is_complete({"alpha": 9})


def test_points_of_several_dicts_are_whole():
    space = Space([{"alpha": [1, 2]}, {"alpha": [1, 2], "l1_ratio": uniform(0, 1)}])
    assert {"alpha": 1} in space
    assert {"alpha": 1, "l1_ratio": 0.5} in space
    assert {"l1_ratio": 0.5} not in space
    space.check_points([{"alpha": 1}, {"alpha": 5, "l1_ratio": 7}], SGDClassifier(), 2)
    with pytest.raises(ValueError, match="give all parameters of one of them"):
        space.check_points([{"l1_ratio": 0.5}], SGDClassifier(), 2)
    # Numbers are searched in one of the dicts alone.
    space.check_points([{"alpha": "a"}], SGDClassifier(), 1)
    with pytest.raises(ValueError, match="enqueue has 'a' for 'l1_ratio', which is searched among numbers"):
        space.check_points([{"alpha": 1, "l1_ratio": "a"}], SGDClassifier(), 1)


@pytest.mark.parametrize("value", ["abc", None, float("nan"), np.array([1, 2]), True, [1.0], np.nan])
def test_where_numbers_are_searched_a_point_has_numbers(value):
    space = Space({"alpha": loguniform(1e-4, 1), "penalty": ["l1", "l2"]})
    with pytest.raises(ValueError, match=r"for 'alpha', which is searched among numbers: give a number.* or 0.0001 as"):
        space.check_points([{"alpha": value}], SGDClassifier(), 1)
    space.check_points([{"penalty": value}], SGDClassifier(), 1)


def test_points_may_have_numbers_outside_of_the_space_and_the_estimators_own_values():
    space = Space({"C": loguniform(1e-4, 1), "gamma": loguniform(1e-4, 1)})
    points = [{"C": 5}, {"C": np.float32(7)}, {"C": float("inf")}, {"gamma": "scale"}]
    space.check_points(points, SVC(), len(points))
    with pytest.raises(ValueError, match="for 'gamma'"):
        space.check_points([{"gamma": "sclae"}], SVC(), 1)


def test_a_distribution_of_the_users_own_may_be_of_anything():
    class Layers:
        def rvs(self, random_state=None):
            return (10, 20)

    Space({"layers": Layers()}).check_points([{"layers": (5,)}, {"layers": None}], SGDClassifier(), 2)
