"""A search with a journal goes on where it ended, however it ended, and gives the same answer."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import uuid
from pathlib import Path

import dask.array as da
import fsspec
import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, SGDClassifier

import dhpo
from dhpo import ASHASearchCV, HyperbandSearchCV, IncrementalSearchCV, JournalError, Observer
from dhpo.driver.folds import Folds
from dhpo.driver.ledger import Ledger
from dhpo.driver.replay import replay
from dhpo.history.events import Dropped, PhaseReached, Stopped
from dhpo.journal import Header, Journal, open_journal
from dhpo.search.identity import identity_of_fits
from dhpo.storage.kept_models import KeptModels
from dhpo.storage.model_store import ModelStore

HERE = Path(__file__).parent
RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 5))
Y = (X[:, 0] + RNG.standard_normal(600) > 0).astype(int)
LAZY = da.from_array(X, (100, 5)), da.from_array(Y, 100)
SPACE = {"alpha": loguniform(1e-5, 1), "penalty": ["l1", "l2"]}


class Slow(SGDClassifier):
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        time.sleep(0.005)
        return super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)


def make_search(**params):
    return HyperbandSearchCV(**{"estimator": SGDClassifier(), "parameters": SPACE, "max_iter": 9, **params}, verbose=0)


def without_times(results):
    return {name: np.asarray(values).tolist() for name, values in results.items() if "time" not in name}


def answer(search):
    return repr((without_times(search.cv_results_), search.best_index_, search.best_estimator_.coef_.tolist()))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A search with its journal, both read only."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return make_search(random_state=0).fit(*LAZY, classes=[0, 1], journal=folder), folder


@pytest.fixture
def journal(finished, tmp_path):
    """A copy of the journal of a finished search, to be damaged."""
    copy = tmp_path / "run"
    copy.mkdir()
    for path in finished[1].rglob("*"):
        target = copy / path.relative_to(finished[1])
        if path.is_dir():
            target.mkdir()
        else:
            target.write_bytes(path.read_bytes())
    return copy


def crash(folder, kind, kills, seed):
    done = subprocess.run(
        [sys.executable, str(HERE / "crashing.py"), str(folder), kind, str(kills), str(seed)],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", ["folds", "learns", "whole", "starts from", "enqueue", "trees"])
def test_a_driver_that_is_killed_again_and_again(kind, tmp_path):
    result = crash(tmp_path, kind, 2, seed=1)
    assert result["same"]
    assert result["killed"] == 2
    assert result["redone"] == result["lost"]  # what was in flight, and nothing else
    assert result["left"] == ["journal.jsonl", "lock", "models"]
    assert result["status"] == "done"


@pytest.mark.benchmarks
@pytest.mark.parametrize(
    "kind", ["hyperband", "folds", "patience", "asha", "learns", "whole", "starts from", "enqueue", "trees"]
)
def test_a_driver_that_is_killed_at_twenty_moments(kind, tmp_path):
    result = crash(tmp_path, kind, 20, seed=0)
    print(f"\n{kind}: {result}")
    assert result["same"]
    assert result["killed"] == 20
    assert result["redone"] == result["lost"]


def test_the_journal_changes_no_answer(finished):
    assert answer(make_search(random_state=0).fit(*LAZY, classes=[0, 1])) == answer(finished[0])


def test_a_finished_search_is_not_run_again(finished, journal):
    again = make_search(random_state=0).fit(*LAZY, classes=[0, 1], journal=journal)
    assert answer(again) == answer(finished[0])
    assert again.metadata_["tasks"] == finished[0].metadata_["tasks"]
    assert again.history_ == finished[0].history_


def test_load_needs_no_cluster(finished):
    search, folder = finished
    stored = dhpo.load(folder)
    assert stored.status == "done"
    assert without_times(stored.cv_results_) == without_times(search.cv_results_)
    assert stored.summary().equals(search.summary())
    assert stored.history_ == search.history_
    assert (stored.best_params_, stored.best_score_, stored.best_index_) == (
        search.best_params_,
        search.best_score_,
        search.best_index_,
    )
    np.testing.assert_array_equal(stored.best_estimator_.coef_, search.best_estimator_.coef_)
    for trial in stored.summary().index:  # all that was paid for
        assert stored.model(trial).score(X, Y) > 0.3
    with pytest.raises(KeyError, match="the journal has no model of trial 999"):
        stored.model(999)
    assert "<StoredSearch: done after " in repr(stored)


def test_a_search_that_was_stopped_goes_on(finished, tmp_path):
    search = make_search(estimator=Slow(), random_state=0)
    run = search.start(*LAZY, classes=[0, 1], journal=tmp_path)
    while run.best is None:
        time.sleep(0.01)
    run.stop()
    before = run.result().metadata_["partial_fit_calls"]
    assert dhpo.load(tmp_path).status == "stopped"
    assert before < 69
    search.fit(*LAZY, classes=[0, 1], journal=tmp_path)
    assert answer(search).replace("Slow", "SGDClassifier") == answer(finished[0])
    assert dhpo.load(tmp_path).status == "done"


def test_folds_that_were_stopped_leave_a_best_estimator_and_go_on(tmp_path):
    search = make_search(estimator=Slow(), random_state=0, cv=3)
    run = search.start(*LAZY, classes=[0, 1], journal=tmp_path / "a")
    while run.best is None:
        time.sleep(0.01)
    run.stop()
    assert run.result().best_estimator_.score(X, Y) > 0.5  # trained on all rows, though the search was stopped
    whole = make_search(estimator=Slow(), random_state=0, cv=3).fit(*LAZY, classes=[0, 1])
    assert answer(search.fit(*LAZY, classes=[0, 1], journal=tmp_path / "a")) == answer(whole)
    np.testing.assert_array_equal(dhpo.load(tmp_path / "a").best_estimator_.coef_, whole.best_estimator_.coef_)


def test_a_seed_that_was_drawn_is_remembered(tmp_path):
    first = make_search().fit(*LAZY, classes=[0, 1], journal=tmp_path)
    assert answer(make_search().fit(*LAZY, classes=[0, 1], journal=tmp_path)) == answer(first)


def test_an_object_store(client):
    url = f"memory://resume-{uuid.uuid4().hex}/run"  # which workers cannot see
    search = make_search(random_state=0).fit(*LAZY, classes=[0, 1], journal=url)
    assert answer(search) == answer(make_search(random_state=0).fit(*LAZY, classes=[0, 1]))
    assert answer(make_search(random_state=0).fit(*LAZY, classes=[0, 1], journal=url)) == answer(search)
    assert dhpo.load(url).best_estimator_.score(X, Y) > 0.5
    fsspec.filesystem("memory").rm(url.removeprefix("memory:/").rpartition("/")[0], recursive=True)


def test_asha_goes_on_from_the_decisions_of_its_journal(tmp_path):
    search = ASHASearchCV(Slow(), SPACE, 27, max_iter=9, random_state=0, verbose=0)
    run = search.start(*LAZY, classes=[0, 1], journal=tmp_path)
    while run.best is None or run.best.report.resource < 3:
        time.sleep(0.01)
    run.stop()
    before = run.result().history_
    search.fit(*LAZY, classes=[0, 1], journal=tmp_path)
    assert search.history_[: len(before)] == before
    assert search.metadata_["partial_fit_calls"] == search.metadata["partial_fit_calls"]


# -- what is refused


@pytest.mark.parametrize(
    ("params", "data", "message"),
    [
        ({"max_iter": 27}, LAZY, "max_iter was 9, and is 27"),
        ({"estimator": SGDClassifier(l1_ratio=0.3)}, LAZY, r"estimator was .*l1_ratio=0\.15.*, and is .*l1_ratio=0\.3"),
        ({"parameters": {"alpha": loguniform(1e-4, 1)}}, LAZY, r"parameters was .*, and is {'alpha': loguniform"),
        ({"random_state": 1}, LAZY, "random_state was seed 0, and is seed 1"),
        ({"cv": 3}, LAZY, "cv was None, and is 3"),
        ({}, (LAZY[0][:500], LAZY[1][:500]), "X was 600 rows x 5 in 6 chunks, and is 500 rows x 5 in 5 chunks"),
        ({}, (da.from_array(X + (X[77, 2] == X), (100, 5)), LAZY[1]), "other data: digest was .*, and is "),
        ({}, (LAZY[0], da.from_array(1 - Y, 100)), "other data: digest was .*, and is "),
    ],
    ids=["schedule", "estimator", "space", "seed", "folds", "shape", "X", "y"],
)
def test_another_search_is_refused(journal, params, data, message):
    with pytest.raises(JournalError, match=message):
        make_search(**{"random_state": 0, **params}).fit(*data, classes=[0, 1], journal=journal)
    # and costs the journal nothing
    assert (
        dhpo.load(journal).best_score_
        == make_search(random_state=0).fit(*LAZY, classes=[0, 1], journal=journal).best_score_
    )


def test_another_kind_of_search_is_refused(journal):
    search = IncrementalSearchCV(SGDClassifier(), SPACE, random_state=0, verbose=0)
    with pytest.raises(JournalError, match="search was HyperbandSearchCV, and is IncrementalSearchCV"):
        search.fit(*LAZY, classes=[0, 1], journal=journal)


def test_a_second_search_is_refused_while_the_first_runs(tmp_path):
    search = make_search(estimator=Slow(), random_state=0)
    run = search.start(*LAZY, classes=[0, 1], journal=tmp_path)
    with pytest.raises(JournalError, match="is in use by process"):
        make_search(estimator=Slow(), random_state=0).fit(*LAZY, classes=[0, 1], journal=tmp_path)
    assert dhpo.load(tmp_path).status == "running"  # to look at it is allowed
    run.result()


def test_a_journal_that_is_refused_is_free_again(journal):
    with pytest.raises(JournalError):
        make_search(max_iter=27).fit(*LAZY, journal=journal)
    with pytest.raises(ValueError, match="max_iter"):
        make_search(max_iter=-1).fit(*LAZY, journal=journal)
    Journal(journal).close()


# -- damage


def cut(journal, n_lines):
    file = journal / "journal.jsonl"
    file.write_bytes(b"".join(line + b"\n" for line in file.read_bytes().split(b"\n")[:n_lines]))


class Leaves(Observer):
    """Leaves a file among the models, as a step does that was given up while it wrote."""

    def __init__(self, folder):
        self.file = folder / "models" / "nobody-told-of-it.models"

    def event(self, event):
        if isinstance(event, Dropped):
            self.file.write_bytes(b"of a model")


def test_no_model_is_left_that_nobody_needs(tmp_path):
    leaves = Leaves(tmp_path / "run")
    make_search(random_state=0, callbacks=[leaves]).fit(*LAZY, classes=[0, 1], journal=tmp_path / "run")
    assert leaves.file.parent.is_dir()
    assert not leaves.file.exists()


def test_models_stay_that_a_journal_names_which_could_not_be_written_on(tmp_path, monkeypatch):
    commit, written = Journal.commit, []
    last = tmp_path / "models" / "last.models"

    def fails(journal):
        if len(written) == 3:
            last.write_bytes(b"of the step that came back then")
            raise OSError(28, "No space left on device")
        if any(b".models" in line for line in journal._waiting):
            written.append(journal)
        commit(journal)

    # So many short steps that the disk is full in the middle of the training of all.
    monkeypatch.setattr(Journal, "commit", fails)
    search = IncrementalSearchCV(Slow(), SPACE, 4, max_iter=200, random_state=0, verbose=0)
    with pytest.raises(OSError, match="No space left"):
        search.fit(*LAZY, classes=[0, 1], journal=tmp_path)
    monkeypatch.undo()
    named = {}
    for line in (tmp_path / "journal.jsonl").read_bytes().split(b"\n"):
        if b'"event": "step"' in line:
            named.update({state["model"]: state["checkpoint"] for state in json.loads(line)["models"]})
    assert named
    assert last.exists()  # nothing is deleted
    assert {checkpoint["file"] for checkpoint in named.values()} <= {p.name for p in (tmp_path / "models").iterdir()}


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
def test_any_beginning_of_a_journal_is_a_journal(finished, journal, share):
    # The models that its later lines would tell of are there or gone; the earlier ones are gone.
    cut(journal, 1 + int(share * (journal / "journal.jsonl").read_bytes().count(b"\n")))
    search = make_search(random_state=0).fit(*LAZY, classes=[0, 1], journal=journal)
    assert answer(search) == answer(finished[0])
    kept = {checkpoint.file for checkpoint in dhpo.load(journal)._models.values()}
    assert {path.name for path in (journal / "models").iterdir()} == kept


@pytest.mark.parametrize("damage", ["gone", "changed"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_models_that_are_lost_are_trained_again(finished, journal, damage, share):
    cut(journal, 1 + int(share * (journal / "journal.jsonl").read_bytes().count(b"\n")))
    for path in (journal / "models").iterdir():
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-1] + b"?")
    search = make_search(random_state=0).fit(*LAZY, classes=[0, 1], journal=journal)
    assert answer(search) == answer(finished[0])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The bytes of the journal of a small search, and what makes the ledger of that search."""
    folder = tmp_path_factory.mktemp("small")
    search = make_search(max_iter=3, random_state=0).fit(*LAZY, classes=[0, 1], journal=folder)

    def replay_all(events):
        job = search._job(*LAZY, None, [0, 1], None, {}, 0, True)
        models = KeptModels(ModelStore(f"{folder}/models"), keep_all=True)
        ledger = Ledger(job.schedule, job.sampler, job.metrics, Folds(0), models, lambda event: None, float)
        for event in events:
            replay(event, ledger, job)
        return job.schedule

    return (folder / "journal.jsonl").read_bytes(), replay_all


