"""Which points are of a space."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.linear_model import SGDClassifier

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
