"""Exactly the files that someone may still want remain in the store."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhpo.storage.kept_models import KeptModels
from dhpo.storage.model_store import ModelStore
from dhpo.trial import Report


def content(trial, calls):
    return f"{trial} after {calls}".encode()


class Search:
    """A search on a store, and what is expected of its kept models by brute force."""

    def __init__(self, folder, keep_all=False):
        self.folder = folder
        self.store = ModelStore(str(folder))
        self.kept = KeptModels(self.store, keep_all)
        self.keep_all = keep_all
        self.calls, self.scored, self.last, self.ended = {}, {}, {}, {}

    def train(self, trials):
        for trial in trials:
            self.calls[trial] = self.calls.get(trial, 0) + 1
        models = {(trial, self.calls[trial]): content(trial, self.calls[trial]) for trial in trials}
        for checkpoint in self.store.write(models).values():
            self.kept.trained(checkpoint)

    def report(self, trial, score):
        report = Report(trial, self.calls.get(trial, 0), score)
        self.kept.reported(report)
        self.last[trial] = report
        if not report.failed:
            self.scored[trial] = self.calls[trial]

    def end(self, trial):
        last = self.ended[trial] = self.last.get(trial)
        self.kept.ended(trial, last)

    @property
    def files(self):
        self.kept.tidy()
        return list(self.folder.iterdir())

    @property
    def kept_ended(self):
        """The last reports of the trials that ended and whose models are kept."""
        finite = [report for report in self.ended.values() if report is not None and not report.failed]
        return finite if self.keep_all else sorted(finite, key=lambda report: (-report.score, report.trial))[:1]

    def wanted(self):
        """(trial, calls) of the models that must be readable."""
        running = self.calls.keys() - self.ended.keys()
        wanted = {(trial, self.calls[trial]) for trial in running}
        wanted |= {(trial, self.scored[trial]) for trial in running if trial in self.scored}
        wanted |= {(report.trial, self.scored[report.trial]) for report in self.kept_ended}
        return wanted

    def check(self):
        found = {}
        for trial in self.calls.keys() - self.ended.keys():
            found[trial, self.calls[trial]] = self.kept.latest(trial)
            if trial in self.scored:
                found[trial, self.scored[trial]] = self.kept.scored(trial)
        for report in self.kept_ended:
            found[report.trial, self.scored[report.trial]] = self.kept.scored(report.trial)
        assert found.keys() == self.wanted()
        for (trial, calls), checkpoint in found.items():
            assert self.kept.read(checkpoint) == content(trial, calls)
        assert {path.name for path in self.files} == {checkpoint.file for checkpoint in found.values()}


moves = st.lists(
    st.one_of(
        st.tuples(st.just("train"), st.sets(st.integers(0, 5), min_size=1)),
        st.tuples(st.just("report"), st.integers(0, 5), st.sampled_from([0.0, 1.0, 2.0, math.nan, -math.inf])),
        st.tuples(st.just("end"), st.integers(0, 5)),
    ),
    max_size=30,
)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(moves=moves, keep_all=st.booleans())
def test_exactly_the_files_that_are_needed_remain(tmp_path_factory, moves, keep_all):
    search = Search(tmp_path_factory.mktemp("models"), keep_all)
    for name, *arguments in moves:
        if name == "train":
            trials = arguments[0] - search.ended.keys()
            if trials:
                search.train(trials)
        elif name == "report":
            trial, score = arguments
            if trial not in search.ended and (trial in search.calls or math.isnan(score)):
                search.report(trial, score)
        elif arguments[0] not in search.ended:
            search.end(arguments[0])
        search.check()


@pytest.fixture
def search(tmp_path):
    return Search(tmp_path)


def test_a_trial_never_trained_has_no_model(search):
    assert search.kept.latest(0) is None


def test_the_scored_model_outlives_later_training(search):
    search.train({0})
    search.report(0, 1.0)
    for _ in range(3):
        search.train({0})
    assert search.kept.read(search.kept.scored(0)) == content(0, 1)
    assert search.kept.read(search.kept.latest(0)) == content(0, 4)
    assert len(search.files) == 2


def test_a_file_stays_while_one_of_its_trials_needs_it(search):
    search.train({0, 1, 2})
    for trial in (0, 1):
        search.end(trial)
        assert len(search.files) == 1
    search.end(2)
    assert search.files == []


def test_the_lower_number_wins_a_tie_whichever_ends_first(search):
    for trial in (1, 0, 2):
        search.train({trial})
        search.report(trial, 0.5)
        search.end(trial)
    assert search.kept.read(search.kept.scored(0)) == content(0, 1)
    assert len(search.files) == 1


def test_a_model_that_came_with_a_report_is_stored(search):
    checkpoint = search.kept.write(4, 2, b"bytes")
    search.kept.trained(checkpoint)
    assert search.kept.latest(4) == checkpoint
    assert search.kept.read(checkpoint) == b"bytes"


def test_the_models_that_came_with_one_that_was_discarded_stay(tmp_path):
    store = ModelStore(str(tmp_path))
    kept = KeptModels(store)
    written = store.write({(0, 3): b"dropped while it was trained ahead", (1, 3): b"goes on"})
    kept.discard(written[0])  # the trial was dropped; the other of the same step is taken in after it
    kept.trained(written[1])
    kept.tidy()
    assert kept.read(written[1]) == b"goes on"