@pytest.mark.parametrize("stride", [31, pytest.param(1, marks=pytest.mark.benchmarks)])
def test_a_journal_that_is_cut_at_any_byte_is_repaired(small, tmp_path, stride):
    whole, replay_all = small
    events = opened(tmp_path, whole)
    assert replay_all(events).done
    replayed = set()
    for length in range(0, len(whole), stride):
        found = opened(tmp_path, whole[:length])
        assert repr(found) == repr(events[: len(found)])
        assert whole.startswith((tmp_path / "journal.jsonl").read_bytes())
        if len(found) not in replayed:
            replayed.add(len(found))
            replay_all(found)
    assert replayed == set(range(len(events)))


def test_a_journal_with_a_changed_byte_is_refused_or_loses_its_end(small, tmp_path):
    whole, replay_all = small
    events, rng = opened(tmp_path, whole), random.Random(0)
    refused = 0
    for _ in range(500):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= rng.randrange(1, 256)
        try:
            found = opened(tmp_path, bytes(damaged))
        except JournalError:
            refused += 1
            continue
        assert len(found) >= len(events) - 2
        assert repr(found) == repr(events[: len(found)])
        replay_all(found)
    assert refused > 400


def opened(folder, content):
    """What a process finds in a journal, which it repairs."""
    (folder / "journal.jsonl").write_bytes(content)
    journal = Journal(folder)
    journal.close()
    return journal.events


