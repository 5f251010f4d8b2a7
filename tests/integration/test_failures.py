"""Trials that fail in every way, and workers that are killed: the others finish, with the answer of always."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster, get_worker
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import SGDClassifier

import dhpo
from dhpo import GridSearchCV, HyperbandSearchCV, IncrementalSearchCV, SearchFailed, WorkersLost
from dhpo.cluster.workers import Workers

RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 5))
Y = (X[:, 0] + RNG.standard_normal(600) > 0).astype(int)
LAZY = da.from_array(X, (100, 5)), da.from_array(Y, 100)
SEED: dict[str, Any] = {"random_state": 0, "verbose": 0}


class ExitWhenPickled:
    def __reduce__(self) -> Any:
        os._exit(3)


class Wicked(SGDClassifier):
    """Does something at its third call, and leaves a byte in a file for each call."""

    def __init__(self, deed: str = "none", number: int = 0, calls: str = "", seconds: float = 0.0) -> None:
        super().__init__(random_state=0)
        self.deed = deed
        self.number = number
        self.calls = calls
        self.seconds = seconds

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        self.n_calls_ = getattr(self, "n_calls_", 0) + 1
        time.sleep(self.seconds)
        if self.calls:
            with open(self.calls, "ab", buffering=0) as file:
                file.write(b".")
        if self.n_calls_ == 3:
            self.do_it()
        return super().partial_fit(X, y, classes=classes)

    def do_it(self) -> None:
        match self.deed:
            case "raise":
                raise RuntimeError("I will not learn this")
            case "kill":
                with open(self.calls + ".deaths", "ab", buffering=0) as file:
                    file.write(b"x")
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(3)
            case "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
                connection = get_worker().batched_stream
                while not connection.closed():  # from then on what comes of the step goes nowhere
                    time.sleep(0.01)
            case "exit when pickled":
                self.exit_ = ExitWhenPickled()
            case "unlucky" if deaths(Path(self.calls)) < 3:
                with open(self.calls + ".deaths", "ab") as file:
                    file.write(b"x")
                suspected = deaths(Path(self.calls)) == 3
                os.kill(os.getppid() if suspected else os.getpid(), signal.SIGKILL)
                time.sleep(60)
            case "unlucky":
                main = sys.modules["__main__"].__spec__
                Path(self.calls + ".where").write_text("" if main is None else main.name)
            case "hang":
                time.sleep(3600)
            case "unpicklable":
                self.thread_ = threading.Lock()

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        if self.deed in ("nan", "inf"):
            return float(self.deed)
        return float(super().score(X, y))


class Alpha(Wicked):
    """The same with a parameter that changes what is learned."""

    def __init__(
        self, alpha: float = 1e-4, deed: str = "none", number: int = 0, calls: str = "", seconds: float = 0.0
    ) -> None:
        super().__init__(deed, number, calls, seconds)
        self.alpha = alpha


@pytest.fixture
def three(no_process_left: None) -> Iterator[Client]:
    """Three workers of one thread, to be killed."""
    with (
        LocalCluster(
            n_workers=3,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit="1GB",
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(3)
        yield client


def without_times(search: Any) -> dict[str, Any]:
    return {name: np.asarray(values).tolist() for name, values in search.cv_results_.items() if "time" not in name}


def deaths(calls: Path) -> int:
    file = calls.with_name(calls.name + ".deaths")
    return file.stat().st_size if file.exists() else 0


def with_one(deed: str, calls: Path, n: int = 27, **params: Any) -> GridSearchCV:
    """A search in which one trial of many is wicked."""
    grid = [{"deed": ["none"], "number": list(range(n - 1))}, {"deed": [deed], "number": [99]}]
    return GridSearchCV(Wicked(calls=str(calls)), grid, max_iter=6, **SEED, **params)


# -- one trial fails


@pytest.mark.parametrize(
    ("deed", "message"),
    [
        ("raise", "RuntimeError: I will not learn this"),
        ("nan", "the score is not a finite number"),
        ("inf", "the score is not a finite number"),
        ("unpicklable", "TypeError: cannot pickle '_thread.lock' object"),
    ],
)
def test_a_trial_that_fails_costs_that_trial_alone(client, deed, message, tmp_path):
    search = with_one(deed, tmp_path / "calls").fit(*LAZY, classes=[0, 1])
    frame = search.summary()
    assert frame["status"].tolist() == ["finished"] * 26 + ["failed"]
    assert frame["error"].dropna().tolist() == [message]
    assert search.best_params_["number"] != 99


@pytest.mark.parametrize("deed", ["raise", "nan"])
def test_a_search_of_which_all_trials_fail_has_failed_wherever_it_is_asked(client, deed, tmp_path):
    grid = {"deed": [deed], "number": [1, 2]}
    search = GridSearchCV(Wicked(calls=str(tmp_path / "calls")), grid, max_iter=6, **SEED)
    run = search.start(*LAZY, classes=[0, 1], journal=tmp_path / "run")
    with pytest.raises(SearchFailed, match="none of 2 trials was scored"):
        run.result()
    assert run.status == "failed"
    assert dhpo.load(tmp_path / "run").status == "failed"


@pytest.mark.parametrize("shared", [True, pytest.param(False, marks=pytest.mark.benchmarks)])
def test_a_trial_that_kills_its_workers_is_found(three, shared, tmp_path, monkeypatch):
    if not shared:
        monkeypatch.setattr("dhpo.cluster.workers.holds_token", _sees_nothing)
    calls = tmp_path / "calls"
    search = with_one("kill", calls, 27 if shared else 4).fit(*LAZY, classes=[0, 1])
    frame = search.summary()
    assert frame["status"].tolist() == ["finished"] * (len(frame) - 1) + ["failed"]
    error = frame["error"].iloc[-1]
    assert "WorkerKilled: workers died in partial_fit call 3 of this trial" in error
    assert "was ended by SIGKILL" in error
    assert deaths(calls) == 3  # two workers, and the process of its own


@pytest.mark.parametrize(
    ("deed", "message"),
    [
        ("exit when pickled", r"died in the pickling after call \d of this trial; .* ended with exit code 3 there"),
        ("interrupt", r"died in partial_fit call 3 of this trial; .* was ended by SIGINT there"),
    ],
)
def test_a_trial_that_ends_its_workers_in_another_way_is_found(three, deed, message, tmp_path, monkeypatch):
    # As from another terminal: workers of this one's group ignore it while a search runs.
    monkeypatch.setattr("dhpo.cluster.interrupts.process_group", lambda: None)
    three.cluster.scale(4)  # one that lives on: those that leave in order take some time to be replaced
    three.wait_for_workers(4)
    search = with_one(deed, tmp_path / "calls", 4).start(*LAZY, classes=[0, 1]).result(timeout=300)
    frame = search.summary()
    assert frame["status"].tolist() == ["finished"] * 3 + ["failed"]
    assert re.search(message, frame["error"].iloc[-1])


def _sees_nothing(path: str, token: str) -> bool:
    return False


def test_a_trial_that_hangs_is_ended_and_its_worker_restarted(three, tmp_path):
    before = set(three.run(os.getpid).values())
    search = with_one("hang", tmp_path / "calls", 9, trial_timeout=2.0).fit(*LAZY, classes=[0, 1])
    frame = search.summary()
    assert frame["status"].tolist() == ["finished"] * 8 + ["failed"]
    assert frame["error"].iloc[-1] == "TrialTimeout: trial_timeout=2 s is over, and it was in partial_fit call 3 then"
    three.wait_for_workers(3)
    after = set(three.run(os.getpid).values())
    assert len(before & after) == 2  # the one that hung is gone, and another is there for it
    assert three.submit(sum, [1, 2], pure=False).result(timeout=300) == 3


def test_a_trial_that_takes_too_long_in_all_is_ended(client, tmp_path):
    search = GridSearchCV(Wicked(), {"seconds": [0.0, 0.6]}, max_iter=10, trial_timeout=3.0, **SEED)
    frame = search.fit(*LAZY, classes=[0, 1]).summary()
    assert frame["status"].tolist() == ["finished", "failed"]
    assert "trial_timeout=3 s is over, and it had taken" in frame["error"].iloc[1]


# -- the search ends early


def test_a_time_budget_leaves_the_best_so_far(client, tmp_path):
    make_chaotic("", 3, 0.0).fit(*LAZY, classes=[0, 1])  # workers import what they need
    search = HyperbandSearchCV(
        Alpha(seconds=0.03), {"alpha": loguniform(1e-5, 1)}, max_iter=81, time_budget=8.0, **SEED
    )
    search.fit(*LAZY, classes=[0, 1], journal=tmp_path)
    assert 0 < search.metadata_["partial_fit_calls"] < search.metadata["partial_fit_calls"]
    assert search.best_estimator_.score(X, Y) > 0.5
    stored = dhpo.load(tmp_path)
    assert stored.status == "time budget"
    assert stored.best_params_ == search.best_params_


def test_whole_fits_have_a_time_budget_and_max_failures(client, tmp_path):
    class Slow(Wicked):
        def fit(self, X: Any, y: Any) -> Any:
            if self.deed == "raise":
                raise RuntimeError("I will not learn this")
            time.sleep(0.1)
            return super().fit(X, y)

    GridSearchCV(Slow(), {"number": [0]}, cv=2, verbose=0).fit(X, Y)  # workers import what they need
    search = GridSearchCV(Slow(), {"number": list(range(100))}, cv=2, time_budget=4.0, verbose=0).fit(X, Y)
    assert 0 < len(search.cv_results_["params"]) < 100
    assert search.best_estimator_.score(X, Y) > 0.5
    search = GridSearchCV(Slow(deed="raise"), {"number": list(range(100))}, cv=2, max_failures=3, verbose=0)
    with pytest.raises(SearchFailed, match="max_failures=3 allows no more"):
        search.fit(X, Y, journal=tmp_path)
    _assert_the_journal_says_why(tmp_path, "max_failures=3 allows no more")


def _assert_the_journal_says_why(journal: Path, words: str) -> None:
    stored = dhpo.load(journal)
    assert stored.status == "failed"
    assert words in stored.history.end.why
    assert stored.history.end.why.startswith("SearchFailed: ")
    assert stored.history.end.why in stored._repr_html_()


@pytest.mark.parametrize("search", [GridSearchCV, IncrementalSearchCV])
def test_a_time_budget_without_a_single_score_is_an_error(client, tmp_path, search):
    whole = search is GridSearchCV
    estimator, kwargs = (Patient(), {"cv": 2}) if whole else (Wicked(seconds=0.5), {"max_iter": 4, "random_state": 0})
    budget = search(estimator, {"number": [0, 1, 2]}, time_budget=0.01, verbose=0, **kwargs)
    with pytest.raises(SearchFailed, match=r"was scored before time_budget=0.01 s was over"):
        budget.fit(*((X, Y) if whole else LAZY), journal=tmp_path)
    _assert_the_journal_says_why(tmp_path, "was scored before time_budget=0.01 s was over")


class Patient(ClassifierMixin, BaseEstimator):
    """Takes its time to be fitted."""

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def fit(self, X: Any, y: Any) -> Any:
        time.sleep(0.5)
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


def test_a_client_that_is_closed_during_a_search_is_told(cluster, tmp_path):
    with Client(cluster) as client:
        run = with_one("none", tmp_path / "calls", 4).start(*LAZY, classes=[0, 1])
        while run.best is None:
            time.sleep(0.01)
    assert client.status == "closed"
    with pytest.raises(WorkersLost, match="closed"):
        run.result(timeout=300)


def test_max_failures(client, tmp_path):
    grid = [{"deed": ["none"], "number": list(range(5))}, {"deed": ["raise"], "number": list(range(5))}]
    search = GridSearchCV(Wicked(), grid, max_iter=6, max_failures=2, **SEED)
    with pytest.raises(
        SearchFailed, match=r"\d trials failed, and max_failures=2 allows no more(.|\n)*I will not learn"
    ):
        search.fit(*LAZY, classes=[0, 1], journal=tmp_path / "journal")
    _assert_the_journal_says_why(tmp_path / "journal", "I will not learn")
    search.set_params(max_failures=5).fit(*LAZY, classes=[0, 1])
    assert search.best_params_["deed"] == "none"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("trial_timeout", 0, "trial_timeout=0 is not allowed: give seconds above 0, or None"),
        ("trial_timeout", "1m", "trial_timeout='1m' is not allowed"),
        ("time_budget", -1, "time_budget=-1 is not allowed"),
        ("time_budget", float("nan"), "time_budget=nan is not allowed"),
        ("max_failures", 1.5, "max_failures=1.5 is not allowed: give a number of trials from 0 on, or None"),
        ("max_failures", True, "max_failures=True is not allowed"),
    ],
)
@pytest.mark.parametrize("max_iter", [3, None], ids=["blocks", "whole"])
def test_limits_are_checked_at_the_door(name, value, message, max_iter):
    search = GridSearchCV(SGDClassifier(), {"alpha": [0.1]}, max_iter=max_iter, **{name: value})
    if max_iter is None and name == "trial_timeout":
        message = "trial_timeout=.* is for training block by block"
    with pytest.raises(ValueError, match=message):
        search.fit(X, Y)


def test_a_store_that_cannot_be_written_ends_the_search(client, tmp_path):
    models = tmp_path / "run" / "models"

    class Destroying(Wicked):
        def do_it(self) -> None:
            shutil.rmtree(models, ignore_errors=True)

    search = GridSearchCV(Destroying(), {"number": [0, 1]}, max_iter=6, **SEED)
    with pytest.raises(SearchFailed, match="steps failed repeatedly, and no trial caused it: FileNotFoundError"):
        search.fit(*LAZY, classes=[0, 1], journal=tmp_path / "run")
    assert dhpo.load(tmp_path / "run").status == "failed"


# -- workers die


_CALLS_BETWEEN_KILLS = 12


class Chaos:
    """Kills one of the workers every now and then.

    With a file of calls, no sooner than all workers are back and a few more calls were made: however slow the machine
    is, the search comes on faster than they die.
    """

    def __init__(self, client: Client, every: float, seed: int, calls: Path | None = None) -> None:
        self.kills = 0
        self._all = len(client.cluster.workers)
        self._calls, self._n_calls = calls, 0
        self._client, self._every, self._random = client, every, random.Random(seed)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Chaos:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every):
            if self._calls is not None and not self._comes_on(self._calls):
                continue
            # Not by asking the workers: those that are being restarted are killed, too.
            nannies = list(self._client.cluster.workers.values())
            pids = [nanny.pid for nanny in nannies if getattr(nanny, "pid", None)]
            if pids:
                try:
                    os.kill(self._random.choice(pids), signal.SIGKILL)
                    self.kills += 1
                except ProcessLookupError:
                    pass

    def _comes_on(self, calls: Path) -> bool:
        if len(self._client.cluster.scheduler_info["workers"]) < self._all:
            return False
        before, now = self._n_calls, calls.stat().st_size if calls.exists() else 0
        if now < before + _CALLS_BETWEEN_KILLS:
            return False
        self._n_calls = now
        return True


def make_chaotic(calls: Path | str, max_iter: int, seconds: float) -> HyperbandSearchCV:
    estimator = Alpha(calls=str(calls), seconds=seconds)
    return HyperbandSearchCV(estimator, {"alpha": loguniform(1e-5, 1)}, max_iter=max_iter, **SEED)


def test_workers_that_are_killed_all_the_time_change_no_answer(three, tmp_path):
    undisturbed = make_chaotic("", 9, 0.0).fit(*LAZY, classes=[0, 1])
    calls = tmp_path / "calls"
    with Chaos(three, 1.5, seed=0, calls=calls) as chaos:
        search = make_chaotic(calls, 9, 0.1).fit(*LAZY, classes=[0, 1])
    assert chaos.kills
    assert without_times(search) == without_times(undisturbed)
    np.testing.assert_array_equal(search.best_estimator_.coef_, undisturbed.best_estimator_.coef_)
    assert not search.summary()["error"].any()  # nobody was blamed


@pytest.mark.parametrize("seconds", [2, pytest.param(10, marks=pytest.mark.benchmarks)])
def test_no_worker_for_some_seconds_and_then_more_than_before(three, seconds):
    undisturbed = make_chaotic("", 9, 0.0).fit(*LAZY, classes=[0, 1])
    run = make_chaotic("", 9, 0.1).start(*LAZY, classes=[0, 1])
    while run.best is None:
        time.sleep(0.05)
    three.cluster.scale(0)
    while three.nthreads():
        time.sleep(0.05)
    calls = run.summary().attrs["partial_fit_calls"]
    time.sleep(seconds)
    assert not run.done
    assert run.summary().attrs["partial_fit_calls"] == calls
    three.cluster.scale(4)
    used = set()
    while not run.done:
        used |= {address for address, tasks in three.processing().items() if tasks}
        time.sleep(0.02)
    search = run.result()
    assert without_times(search) == without_times(undisturbed)
    assert used == three.nthreads().keys()
    assert len(used) == 4


def test_no_worker_at_all_is_an_error_with_a_deadline():
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster),
        dask.config.set({"dhpo.workers-timeout": "1s"}),
        pytest.raises(WorkersLost, match="has had no running worker for 1 s; 0 partial_fit calls were done"),
    ):
        make_chaotic("", 9, 0.0).fit(*LAZY, classes=[0, 1])


def test_workers_that_are_gone_when_they_are_asked_what_they_hold_are_waited_for(three, monkeypatch):
    X, y = LAZY
    of_unknown_lengths = X[X[:, 0] > -99.0], y[X[:, 0] > -99.0]
    undisturbed = make_chaotic("", 9, 0.0).fit(*of_unknown_lengths, classes=[0, 1])
    asked, times = Workers.smallest, []

    async def smallest(self, most):
        times.append(len(self))
        self.lose_all()
        return await asked(self, most)

    monkeypatch.setattr(Workers, "smallest", smallest)
    search = make_chaotic("", 9, 0.0).fit(*of_unknown_lengths, classes=[0, 1])
    assert times == [3]
    assert without_times(search) == without_times(undisturbed)


def test_a_trial_whose_worker_dies_while_it_has_a_process_of_its_own_is_not_to_blame(three, tmp_path):
    search = with_one("unlucky", tmp_path / "calls", n=6).fit(*LAZY, classes=[0, 1])
    assert deaths(tmp_path / "calls") == 3
    assert search.summary()["status"].tolist() == ["finished"] * 6
    assert (tmp_path / "calls.where").read_text() != "dhpo.worker.isolated_process"


def test_a_step_that_waits_for_a_paused_worker_goes_elsewhere(three, tmp_path):
    undisturbed = make_chaotic("", 9, 0.0).fit(*LAZY, classes=[0, 1])
    address, end = sorted(three.nthreads())[0], tmp_path / "end"
    blocked = three.submit(_until, str(end), workers=[address], key="blocks")
    run = make_chaotic("", 9, 0.02).start(*LAZY, classes=[0, 1])
    while not any(str(key).startswith("train-b2-r0-") for key in three.processing()[address]):
        assert not run.done
        time.sleep(0.02)
    three.run(_pause, workers=[address])
    search = run.result(timeout=300)
    assert not blocked.done()
    end.touch()
    assert without_times(search) == without_times(undisturbed)


def _until(path: str) -> None:
    deadline = time.monotonic() + 300  # where the test fails, nobody makes the file
    while not Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def _pause(dask_worker: Any) -> None:
    dask_worker.memory_manager.memory_pause_fraction = 1e-6


@pytest.mark.parametrize("times", [2, pytest.param(1000, marks=pytest.mark.benchmarks)])
def test_a_block_that_kills_its_workers_is_tried_again_but_not_for_ever(three, tmp_path, times):
    log = tmp_path / "loads"

    def load(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info[0]["chunk-location"][0] == 3:
            with log.open("a") as file:
                file.write("x")
            if log.stat().st_size <= times:
                os.kill(os.getpid(), signal.SIGKILL)
        return block

    X = da.from_array(np.random.default_rng(0).standard_normal((80, 3)), chunks=(10, 3)).map_blocks(load, dtype=float)
    y = da.from_array(np.arange(80) % 2, chunks=10)
    three.run_on_scheduler(_give_up_at_once)
    search = make_chaotic("", 3, 0.0)
    if times == 2:
        assert np.isfinite(search.fit(X, y, classes=[0, 1]).best_score_)
    else:
        with pytest.raises(SearchFailed, match="looking at the data: the workers that do it die, again and again"):
            search.fit(X, y, classes=[0, 1])
        assert log.stat().st_size <= 6


def _give_up_at_once(dask_scheduler: Any) -> None:
    dask_scheduler.allowed_failures = 0


# -- the same for long


@pytest.mark.benchmarks
@pytest.mark.parametrize(("every", "allowed"), [(3.0, 0.10), (60.0, 0.01)])
def test_a_whole_hyperband_search_while_workers_are_killed(three, every, allowed, tmp_path):
    seconds = 0.04 if every < 60 else 0.4  # long enough for some kills
    undisturbed = make_chaotic("", 81, 0.0).fit(*LAZY, classes=[0, 1])
    with Chaos(three, every, seed=0) as chaos:
        began = time.perf_counter()
        search = make_chaotic(tmp_path / "calls", 81, seconds).fit(*LAZY, classes=[0, 1])
        took = time.perf_counter() - began
    planned = search.metadata["partial_fit_calls"]
    redone = (tmp_path / "calls").stat().st_size - planned
    print(f"\na kill every {every:g} s: {chaos.kills} kills in {took:.0f} s, {redone} of {planned} calls redone")
    assert without_times(search) == without_times(undisturbed)
    assert not search.summary()["error"].any()
    assert redone <= allowed * planned


@pytest.mark.benchmarks
def test_a_hundred_searches_while_workers_are_killed(three):
    undisturbed = make_chaotic("", 9, 0.0).fit(*LAZY, classes=[0, 1])
    with Chaos(three, 3.0, seed=1) as chaos:
        for _ in range(100):
            search = make_chaotic("", 9, 0.05).start(*LAZY, classes=[0, 1]).result(timeout=300)
            assert without_times(search) == without_times(undisturbed)
    print(f"\na hundred searches, {chaos.kills} kills")
