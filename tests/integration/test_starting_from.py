"""Searches over blocks that begin with what earlier searches have found."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client
from optuna.samplers import TPESampler
from scipy.stats import loguniform
from sklearn.linear_model import SGDClassifier, SGDRegressor

import dhpo
from dhpo import (
    ASHASearchCV,
    GridSearchCV,
    HyperbandSearchCV,
    IncrementalSearchCV,
    JournalError,
    RandomizedSearchCV,
    SuccessiveHalvingSearchCV,
)
from dhpo.history.events import Reused, StartedFrom
from tests.conftest import threads_of_this_process
from tests.integration.starting_from import (
    CLASSES,
    LAZY,
    SEED,
    SPACE,
    X,
    answer,
    calls_made,
    decision,
    halving,
    params_of,
)

KINDS = {
    "hyperband": lambda max_iter: HyperbandSearchCV(SGDClassifier(), SPACE, max_iter=max_iter, **SEED),
    "halving": lambda max_iter: SuccessiveHalvingSearchCV(SGDClassifier(), SPACE, 9, 1, max_iter, **SEED),
    "asha": lambda max_iter: ASHASearchCV(
        SGDClassifier(), SPACE, 9, max_iter=max_iter, deterministic=4, random_state=0
    ),
    "random": lambda max_iter: RandomizedSearchCV(SGDClassifier(), SPACE, n_iter=4, max_iter=max_iter, random_state=0),
    "incremental": lambda max_iter: IncrementalSearchCV(
        SGDClassifier(), SPACE, 4, max_iter=max_iter, fits_per_score=2, patience=4, random_state=0
    ),
    "folds": lambda max_iter: RandomizedSearchCV(
        SGDClassifier(), SPACE, n_iter=3, max_iter=max_iter, cv=3, random_state=0
    ),
}


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[Client]:
    with threads_of_this_process(2) as cluster, cluster.get_client() as client:
        yield client


@pytest.fixture(autouse=True)
def quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhpo.search.base.make_display", lambda verbose: None)


@pytest.fixture(scope="module")
def earlier(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a search, read only."""
    folder = tmp_path_factory.mktemp("earlier") / "run"
    halving(verbose=0).fit(*LAZY, **CLASSES, journal=folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_that_goes_on_is_the_one_that_goes_all_the_way_at_once(kind: str, tmp_path: Path) -> None:
    make = KINDS[kind]
    make(3).fit(*LAZY, **CLASSES, journal=tmp_path / "short")
    on = make(9).fit(*LAZY, **CLASSES, journal=tmp_path / "long", start_from=tmp_path / "short")
    once = make(9).fit(*LAZY, **CLASSES)
    assert answer(on) == answer(once)
    costs = on.metadata_
    assert costs["reused_calls"] > 0
    # Hyperband's later brackets begin with more calls, so the models of some trials are begun anew.
    again = costs["wasted_calls"] if kind == "hyperband" else 0
    n_models = 3 if kind == "folds" else 1
    assert calls_made(on) == calls_made(once) - n_models * costs["reused_calls"] + again
    stored = dhpo.load(tmp_path / "long")
    np.testing.assert_array_equal(stored.best_estimator_.coef_, once.best_estimator_.coef_)


def test_no_call_of_a_trial_whose_model_is_there_is_made_again(earlier: Path) -> None:
    on = halving(max_iter=27).fit(*LAZY, **CLASSES, start_from=[earlier])
    once = halving(max_iter=27).fit(*LAZY, **CLASSES)
    assert answer(on) == answer(once)
    assert on.metadata_["wasted_calls"] == 0
    assert calls_made(on) == calls_made(once) - dhpo.load(earlier).history.costs()["partial_fit_calls"]


def test_a_search_without_a_seed_takes_that_of_the_search_it_starts_from(tmp_path: Path) -> None:
    first = halving(random_state=None).fit(*LAZY, **CLASSES, journal=tmp_path / "run")
    on = halving(random_state=None, max_iter=27).fit(*LAZY, **CLASSES, start_from=dhpo.load(tmp_path / "run"))
    assert params_of(on) == params_of(first)
    assert decision(on).models


def test_more_trials(earlier: Path) -> None:
    more = halving(n_initial_parameters=18, max_iter=9)
    on = more.fit(*LAZY, **CLASSES, start_from=earlier)
    assert answer(on) == answer(halving(n_initial_parameters=18, max_iter=9).fit(*LAZY, **CLASSES))
    assert on.metadata_["reused_calls"] >= 9


def test_another_metric_scores_the_models_that_are_there(earlier: Path, tmp_path: Path) -> None:
    make = KINDS["random"]
    make(3).fit(*LAZY, **CLASSES, journal=tmp_path / "run")
    other = make(3).set_params(scoring="roc_auc").fit(*LAZY, **CLASSES, start_from=tmp_path / "run")
    decided = decision(other)
    assert (decided.models, decided.scores, decided.why) == (True, False, "another scoring")
    assert calls_made(other) == 0
    assert answer(other) == answer(make(3).set_params(scoring="roc_auc").fit(*LAZY, **CLASSES))


def test_other_data_gets_the_best_parameters_first(earlier: Path) -> None:
    other = da.from_array(X + 1, (100, 5))
    search = halving(random_state=1).fit(other, LAZY[1], **CLASSES, start_from=earlier)
    decided = decision(search)
    assert (decided.models, decided.scores, decided.why) == (False, False, "another random_state")
    ranked = dhpo.load(earlier).summary()
    best = [{"alpha": row.param_alpha, "penalty": row.param_penalty} for row in ranked.itertuples()]
    assert params_of(search) == best  # as many as the search has trials
    assert search.metadata_["reused_calls"] == 0
    same_seed = halving().fit(other, LAZY[1], **CLASSES, start_from=earlier)
    assert decision(same_seed).why == "other data"
    assert not decision(same_seed).points  # it draws the same trials by itself


def test_labels_that_dask_computes_are_a_part_of_the_data(tmp_path: Path) -> None:
    labels = [da.from_array(np.arange(n), chunks=n) for n in (2, 2, 3)]
    halving(max_iter=3).fit(*LAZY, classes=labels[0], journal=tmp_path / "lazy")
    same = halving(max_iter=3).fit(*LAZY, classes=labels[1], start_from=tmp_path / "lazy")
    other = halving(max_iter=3).fit(*LAZY, classes=labels[2], start_from=tmp_path / "lazy")
    assert (calls_made(same), calls_made(other)) == (0, calls_made(halving(max_iter=3).fit(*LAZY, **CLASSES)))
    assert other.metadata_["reused_calls"] == 0
    assert other.best_estimator_.coef_.shape == (3, 5)


def test_another_estimator_gets_the_best_parameters_first(earlier: Path) -> None:
    search = halving(estimator=SGDClassifier(loss="log_loss"), random_state=None, n_initial_parameters=18)
    search.fit(*LAZY, **CLASSES, start_from=earlier)
    assert decision(search).why == "another estimator and random_state"
    best = dhpo.load(earlier).best_params_
    assert params_of(search)[0] == best
    assert len(decision(search).points) == 9


def test_another_version_of_scikit_learn_gets_the_best_parameters_first_and_goes_on_with_its_own_journal(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(earlier, tmp_path / "run")
    monkeypatch.setattr("sklearn.__version__", "99.0")
    search = halving().fit(*LAZY, **CLASSES, start_from=earlier)
    assert decision(search).why == "another version of a package"
    assert search.metadata_["reused_calls"] == 0
    assert "parameters alone: another version of a package" in halving().plan(start_from=earlier).notes[0]
    assert answer(halving().fit(*LAZY, **CLASSES, journal=tmp_path / "run")) == answer(halving().fit(*LAZY, **CLASSES))


def test_a_wider_space_goes_on_with_the_models_of_the_best(earlier: Path) -> None:
    wider = {"alpha": loguniform(1e-7, 10), "penalty": ["l1", "l2", "elasticnet"]}
    search = halving(parameters=wider, n_initial_parameters=27, max_iter=9)
    search.fit(*LAZY, **CLASSES, start_from=earlier)
    decided = decision(search)
    assert decided.models
    stored = dhpo.load(earlier)
    assert sorted(decided.points) == list(range(9))  # under their own numbers, which seed their models
    assert {number: params_of(search)[number] for number in range(9)} == {
        t.number: t.params for t in stored.history.trials
    }
    assert search.metadata_["reused_calls"] >= 9


def test_a_narrower_space_takes_what_lies_in_it(earlier: Path) -> None:
    narrower = {"alpha": loguniform(1e-3, 1), "penalty": ["l1", "l2"]}
    search = halving(parameters=narrower, n_initial_parameters=9).fit(*LAZY, **CLASSES, start_from=earlier)
    alphas = [params["alpha"] for params in params_of(search)]
    assert min(alphas) >= 1e-3
    inside = [t.params for t in dhpo.load(earlier).history.trials if t.params["alpha"] >= 1e-3]
    assert 0 < len(inside) < 9
    assert sorted(params["alpha"] for params in decision(search).points.values()) == sorted(p["alpha"] for p in inside)


def test_a_search_in_this_process_without_a_journal_gives_its_parameters() -> None:
    first = halving(random_state=5).fit(*LAZY, **CLASSES)
    search = halving(random_state=6).fit(*LAZY, **CLASSES, start_from=first)
    assert "it has no journal" in decision(search).why
    assert params_of(search)[0] == first.best_params_
    again = halving(random_state=7).fit(*LAZY, **CLASSES, start_from=[first, search])
    decided = [event for event in again._history.events if isinstance(event, StartedFrom)]
    assert [len(event.points) for event in decided] == [9, 0]  # there is no room for more


def test_a_fitted_search_with_a_journal_gives_its_models(tmp_path: Path) -> None:
    first = halving().fit(*LAZY, **CLASSES, journal=tmp_path / "run")
    on = halving(max_iter=27).fit(*LAZY, **CLASSES, start_from=first)
    assert decision(on).models
    assert answer(on) == answer(halving(max_iter=27).fit(*LAZY, **CLASSES))


@pytest.mark.parametrize("folder", ["empty", "gone"])
def test_models_that_are_gone_are_trained_again(folder: str, earlier: Path, tmp_path: Path) -> None:
    shutil.copytree(earlier, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "models")
    if folder == "empty":
        (tmp_path / "copy" / "models").mkdir()
    on = halving(max_iter=27).fit(*LAZY, **CLASSES, start_from=tmp_path / "copy")
    once = halving(max_iter=27).fit(*LAZY, **CLASSES)
    assert answer(on) == answer(once)
    assert 0 < calls_made(on) < calls_made(once)  # trials that were dropped are known by their scores


def test_the_earlier_search_may_be_deleted_once_it_was_started_from(earlier: Path, tmp_path: Path) -> None:
    shutil.copytree(earlier, tmp_path / "copy")
    wider = {"alpha": loguniform(1e-7, 10), "penalty": ["l1", "l2"]}
    search = halving(parameters=wider, n_initial_parameters=12, max_iter=9)
    whole = search.fit(*LAZY, **CLASSES, journal=tmp_path / "run", start_from=tmp_path / "copy")
    expected, made = answer(whole), calls_made(whole)
    shutil.rmtree(tmp_path / "copy")
    for start_from in (None, tmp_path / "copy"):  # the very same call, too
        again = halving(parameters=wider, n_initial_parameters=12, max_iter=9)
        again.fit(*LAZY, **CLASSES, journal=tmp_path / "run", start_from=start_from)
        assert answer(again) == expected
        assert calls_made(again) == made
    with pytest.raises(FileNotFoundError, match="copy is no journal"):
        halving().fit(*LAZY, **CLASSES, journal=tmp_path / "new", start_from=tmp_path / "copy")
    assert not (tmp_path / "new").exists()


def test_a_score_that_came_without_its_model_is_not_taken_for_that_of_another_model(
    client: Client, tmp_path: Path
) -> None:
    def short(max_iter: int) -> SuccessiveHalvingSearchCV:
        return halving(n_initial_parameters=6, aggressiveness=2, max_iter=max_iter)

    short(1).fit(*LAZY, **CLASSES, journal=tmp_path / "one")
    short(4).fit(*LAZY, **CLASSES, journal=tmp_path / "four")
    shutil.rmtree(tmp_path / "four" / "models")
    search = short(2).fit(*LAZY, **CLASSES, journal=tmp_path / "two", start_from=[tmp_path / "one", tmp_path / "four"])
    resources = search.summary()["resource"]
    stored = dhpo.load(tmp_path / "two")
    rows = sum(5 * len(chunk) for chunk in np.array_split(X, 6)) / 6 / 5  # of a block
    found = 0
    for trial, resource in resources.items():
        try:
            model = stored.model(trial)
        except KeyError:
            continue
        found += 1
        assert model.t_ - 1 == pytest.approx(resource * rows * 5 / 6, rel=0.1)  # a sixth or so is held out
    assert 0 < found < 6


def test_searches_over_blocks_share_their_trials_whatever_their_class(tmp_path: Path) -> None:
    space = {"alpha": [1e-4, 1e-2]}
    GridSearchCV(SGDClassifier(), space, max_iter=2, random_state=0).fit(*LAZY, **CLASSES, journal=tmp_path / "grid")
    search = IncrementalSearchCV(SGDClassifier(), space, "grid", max_iter=2, fits_per_score=2, random_state=0)
    (note,) = search.plan(start_from=tmp_path / "grid").notes
    assert "the scores and models of 2 trials" in note
    assert calls_made(search.fit(*LAZY, **CLASSES, start_from=tmp_path / "grid")) == 0


def test_journals_in_an_object_store(earlier: Path) -> None:
    halving().fit(*LAZY, **CLASSES, journal="memory://starting/short")
    on = halving(max_iter=27).fit(
        *LAZY, **CLASSES, journal="memory://starting/long", start_from="memory://starting/short"
    )
    once = halving(max_iter=27).fit(*LAZY, **CLASSES)
    assert answer(on) == answer(once)
    assert on.metadata_["wasted_calls"] == 0
    assert calls_made(on) < calls_made(once)


def test_a_search_that_learns_begins_with_what_was_learned(earlier: Path) -> None:
    learned = halving(sampler="tpe", random_state=1).fit(*LAZY, **CLASSES, start_from=earlier)
    decided = decision(learned)
    assert len(decided.learned) >= 3
    assert all(0 <= score < 1 for _, score in decided.learned)
    assert params_of(learned)[0] == dhpo.load(earlier).best_params_
    unseeded = halving(sampler=TPESampler()).fit(*LAZY, **CLASSES, start_from=earlier)  # there is nothing to go on with
    assert decision(unseeded).models


def test_the_plan_says_what_will_be_taken_over(earlier: Path) -> None:
    said = str(halving(max_iter=27).plan(start_from=earlier)).splitlines()[-1]
    assert said == f"from {earlier}: the scores and models of 9 trials, if the data is the same"
    said = str(halving(scoring="roc_auc").plan(start_from=[earlier])).splitlines()[-1]
    assert said.endswith("the models of 9 trials, if the data is the same, and no scores: another scoring")
    said = str(halving(estimator=SGDRegressor()).plan(start_from=earlier)).splitlines()[-1]
    assert said.endswith("parameters alone: another estimator")
    assert "another scoring" in halving(scoring="roc_auc").plan(start_from=[earlier])._repr_html_()


def test_the_plan_draws_nothing_from_a_generator(tmp_path: Path) -> None:
    halving(random_state=np.random.RandomState(3)).fit(*LAZY, **CLASSES, journal=tmp_path / "run")
    search = halving(random_state=np.random.RandomState(3))
    for _ in range(2):
        (note,) = search.plan(start_from=tmp_path / "run").notes
        assert "the scores and models of 9 trials" in note
    assert calls_made(search.fit(*LAZY, **CLASSES, start_from=tmp_path / "run")) == 0


@pytest.mark.parametrize(
    ("start_from", "error", "said"),
    [
        (5, TypeError, r"start_from has 5 of type int: give a list of journals"),
        (["nowhere"], FileNotFoundError, "nowhere is no journal of a search"),
        ([SGDClassifier()], TypeError, "of type SGDClassifier"),
    ],
)
def test_what_a_search_cannot_start_from(start_from: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        halving().fit(*LAZY, **CLASSES, start_from=start_from)
    with pytest.raises(error, match=said):
        halving().plan(start_from=start_from)


def test_a_search_does_not_start_from_its_own_journal(earlier: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(earlier)
    for name in (str(earlier), f"file://{earlier}", tmp_path / "link"):
        with pytest.raises(ValueError, match="names the journal of this very search"):
            halving().fit(*LAZY, **CLASSES, journal=earlier, start_from=name)


def test_a_search_that_was_begun_without_does_not_start_from_another(earlier: Path, tmp_path: Path) -> None:
    halving(max_iter=27).fit(*LAZY, **CLASSES, journal=tmp_path / "run")
    with pytest.raises(JournalError, match="was begun without start_from="):
        halving(max_iter=27).fit(*LAZY, **CLASSES, journal=tmp_path / "run", start_from=earlier)


def test_reused_scores_are_told_of(earlier: Path) -> None:
    on = halving(max_iter=27).fit(*LAZY, **CLASSES, start_from=earlier)
    reused = [event for event in on._history.events if isinstance(event, Reused)]
    assert {event.source for event in reused} == {str(earlier)}
    assert on.summary().attrs["reused_calls"] == on.metadata_["reused_calls"] > 0