class Held(SGDClassifier):
    """Waits in its first, second and fourth call until there is a file of that number."""

    def __init__(self, folder=""):
        super().__init__(random_state=0)
        self.folder = folder

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        self.calls_ = getattr(self, "calls_", 0) + 1
        ends_at = time.monotonic() + 300  # where the test fails, nobody makes the file
        Path(f"{self.folder}/waits-{self.calls_}").touch()
        while self.calls_ in (1, 2, 4) and not os.path.exists(f"{self.folder}/{self.calls_}"):
            if time.monotonic() > ends_at:
                raise TimeoutError("nobody made the file")
            time.sleep(0.01)
        return super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)


def test_every_event_is_on_disk_when_others_hear_of_it(tmp_path):
    """What the live summary shows survives: the journal needs nothing more to happen than what has happened."""
    search = make_search(estimator=Held(str(tmp_path)), parameters={"folder": [str(tmp_path)]}, random_state=0)
    run = search.start(*LAZY, classes=[0, 1], journal=tmp_path / "run")
    ends_at = time.monotonic() + 300
    for call in (1, 2, 4):
        while not (tmp_path / f"waits-{call}").exists():  # from here on the search cannot end
            assert time.monotonic() < ends_at
            time.sleep(0.01)
        n_shown = len(run.history.events)
        while len(dhpo.load(tmp_path / "run").history.events) < n_shown:
            assert time.monotonic() < ends_at
            time.sleep(0.01)
        (tmp_path / str(call)).touch()
    run.result()
    assert isinstance(dhpo.load(tmp_path / "run").history.events[-1], Stopped)


