"""Searches whose candidates are suggested by Optuna, after what came of others."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import optuna
import pytest
from optuna.samplers import NSGAIISampler, TPESampler
from scipy.stats import loguniform, uniform
from sklearn.base import BaseEstimator, ClassifierMixin

import dhpo
from dhpo import GridSearchCV, HyperbandSearchCV, JournalError, Observer, RandomizedSearchCV
from dhpo.history.events import Dropped, FitDone, Reported, TrialStarted
from dhpo.journal import Journal
from dhpo.samplers import OptunaSampler
from tests.conftest import threads_of_this_process

X, Y = np.zeros((40, 2)), np.arange(40) % 2
LAZY = da.from_array(X, (10, 2)), da.from_array(Y, 10)
SPACE = {"x": uniform(-1, 2), "z": loguniform(1e-4, 1), "kind": ["good", "bad"]}


class Known(ClassifierMixin, BaseEstimator):
    """Its score is a function of its parameters, highest at x=0.3, z=0.01 and kind="good"."""

    def __init__(self, x: float = 0.0, z: float = 0.1, kind: str = "bad") -> None:
        self.x, self.z, self.kind = x, z, kind

    def fit(self, X: Any, y: Any) -> Known:
        self.calls_, self.classes_ = 1, np.unique(y)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Known:
        self.calls_ = getattr(self, "calls_", 0) + 1
        self.classes_ = np.array([0, 1])
        return self

    def score(self, X: Any, y: Any) -> float:
        return goodness(self.get_params()) - 1 / self.calls_


def goodness(params: dict[str, Any]) -> float:
    return -((params["x"] - 0.3) ** 2) - (np.log10(params["z"]) + 2) ** 2 / 4 - 0.5 * (params["kind"] == "bad")


def whole(**params: Any) -> RandomizedSearchCV:
    return RandomizedSearchCV(
        Known(), SPACE, **{"n_iter": 40, "cv": 2, "sampler": "tpe", "random_state": 0, "verbose": 0, **params}
    )


@pytest.fixture(scope="module")
def one_thread() -> Any:
    with threads_of_this_process(1) as cluster, cluster.get_client() as client:
        yield client


def params_of(search: Any) -> list[dict[str, Any]]:
    return list(search.cv_results_["params"])


def test_whole_fits_try_on_one_thread_what_optuna_tries_by_itself(one_thread: Any) -> None:
    study = optuna.create_study(direction="maximize", sampler=TPESampler(seed=0, multivariate=True))
    expected = []
    for _ in range(40):
        trial = study.ask()
        kind = ["good", "bad"][trial.suggest_categorical("kind", range(2))]
        params = {
            "x": trial.suggest_float("x", -1, 1),
            "z": trial.suggest_float("z", 1e-4, 1, log=True),
            "kind": kind,
        }
        expected.append(params)
        study.tell(trial, goodness(params) - 1)
    search = whole(sampler=TPESampler(seed=0, multivariate=True)).fit(X, Y)
    assert params_of(search) == expected
    assert search.best_params_ == max(expected, key=goodness)


def test_a_search_that_learns_finds_better_candidates_than_a_random_one(client: Any) -> None:
    found = {sampler: whole(sampler=sampler).fit(X, Y).summary()["score"] for sampler in ("tpe", "random")}
    assert found["tpe"].median() > found["random"].median() + 0.2


def test_a_candidate_is_drawn_when_the_scores_of_all_but_those_under_way_and_the_next_are_known(client: Any) -> None:
    search = whole().fit(X, Y)
    n_threads = sum(client.nthreads().values())
    scored = started = 0
    for event in search._history.events:
        if isinstance(event, TrialStarted):
            started += 1
            assert started - scored <= n_threads + 1  # which is drawn while all threads are busy
        scored += isinstance(event, Reported)
    assert (started, scored) == (40, 40)


class StopsAfter(Observer):
    """Stops the search after some reports."""

    def __init__(self, n_reports: int) -> None:
        self.left = n_reports

    def start(self, search: Any) -> None:
        self.search = search

    def event(self, event: Any) -> None:
        if isinstance(event, Reported):
            self.left -= 1
            if self.left == 0:
                self.search.stop()


@pytest.mark.parametrize("random_state", [0, None])
def test_whole_fits_go_on_from_a_journal_with_what_was_learned(
    one_thread: Any, tmp_path: Path, random_state: int | None
) -> None:
    for n_reports in (1, 14):
        whole(callbacks=[StopsAfter(n_reports)], random_state=random_state).fit(X, Y, journal=tmp_path / "run")
    search = whole(random_state=random_state).fit(X, Y, journal=tmp_path / "run")
    assert len(params_of(search)) == 40
    if random_state == 0:
        assert params_of(search) == params_of(whole().fit(X, Y))
    assert params_of(dhpo.load(tmp_path / "run")) == params_of(search)


METRICS = {"near": lambda model, X, y: -abs(model.x - 0.3), "small": lambda model, X, y: -model.z}


def test_a_genetic_algorithm_learns_from_all_metrics_also_after_a_journal(one_thread: Any, tmp_path: Path) -> None:
    def search(**params: Any) -> RandomizedSearchCV:
        genetic = NSGAIISampler(seed=0, population_size=8)
        return whole(sampler=genetic, scoring=METRICS, refit="near", **params)

    study = optuna.create_study(directions=["maximize"] * 2, sampler=NSGAIISampler(seed=0, population_size=8))
    expected = []
    for _ in range(40):
        trial = study.ask()
        kind = ["good", "bad"][trial.suggest_categorical("kind", range(2))]
        expected.append({"x": trial.suggest_float("x", -1, 1), "z": trial.suggest_float("z", 1e-4, 1, log=True)})
        study.tell(trial, [-abs(expected[-1]["x"] - 0.3), -expected[-1]["z"]])
        expected[-1]["kind"] = kind
    assert params_of(search().fit(X, Y)) == expected
    search(callbacks=[StopsAfter(21)]).fit(X, Y, journal=tmp_path / "run")
    assert params_of(search().fit(X, Y, journal=tmp_path / "run")) == expected


def test_a_candidate_whose_report_did_not_get_into_the_journal_is_reported_later(
    one_thread: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, cut = Journal.append, []

    def until_the_last_fit_of_candidate_11(journal: Journal, event: Any) -> None:
        if not cut:
            append(journal, event)
        if isinstance(event, FitDone) and (event.candidate, event.split) == (11, 1):
            cut.append(event)

    monkeypatch.setattr(Journal, "append", until_the_last_fit_of_candidate_11)
    whole(n_iter=20).fit(X, Y, journal=tmp_path / "run")
    monkeypatch.undo()
    search = whole(n_iter=20).fit(X, Y, journal=tmp_path / "run")
    assert params_of(search) == params_of(whole(n_iter=20).fit(X, Y))
    assert set(search.summary()["status"]) == {"finished"}


@pytest.mark.parametrize("make", [lambda **params: whole(**params), lambda **params: halving(**params)])
def test_a_sampler_without_a_seed_is_refused_with_a_journal(make: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="draws other points in each process"):
        make(sampler=TPESampler()).fit(X, Y, journal=tmp_path / "run")


def test_a_journal_of_other_suggestions_is_refused(
    one_thread: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OptunaSampler, "is_repeatable", True)
    whole(sampler=TPESampler(), callbacks=[StopsAfter(1)]).fit(X, Y, journal=tmp_path / "run")
    with pytest.raises(JournalError, match=r"the sampler of this search gives it .* needs a seed to give the same"):
        whole(sampler=TPESampler()).fit(X, Y, journal=tmp_path / "run")


class Plain:
    """Nothing that JSON or pickle know by a name."""

    def __init__(self, x: float) -> None:
        self.x = x


def test_candidates_that_are_objects_are_the_same_after_a_journal(one_thread: Any, tmp_path: Path) -> None:
    made = type("OfAScript", (Plain,), {"__module__": "__main__"})  # pickled by value
    grid = {"x": [0.1, 0.2, 0.3], "kind": [made(1.0), made(2.0)]}
    for callbacks in ([StopsAfter(2)], None):
        search = GridSearchCV(Known(), grid, cv=2, verbose=0, callbacks=callbacks)
        search.fit(X, Y, journal=tmp_path / "whole")
    assert len(params_of(search)) == 6
    for callbacks in ([StopsAfter(2)], None):
        search = GridSearchCV(Known(), grid, max_iter=2, random_state=0, verbose=0, callbacks=callbacks)
        search.fit(*LAZY, classes=[0, 1], journal=tmp_path / "blocks")
    assert len(params_of(search)) == 6


def halving(**params: Any) -> HyperbandSearchCV:
    given = {"max_iter": 9, "sampler": "tpe", "random_state": 0, "verbose": 0, **params}
    return HyperbandSearchCV(Known(), SPACE, **given)


def test_hyperband_with_a_sampler_that_learns_goes_on_from_a_journal(client: Any, tmp_path: Path) -> None:
    halving(max_iter=27, callbacks=[StopsAfter(7)]).fit(*LAZY, classes=[0, 1], journal=tmp_path / "run")
    began = dhpo.load(tmp_path / "run").summary()
    search = halving(max_iter=27).fit(*LAZY, classes=[0, 1], journal=tmp_path / "run")
    assert len(search.summary()) == search.plan().n_trials
    assert "stopped" in began["status"].tolist()
    names = ["param_x", "param_z", "param_kind", "bracket"]
    assert search.summary().loc[began.index, names].equals(began[names])


def test_brackets_are_begun_one_after_another_as_long_as_the_thread_has_work(one_thread: Any) -> None:
    search = dhpo.BOHBSearchCV(Known(), SPACE, max_iter=9, random_state=0, verbose=0).fit(*LAZY, classes=[0, 1])
    events = search._history.events
    bracket_of = {event.trial.number: event.trial.bracket for event in events if isinstance(event, TrialStarted)}
    kept = set(bracket_of)
    for event in events:
        if isinstance(event, TrialStarted):
            assert all(bracket_of[number] <= event.trial.bracket for number in kept), event
        elif isinstance(event, Dropped):
            kept.discard(event.drop.trial)
    assert set(bracket_of.values()) == {2, 1, 0}


def test_a_search_with_rungs_refuses_an_evolution_before_any_task() -> None:
    with pytest.raises(ValueError, match="sampler='cmaes' is not allowed here"):
        halving(sampler="cmaes").fit(*LAZY)


class Lasting(Known):
    """So long that a step has no more than a few trials, whatever a step costs on this machine."""

    def fit(self, X: Any, y: Any) -> Known:
        time.sleep(0.1)
        return super().fit(X, y)

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Known:
        time.sleep(0.1)
        return super().partial_fit(X, y, classes)


class Counts:
    """Takes a third of a trial; what it gives depends on the reports that it was told. Nothing may come meanwhile."""

    learns, n_trials = True, None
    asked_in: set[int] = set()  # threads, of all copies

    def __init__(self) -> None:
        self.n_reports, self.busy = 0, False

    def ask(self, number: int) -> dict[str, Any]:
        assert not self.busy
        self.busy = True
        time.sleep(0.03)
        self.busy = False
        Counts.asked_in.add(threading.get_ident())
        return {"x": self.n_reports / 1000, "z": 0.01, "kind": "good"}

    def tell(self, report: Any) -> None:
        assert not self.busy
        self.n_reports += 1

    drop = tell


@pytest.mark.parametrize("how", ["whole", "blocks", "hyperband"])
def test_a_sampler_is_asked_while_threads_are_busy_and_the_journal_knows_in_which_order(
    how: str, tmp_path: Path
) -> None:
    def fit(callbacks: Any) -> Any:
        given = {"sampler": Counts(), "callbacks": callbacks, "random_state": 0, "verbose": 0}
        if how == "whole":
            return RandomizedSearchCV(Lasting(), SPACE, n_iter=40, cv=2, **given).fit(X, Y, journal=tmp_path / "run")
        if how == "blocks":
            search = RandomizedSearchCV(Lasting(), SPACE, n_iter=40, max_iter=1, **given)
        else:
            search = HyperbandSearchCV(Lasting(), SPACE, max_iter=9, **given)
        return search.fit(*LAZY, classes=[0, 1], journal=tmp_path / "run")

    Counts.asked_in.clear()
    with threads_of_this_process(4) as cluster, cluster.get_client():
        fit([StopsAfter(12)])
        search = fit(None)  # which refuses other parameters than those in the journal
    assert len(params_of(search)) == search.plan().n_trials
    assert len(Counts.asked_in) > 1
    assert len({params["x"] for params in params_of(search)}) > 1  # it learned on the way


class Silent:
    """Answers at once for some trials, then after a while, and then only when it is let go."""

    learns = True
    n_trials = None

    def __init__(self) -> None:
        self.told_while_asked = False

    def __deepcopy__(self, memo: Any) -> Silent:
        return self

    def ask(self, number: int) -> dict[str, Any]:
        self.asked = True
        time.sleep(0.02)
        if threading.current_thread().name == "dhpo-sampler" and number > 8:
            SILENT.set()
            LET_GO.wait()
        self.asked = False
        return {"x": number / 100, "z": 0.1, "kind": "good"}

    def tell(self, report: Any) -> None:
        self.told_while_asked |= self.asked


SILENT, LET_GO = threading.Event(), threading.Event()


@pytest.mark.parametrize("how", ["whole", "blocks"])
def test_a_search_whose_sampler_does_not_answer_can_be_stopped(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhpo.samplers.asking._LAST_SECONDS", 0.05)
    SILENT.clear()
    LET_GO.clear()
    sampler = Silent()
    given = {"n_iter": 40, "sampler": sampler, "random_state": 0, "verbose": 0}
    with threads_of_this_process(4) as cluster, cluster.get_client():
        try:
            if how == "whole":
                run = RandomizedSearchCV(Paced(), SPACE, cv=2, **given).start(X, Y)
            else:
                run = RandomizedSearchCV(Paced(), SPACE, max_iter=2, **given).start(*LAZY, classes=[0, 1])
            assert SILENT.wait(300)
            run.stop()
            search = run.result(timeout=300)
        finally:
            LET_GO.set()
    assert len(search.cv_results_["params"]) >= 1
    assert not sampler.told_while_asked


class Paced(Known):
    """Takes long enough for a sampler to be asked meanwhile."""

    def fit(self, X: Any, y: Any) -> Known:
        time.sleep(0.05)
        return super().fit(X, y)

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Known:
        time.sleep(0.05)
        return super().partial_fit(X, y, classes)


class Knows:
    """Gives every other candidate the parameters of an earlier search, and the others those that tell what it knows."""

    learns = True
    n_trials = None
    told_while_asked = False

    def __init__(self) -> None:
        self.n_told, self.asked = 0, False

    def ask(self, number: int) -> dict[str, Any]:
        self.asked = True
        time.sleep(0.02)
        self.asked = False
        return {"x": number / 100 if number % 2 == 0 else -self.n_told / 100, "z": 0.1, "kind": "good"}

    def tell(self, report: Any) -> None:
        type(self).told_while_asked |= self.asked
        self.n_told += 1


def test_a_sampler_is_not_told_of_known_scores_while_it_is_asked(tmp_path: Path) -> None:
    Knows.told_while_asked = False
    grid = {"x": [n / 100 for n in range(20, 60, 2)], "z": [0.1], "kind": ["good"]}

    def search() -> RandomizedSearchCV:
        return RandomizedSearchCV(Paced(), SPACE, n_iter=60, sampler=Knows(), cv=2, random_state=0, verbose=0)

    with threads_of_this_process(8) as cluster, cluster.get_client():
        GridSearchCV(Paced(), grid, cv=2, verbose=0).fit(X, Y, journal=tmp_path / "earlier")
        begun = search().fit(X, Y, journal=tmp_path / "run", start_from=tmp_path / "earlier")
        again = search().fit(X, Y, journal=tmp_path / "run")  # which asks and tells it in the same order
    assert begun.metadata_["reused_fits"] >= 20
    assert params_of(again) == params_of(begun)
    assert not Knows.told_while_asked
