"""Searches by whole fits that begin with what earlier searches have found."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from sklearn.linear_model import LogisticRegression, SGDClassifier

import dhpo
from dhpo import GridSearchCV, RandomizedSearchCV
from tests.conftest import threads_of_this_process
from tests.integration.starting_from import (
    CLASSES,
    LAZY,
    SPACE,
    X,
    Y,
    decision,
    fits_made,
    halving,
    params_of,
    scores_of,
    whole,
)


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[Client]:
    with threads_of_this_process(2) as cluster, cluster.get_client() as client:
        yield client


@pytest.fixture(autouse=True)
def quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhpo.search.base.make_display", lambda verbose: None)


def test_whole_fits_of_the_same_candidates_are_not_done_again(tmp_path: Path) -> None:
    whole().fit(X, Y, journal=tmp_path / "six")
    on = whole(n_iter=10).fit(X, Y, journal=tmp_path / "ten", start_from=tmp_path / "six")
    once = whole(n_iter=10).fit(X, Y)
    assert (params_of(on), scores_of(on)) == (params_of(once), scores_of(once))
    assert fits_made(on) == 12
    assert on.metadata_["reused_fits"] == 18
    again = whole(n_iter=10).fit(X, Y, journal=tmp_path / "ten")
    assert scores_of(again) == scores_of(once)


def test_the_plan_of_whole_fits_knows_of_no_seed_and_no_models(tmp_path: Path) -> None:
    whole(n_iter=2).fit(X, Y, journal=tmp_path / "fits")
    halving(n_initial_parameters=3).fit(*LAZY, **CLASSES, journal=tmp_path / "blocks")
    same = "the scores of 2 trials, if the data and its splits are the same"
    assert said(whole(n_iter=3), tmp_path / "fits") == said(whole(random_state=1), tmp_path / "fits") == same
    assert said(whole(scoring="roc_auc"), tmp_path / "fits") == "parameters alone: another scoring"
    assert said(whole(), tmp_path / "blocks") == "parameters alone: it trained candidates block by block"
    assert said(halving(), tmp_path / "fits") == "parameters alone: it fitted candidates whole"
    either = RandomizedSearchCV(SGDClassifier(), SPACE)  # its data would tell
    assert said(either, tmp_path / "fits") == "parameters alone: another cv and estimator"
    assert fits_made(whole(n_iter=2, random_state=0).fit(X, Y, start_from=tmp_path / "fits")) == 0


def said(search: Any, journal: Path) -> str:
    """What its plan says of an earlier search."""
    (note,) = search.plan(start_from=journal).notes
    return note.removeprefix(f"from {journal}: ")


def test_the_earlier_search_of_whole_fits_may_be_deleted_once_it_was_started_from(tmp_path: Path) -> None:
    whole(n_iter=2).fit(X, Y, journal=tmp_path / "two")
    started = whole(n_iter=3).fit(X, Y, journal=tmp_path / "three", start_from=tmp_path / "two")
    shutil.rmtree(tmp_path / "two")
    again = whole(n_iter=3).fit(X, Y, journal=tmp_path / "three", start_from=[tmp_path / "two"])
    assert scores_of(again) == scores_of(started)
    assert again.metadata_["reused_fits"] == 6


@pytest.mark.parametrize("n_left", [1, 2, 3])
def test_fits_that_are_taken_over_are_counted_once(n_left: int, tmp_path: Path) -> None:
    whole(n_iter=2).fit(X, Y, journal=tmp_path / "two")
    whole(n_iter=3).fit(X, Y, journal=tmp_path / "run", start_from=tmp_path / "two")
    journal = tmp_path / "run" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    fits = [place for place, line in enumerate(lines) if b'"event": "fit"' in line or b'"event":"fit"' in line]
    journal.write_bytes(b"".join(lines[: fits[n_left - 1] + 1]))  # as if the process had died there
    on = whole(n_iter=3).fit(X, Y, journal=tmp_path / "run", start_from=tmp_path / "two")
    assert on.metadata_["reused_fits"] == 6
    assert scores_of(on) == scores_of(whole(n_iter=3).fit(X, Y))


def test_a_larger_grid_takes_over_what_was_fitted(tmp_path: Path) -> None:
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=3).fit(X, Y, journal=tmp_path / "two")
    on = GridSearchCV(LogisticRegression(), {"C": [0.01, 0.1, 1, 10]}, cv=3).fit(X, Y, start_from=tmp_path / "two")
    assert fits_made(on) == 6
    assert scores_of(on) == scores_of(GridSearchCV(LogisticRegression(), {"C": [0.01, 0.1, 1, 10]}, cv=3).fit(X, Y))


@pytest.mark.parametrize(
    ("other", "why"), [("data", "other data"), ("cv", "another cv"), ("scoring", "another scoring")]
)
def test_whole_fits_on_other_data_begin_with_the_best_parameters(other: str, why: str, tmp_path: Path) -> None:
    first = whole().fit(X, Y, journal=tmp_path / "six")
    given = {"cv": {"cv": 4}, "scoring": {"scoring": "roc_auc"}, "data": {}}[other]
    search = whole(random_state=1, **given).fit(X + (other == "data"), Y, start_from=tmp_path / "six")
    assert decision(search).why == why
    assert search.metadata_["reused_fits"] == 0
    assert params_of(search)[0] == first.best_params_


def test_a_search_in_this_process_knows_its_journal_in_any_folder_and_itself_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    first = whole(n_iter=2).fit(X, Y, journal="run")
    stored = dhpo.load("run")
    monkeypatch.chdir(tmp_path / "elsewhere")
    for source in (first, stored):
        assert fits_made(whole(n_iter=2).fit(X, Y, start_from=source)) == 0
    assert len(next(iter(stored.stream()))) == 2
    shutil.rmtree(tmp_path / "run")
    for source in (first, stored):
        search = whole(n_iter=2, random_state=1).fit(X, Y, start_from=source)
        assert "it has no journal" in decision(search).why
        assert params_of(search)[0] == first.best_params_