class Fitting(SGDClassifier):
    def fit(self, X, y):
        time.sleep(0.02)
        return super().fit(X, y)


def whole(**params):
    grid = {"alpha": np.logspace(-5, 0, 20).tolist()}
    return dhpo.GridSearchCV(**{"estimator": Fitting(random_state=0), "param_grid": grid, "cv": 3, **params}, verbose=0)


def test_whole_fits_that_were_stopped_go_on(tmp_path):
    undisturbed = whole().fit(X, Y)
    run = whole().start(X, Y, journal=tmp_path)
    while not run.history.reported:
        time.sleep(0.01)
    run.stop()
    before = run.result()
    assert 0 < len(before.cv_results_["params"]) < 20
    assert dhpo.load(tmp_path).status == "stopped"
    search = whole().fit(X, Y, journal=tmp_path)
    assert answer(search) == answer(undisturbed)
    assert search.history_[: len(before.history_)] == before.history_
    again = whole().fit(X, Y, journal=tmp_path)
    assert answer(again) == answer(undisturbed)
    assert again.refit_time_ == search.refit_time_  # not fitted once more
    stored = dhpo.load(tmp_path)
    assert stored.status == "done"
    assert stored.summary().equals(search.summary())
    assert stored.best_params_ == search.best_params_
    np.testing.assert_array_equal(stored.best_estimator_.coef_, search.best_estimator_.coef_)


