"""Searches that begin with points of the user."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from scipy.stats import loguniform, uniform
from sklearn.linear_model import LogisticRegression, SGDClassifier

from dhpo import GridSearchCV, JournalError
from tests.conftest import threads_of_this_process
from tests.integration.starting_from import CLASSES, LAZY, X, Y, halving, params_of, whole

POINT = {"alpha": 0.5, "penalty": "elasticnet"}


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[Client]:
    with threads_of_this_process(2) as cluster, cluster.get_client() as client:
        yield client


@pytest.fixture(autouse=True)
def quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhpo.search.base.make_display", lambda verbose: None)


@pytest.mark.parametrize("sampler", ["random", "sobol", "tpe"])
def test_points_of_the_user_come_first(sampler: str) -> None:
    search = halving(sampler=sampler).fit(*LAZY, **CLASSES, enqueue=[POINT, {"penalty": "l1"}])
    first, second, *_ = params_of(search)
    assert first == POINT  # also outside of the space
    assert second["penalty"] == "l1"
    assert 1e-5 <= second["alpha"] <= 1
    if sampler == "random":
        without = params_of(halving().fit(*LAZY, **CLASSES))
        assert params_of(search)[2:] == without[2:]
        assert second["alpha"] == without[1]["alpha"]


def test_points_of_the_user_are_a_part_of_the_search(tmp_path: Path) -> None:
    halving().fit(*LAZY, **CLASSES, enqueue=[POINT], journal=tmp_path / "run")
    with pytest.raises(JournalError, match=r"fit\(enqueue=\)"):
        halving().fit(*LAZY, **CLASSES, journal=tmp_path / "run")


@pytest.mark.parametrize(
    ("enqueue", "error", "said"),
    [
        (POINT, TypeError, "give a list of dicts with values of alpha, penalty"),
        ([3], TypeError, "enqueue has 3, which is no dict"),
        ([{"alhpa": 1}], ValueError, r"enqueue has 'alhpa', which is not searched.*Did you mean 'alpha'"),
        ([{"alpha": "abc"}], ValueError, "enqueue has 'abc' for 'alpha', which is searched among numbers"),
        ([POINT] * 10, ValueError, "enqueue has 10 points, and the search makes 9 trials"),
    ],
)
def test_points_that_are_refused(enqueue: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        halving().fit(*LAZY, **CLASSES, enqueue=enqueue)


def test_of_several_dicts_a_point_is_whole() -> None:
    several = [
        {"penalty": ["l1"], "alpha": loguniform(1e-5, 1)},
        {"penalty": ["elasticnet"], "l1_ratio": uniform(0, 1)},
    ]
    search = halving(parameters=several).fit(*LAZY, **CLASSES, enqueue=[{"penalty": "elasticnet", "l1_ratio": 0.3}])
    assert params_of(search)[0] == {"penalty": "elasticnet", "l1_ratio": 0.3}
    with pytest.raises(ValueError, match="give all parameters of one of them"):
        halving(parameters=several).fit(*LAZY, **CLASSES, enqueue=[{"l1_ratio": 0.3}])


def test_a_grid_takes_no_points() -> None:
    with pytest.raises(ValueError, match="a grid tries all of its points"):
        GridSearchCV(SGDClassifier(), {"alpha": [1, 2]}, max_iter=2).fit(*LAZY, enqueue=[{"alpha": 3}])
    with pytest.raises(ValueError, match="a grid tries all of its points"):
        GridSearchCV(LogisticRegression(), {"C": [1, 2]}).fit(X, Y, enqueue=[{"C": 3}])


@pytest.mark.parametrize("sampler", ["random", "sobol", "tpe"])
def test_points_of_the_user_are_the_first_candidates_of_whole_fits(sampler: str, tmp_path: Path) -> None:
    search = whole(sampler=sampler)
    search.fit(X, Y, enqueue=[{"C": 0.123, "max_iter": 70}, {"C": 0.5}], journal=tmp_path / "run")
    first, second, *_ = params_of(search)
    assert first == {"C": 0.123, "max_iter": 70}
    assert second["C"] == 0.5
    assert 100 <= second["max_iter"] < 900
    again = whole(sampler=sampler)
    again.fit(X, Y, enqueue=[{"C": 0.123, "max_iter": 70}, {"C": 0.5}], journal=tmp_path / "run")
    assert params_of(again) == params_of(search)
