"""A schedule, a sampler and an observer that dhpo does not know work together with all that it does."""

from __future__ import annotations

import csv
import os
import signal
import time
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from scipy.stats import loguniform, uniform
from sklearn.base import clone
from sklearn.linear_model import SGDClassifier

from dhpo import (
    ASHASearchCV,
    HyperbandSearchCV,
    IncrementalSearchCV,
    InverseDecaySearchCV,
    Observer,
    RandomizedSearchCV,
    SearchCV,
    SuccessiveHalvingSearchCV,
    load,
)
from dhpo.schedules import Hyperband
from dhpo.testing import check_sampler, check_schedule
from tests.conftest import threads_of_this_process
from tests.integration.plug_ins.csv_logger import CSVLogger
from tests.integration.plug_ins.median_stopping import MedianStopping
from tests.integration.plug_ins.quasi_random import QuasiRandom

RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 5))
Y = (X[:, 0] + RNG.standard_normal(600) > 0).astype(int)
LAZY = da.from_array(X, (100, 5)), da.from_array(Y, 100)
SPACE = {"alpha": loguniform(1e-6, 1.0), "l1_ratio": uniform(0, 1)}


class Slow(SGDClassifier):
    def __init__(self, alpha: float = 1e-4, l1_ratio: float = 0.15, seconds: float = 0.0) -> None:
        super().__init__(penalty="elasticnet", alpha=alpha, l1_ratio=l1_ratio, random_state=0)
        self.seconds = seconds

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        time.sleep(self.seconds)
        return super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)


def make(folder: Path, seconds: float = 0.0, stop_after: int | None = None) -> SearchCV:
    return SearchCV(
        Slow(seconds=seconds),
        SPACE,
        MedianStopping(12, 2, 8),
        QuasiRandom(SPACE, seed=1),
        random_state=0,
        verbose=0,
        callbacks=[CSVLogger(str(folder / "scores.csv"), stop_after)],
    )


def scores_in(folder: Path) -> list[tuple[int, int, float]]:
    with (folder / "scores.csv").open(newline="") as file:
        return sorted((int(r["trial"]), int(r["resource"]), float(r["score"])) for r in csv.DictReader(file))


def scores_of(search: Any) -> list[tuple[int, int, float]]:
    return sorted((r["model_id"], r["partial_fit_calls"], r["score"]) for r in search.history_)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, cluster: Any) -> Any:
    with cluster.get_client():
        return make(tmp_path_factory.mktemp("undisturbed")).fit(*LAZY, classes=[0, 1])


def test_they_keep_their_contracts() -> None:
    check_schedule(lambda: MedianStopping(12, 2, 8), synchronous=False)  # its plan is the most that it may do
    check_sampler(lambda: QuasiRandom(SPACE, seed=1))


def test_the_search_is_what_they_say(client: Any, tmp_path: Path, expected: Any) -> None:
    search = make(tmp_path).fit(*LAZY, classes=[0, 1])
    assert scores_in(tmp_path) == scores_of(search) == scores_of(expected)
    summary = search.summary()
    assert len(summary) == 12
    assert set(summary["status"]) == {"finished", "not promoted"}
    assert search.cv_results_["params"][3] == QuasiRandom(SPACE, seed=1).ask(3)
    assert search.best_score_ == summary["score"].max()


def test_a_worker_that_dies_changes_nothing(client: Any, tmp_path: Path, expected: Any) -> None:
    run = make(tmp_path, seconds=0.05).start(*LAZY, classes=[0, 1])
    while run.best is None:
        assert not run.done
        time.sleep(0.02)
    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
    search = run.result(timeout=120)
    client.wait_for_workers(2)
    assert scores_in(tmp_path) == scores_of(search) == scores_of(expected)


def test_a_search_that_its_observer_stops_goes_on_by_its_journal(client: Any, tmp_path: Path, expected: Any) -> None:
    stopped = make(tmp_path, stop_after=5).fit(*LAZY, classes=[0, 1], journal=tmp_path / "journal")
    assert 5 <= len(stopped.history_) < len(expected.history_)
    assert load(tmp_path / "journal").status == "stopped"
    search = make(tmp_path).fit(*LAZY, classes=[0, 1], journal=tmp_path / "journal")
    assert scores_in(tmp_path) == scores_of(search) == scores_of(expected)
    assert load(tmp_path / "journal").best.report == search.best_.report


def test_a_preset_is_its_schedule_with_its_sampler(client: Any) -> None:
    common: dict[str, Any] = {"random_state": 0, "verbose": 0}
    preset = HyperbandSearchCV(Slow(), SPACE, max_iter=9, **common).fit(*LAZY, classes=[0, 1])
    composed = SearchCV(Slow(), SPACE, Hyperband(9), **common).fit(*LAZY, classes=[0, 1])
    assert composed.best_params_ == preset.best_params_
    assert [r["score"] for r in composed.summary().to_dict("records")] == preset.summary()["score"].tolist()