@pytest.mark.parametrize(
    ("params", "data", "message"),
    [
        ({"cv": 4}, (X, Y), "cv was 3, and is 4"),
        ({"param_grid": {"alpha": [1.0]}}, (X, Y), "param_grid was .*; candidates was 20 with hash"),
        ({}, (X[:500], Y[:500]), r"X was shape \(600, 5\), and is shape \(500, 5\)"),
        ({}, (X + (X[77, 2] == X), Y), "other data, or on other splits of it .*: digest was"),
        ({"max_iter": 3}, (X, Y), "max_iter was None, and is 3"),
    ],
    ids=["splits", "grid", "shape", "X", "blocks"],
)
def test_other_whole_fits_are_refused(tmp_path, params, data, message):
    whole().fit(X, Y, journal=tmp_path)
    with pytest.raises(JournalError, match=message):
        whole(**params).fit(*data, journal=tmp_path)
    assert dhpo.load(tmp_path).best_params_ == whole().fit(X, Y, journal=tmp_path).best_params_


class Clocked(dhpo.Observer):
    """Remembers what the clock of the search says when each event comes."""

    def __init__(self):
        self.ahead = []

    def start(self, search):
        self.now = search.now

    def event(self, event):
        self.ahead.append(self.now() - event.time)


def test_the_clock_of_a_search_goes_on_where_it_stopped(journal):
    clocked = Clocked()
    make_search(random_state=0, callbacks=[clocked]).fit(*LAZY, classes=[0, 1], journal=journal)
    assert len(clocked.ahead) > 10
    assert min(clocked.ahead) >= 0  # no event is of a time that is yet to come


def test_data_is_compared_where_the_first_process_ended_before_it_had_any(client, tmp_path):
    X, y = make_classification(random_state=0)
    search = dhpo.GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, verbose=0)
    with open_journal(tmp_path) as opened:  # as a process leaves it that was stopped while it waited for workers
        job = search._fit_search(X, y, {}, 0)
        opened.begin(Header(identity_of_fits(search, job, X, y, {}), 0, by_fits=True))
        opened.append(PhaseReached("starting workers", 0.1))
        opened.append(Stopped("stopped", 0.2))
        opened.commit()
        opened.close()
    search.fit(X, y, journal=tmp_path)
    with pytest.raises(JournalError, match="other data"):
        search.fit(X + 1, y, journal=tmp_path)
