"""The order in which a search on one worker trains its trials is that of the papers, where each is a step by itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from distributed import Client, LocalCluster
from sklearn.base import BaseEstimator

from dhpo import ASHASearchCV, HyperbandSearchCV, IncrementalSearchCV
from dhpo.driver.step_length import Pace
from dhpo.schedules import ASHA
from dhpo.trial import Report, Train

N_TRIALS = 30
X, Y = np.zeros((20, 2)), np.zeros(20)


class Known(BaseEstimator):
    """A model whose scores are known before it is trained."""

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def partial_fit(self, X, y):
        self.calls_ = getattr(self, "calls_", 0) + 1
        return self

    def score(self, X, y):
        return known_score(self.number, self.calls_)


def known_score(number, calls):
    return 1 - 1 / (2 + calls) - (number * 7 % 31) / 100


@pytest.fixture(autouse=True)
def each_trial_is_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many share a step depends on how fast the machine is."""
    monkeypatch.setattr(Pace, "together", lambda *_: 1e-9)


@pytest.fixture(scope="module")
def one_worker(no_process_left: None) -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", memory_limit="8GB"
    ) as cluster:
        yield cluster


def order_of(search, cluster):
    """Each trial's number in the space, and the calls of its score, as they came."""
    with Client(cluster):
        search.fit(X, Y, validation_data=(X, Y))
    numbers = {record["model_id"]: record["params"]["number"] for record in search.history_}
    return [(numbers[record["model_id"]], record["partial_fit_calls"]) for record in search.history_]


def test_asha_is_trained_in_the_order_of_its_decisions(one_worker):
    expected, schedule = [], ASHA(N_TRIALS, 1, 27)
    while (decision := schedule.ask()) is not None:
        if isinstance(decision, Train):
            expected.append((decision.trial, decision.resource))
            score = known_score(decision.trial, decision.resource)
            schedule.tell(Report(decision.trial, decision.resource, score))
    search = ASHASearchCV(Known(), {"number": list(range(N_TRIALS))}, "grid", max_iter=27, verbose=0)
    assert order_of(search, one_worker) == expected


def test_hyperband_is_trained_bracket_by_bracket_and_the_best_of_a_rung_first(one_worker):
    search = HyperbandSearchCV(Known(), {"number": list(range(1000))}, max_iter=27, random_state=0, verbose=0)
    order = order_of(search, one_worker)
    started = [params["number"] for params in search.cv_results_["params"]]
    expected, first = [], 0
    for n_trials, calls in ((27, 1), (12, 3), (6, 9), (4, 27)):
        trials = list(range(first, first + n_trials))
        first += n_trials
        while trials:
            expected += [(started[trial], calls) for trial in trials]
            trials.sort(key=lambda trial: (-known_score(started[trial], calls), trial))
            trials, calls = trials[: len(trials) // 3] if calls < 27 else [], 3 * calls
    assert order == expected


def test_an_incremental_search_trains_all_alike(one_worker):
    search = IncrementalSearchCV(
        Known(), {"number": list(range(5))}, "grid", max_iter=6, fits_per_score=2, tol=None, verbose=0
    )
    best_first = sorted(range(5), key=lambda number: -known_score(number, 2))
    expected = [(number, 2) for number in range(5)] + [(n, calls) for calls in (4, 6) for n in best_first]
    assert order_of(search, one_worker) == expected