@pytest.mark.parametrize(
    "search",
    [
        IncrementalSearchCV(Slow(), SPACE, 4, max_iter=2),
        InverseDecaySearchCV(Slow(), SPACE, 4, max_iter=2),
        SuccessiveHalvingSearchCV(Slow(), SPACE, 4, n_initial_iter=1, max_iter=2),
        HyperbandSearchCV(Slow(), SPACE, max_iter=3),
        ASHASearchCV(Slow(), SPACE, 4, max_iter=2),
        RandomizedSearchCV(Slow(), SPACE, n_iter=4, max_iter=2),
    ],
    ids=lambda search: type(search).__name__,
)
def test_every_search_that_samples_takes_a_sampler(client: Any, search: Any) -> None:
    sampler = QuasiRandom(SPACE, seed=1)
    search = clone(search).set_params(sampler=sampler, verbose=0, random_state=0)
    found = search.fit(*LAZY, classes=[0, 1]).cv_results_["params"]
    assert list(found) == [QuasiRandom(SPACE, seed=1).ask(number) for number in range(len(found))]
    assert search.sampler is sampler


def test_a_grid_is_sampled_by_name(client: Any) -> None:
    space = {"alpha": [1e-4, 1e-3, 1e-2, 1e-1, 1.0]}
    search = HyperbandSearchCV(Slow(), space, max_iter=3, sampler="grid", verbose=0).fit(*LAZY, classes=[0, 1])
    assert [params["alpha"] for params in search.cv_results_["params"]] == space["alpha"]


class Remembering:
    """Draws at random, and notes how many reports it was told of when it was asked."""

    n_trials = None
    learns = True

    def __init__(self) -> None:
        self.n_told = 0
        self.told_before: dict[int, int] = {}
        self.rungs: set[tuple[int, int, int]] = set()
        self.drops: dict[int, str] = {}

    def __deepcopy__(self, memo: Any) -> Remembering:
        return self  # so that the test sees what is noted

    def ask(self, number: int) -> dict[str, Any]:
        self.told_before[number] = self.n_told
        return {"alpha": float(10 ** np.random.default_rng(number).uniform(-6, 0))}

    def tell(self, report: Any) -> None:
        self.n_told += 1
        self.rungs.add((report.bracket, report.rung, report.resource))

    def drop(self, drop: Any) -> None:
        self.drops[drop.trial] = drop.reason


@pytest.mark.parametrize(
    ("max_iter", "n_threads", "seconds", "least"),
    [
        (27, 2, 0.01, 30),
        (27, 8, 0.05, 15),
        pytest.param(81, 2, 0.01, 100, marks=pytest.mark.benchmarks),
        pytest.param(81, 8, 0.1, 50, marks=pytest.mark.benchmarks),
    ],
)
def test_the_last_third_of_hyperbands_trials_is_drawn_when_the_reports_of_others_are_there(
    max_iter: int, n_threads: int, seconds: float, least: int
) -> None:
    sampler = Remembering()
    with threads_of_this_process(n_threads) as threads, threads.get_client():
        search = SearchCV(
            Slow(seconds=seconds), {"alpha": SPACE["alpha"]}, Hyperband(max_iter), sampler, random_state=0, verbose=0
        )
        search.fit(*LAZY, classes=[0, 1])
    n_trials = search.plan().n_trials
    assert len(sampler.told_before) == n_trials
    first_of_last_third = sorted(sampler.told_before.values())[2 * n_trials // 3]
    assert first_of_last_third >= least
    assert sampler.rungs == {
        (bracket.bracket, number, rung.resource)
        for bracket in search.plan().brackets
        for number, rung in enumerate(bracket.rungs)
    }
    assert len(sampler.drops) == n_trials
    assert set(sampler.drops.values()) == {"finished", "not promoted"}


class Broken(Observer):
    def event(self, event: Any) -> None:
        raise RuntimeError("of the observer")


def test_an_observer_that_raises_costs_nothing(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    search = IncrementalSearchCV(Slow(), SPACE, 3, max_iter=3, random_state=0, verbose=0, callbacks=[Broken()])
    search.fit(*LAZY, classes=[0, 1])
    assert len(search.summary()) == 3
    assert [record.levelname for record in caplog.records if "the search goes on" in record.message].count("ERROR") == 1


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"schedule": Hyperband}, "schedule=.*is a class; give an object of it. See dhpo.Schedule"),
        ({"schedule": "hyperband"}, "schedule='hyperband' has no method ask and no tell and no plan"),
        ({"sampler": QuasiRandom}, "sampler=.*is a class; give an object of it. See dhpo.Sampler"),
        ({"sampler": 3}, "sampler=3 has no method ask and no tell. See dhpo.Sampler"),
        (
            {"sampler": "sobel"},
            "sampler='sobel' is not allowed: give 'random', 'grid', 'sobol', 'tpe', .*Did you mean 'sobol'",
        ),
        ({"sampler": "grid"}, "cannot be a grid|is a distribution|distribution"),
        ({"callbacks": CSVLogger("x")}, "callbacks=.*is not allowed: give a list of observers, see dhpo.Observer"),
        ({"callbacks": [CSVLogger]}, "callbacks: .*is a class; give an object of it. See dhpo.Observer"),
        ({"callbacks": [print]}, "callbacks: <built-in function print> has no method start and no event and no stop"),
    ],
)
def test_what_is_none_of_them_is_refused_at_the_door(given: dict[str, Any], error: str) -> None:
    search = SearchCV(Slow(), SPACE, **{"schedule": Hyperband(9), **given})
    with pytest.raises((TypeError, ValueError), match=error):
        search.fit(*LAZY, classes=[0, 1])
