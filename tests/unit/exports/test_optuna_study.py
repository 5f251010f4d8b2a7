"""A search as a study of Optuna, from histories that are made by hand."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from dhpo.errors import ExtraNotInstalled
from dhpo.exports.optuna_study import study_of
from dhpo.history.events import (
    Dropped,
    Event,
    Planned,
    Promoted,
    Reported,
    SplitScores,
    StepDone,
    StepStats,
    Stopped,
    TrialStarted,
)
from dhpo.history.history import History
from dhpo.space.parameter_range import ParameterRange, scales_of
from dhpo.trial import Drop, Report, Train, Trial
from tests.unit.views.events import TWO_BRACKETS, history_of

NAN = float("nan")
BEGAN = 1_700_000_000.0
RANGES = {
    "alpha": ParameterRange("log", 1e-6, 1.0),
    "n": ParameterRange("linear", 1, 99, integers=True),
    "penalty": ParameterRange("category", choices=("l1", None, "(1, 2)")),
}
PLANNED = Planned(TWO_BRACKETS, 0.0, "HyperbandSearchCV(SGDClassifier)", scales_of(RANGES), RANGES, BEGAN)


def started(number: int, time: float = 1.0, bracket: int = 0, **params: Any) -> Event:
    return TrialStarted(Trial(number, params, bracket), time)


def reported(number: int, resource: int, score: float, time: float, error: str | None = None) -> Event:
    return Reported(Report(number, resource, score, 0.5, 0.25, error), time)


SEARCH: list[Event] = [
    PLANNED,
    started(0, 1.0, 1, alpha=0.01, n=3, penalty="l1"),
    started(1, 1.5, 1, alpha=0.1, n=99, penalty=(1, 2)),
    started(2, 2.0, 0, alpha=1.0, n=1, penalty=None),
    StepDone({0: 1, 1: 1, 2: 1}, StepStats(calls=3), 2.5, worker="w0"),
    reported(0, 1, 0.5, 3.0),
    reported(1, 1, 0.25, 3.5),
    reported(2, 1, 0.75, 4.0),
    Dropped(Drop(1, "not promoted"), 4.5),
    Promoted(Train(0, 3, 1, 1), 4.5),
    reported(0, 3, 0.875, 6.0),
    reported(2, 2, NAN, 7.0, "Traceback\n  ...\nValueError: bad\n"),
    Dropped(Drop(0, "finished"), 6.5),
    Dropped(Drop(2, "failed"), 7.5),
]
DONE = [*SEARCH, Stopped("done", 8.0)]


def study(*events: Event, running: bool = False, **where: Any) -> optuna.Study:
    return study_of(history_of(*(events or DONE)), running=running, **where)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(BEGAN + seconds)


def test_trials_have_states_scores_and_times() -> None:
    complete, pruned, failed = study().trials
    assert [trial.number for trial in (complete, pruned, failed)] == [0, 1, 2]
    assert (complete.state, complete.value) == (TrialState.COMPLETE, 0.875)
    assert (pruned.state, pruned.value) == (TrialState.PRUNED, 0.25)
    assert (failed.state, failed.value) == (TrialState.FAIL, None)
    assert complete.intermediate_values == {1: 0.5, 3: 0.875}
    assert failed.intermediate_values == {1: 0.75}
    assert (complete.datetime_start, complete.datetime_complete) == (at(1.0), at(6.5))
    assert (failed.datetime_start, failed.datetime_complete) == (at(2.0), at(7.5))


def test_attributes_tell_what_optuna_has_no_word_for() -> None:
    complete, _, failed = study().trials
    assert complete.user_attrs == {
        **{"trial": 0, "status": "finished", "resource": 3, "bracket": 1, "rung": 1, "seconds": 1.5, "worker": "w0"}
    }
    assert failed.user_attrs["status"] == "failed"
    assert failed.user_attrs["error"] == "ValueError: bad"
    told = study().user_attrs
    assert told["title"] == "HyperbandSearchCV(SGDClassifier)"
    assert told["status"] == "done"
    assert told["resource"] == "calls of partial_fit"
    assert told["costs"]["partial_fit_calls"] == 6


def test_parameters_have_the_distributions_of_the_space() -> None:
    first, second, _ = study().trials
    assert first.distributions == {
        "alpha": FloatDistribution(1e-6, 1.0, log=True),
        "n": IntDistribution(1, 99),
        "penalty": CategoricalDistribution(("l1", None, "(1, 2)")),
    }
    assert second.params == {"alpha": 0.1, "n": 99, "penalty": "(1, 2)"}
    assert study().best_params == first.params


@pytest.mark.parametrize(
    ("of_space", "values", "distribution"),
    [
        (ParameterRange("linear", -1.0, 1.0), [0.5], FloatDistribution(-1.0, 1.0)),
        (ParameterRange("log", 1, 100, integers=True), [5], IntDistribution(1, 100, log=True)),
        (ParameterRange("log", 1, 100, True, (1, 10, 100)), [10], CategoricalDistribution((1, 10, 100))),
        # Without a bound it reaches as far as values were drawn.
        (ParameterRange("linear"), [-2.5, 4], FloatDistribution(-2.5, 4.0)),
        (ParameterRange("linear", 0, None, integers=True), [7, 2], IntDistribution(0, 7)),
        # A sampler of one's own may draw what the space does not have.
        (ParameterRange("linear", 0.0, 1.0), [1.5], FloatDistribution(0.0, 1.5)),
        (ParameterRange("linear", 0, 9, integers=True), [0.5], FloatDistribution(0.0, 9.0)),
        (ParameterRange("log", 0.5, 9.0), [-1.0], FloatDistribution(-1.0, 9.0)),
        (ParameterRange("linear", 0.0, 1.0), [0.5, "auto"], CategoricalDistribution((0.5, "auto"))),
        (ParameterRange("category", choices=("l1",)), ["l2"], CategoricalDistribution(("l1", "l2"))),
        # Of a journal that does not tell.
        (None, [0.5, 0.25], FloatDistribution(0.25, 0.5)),
        (None, [True], CategoricalDistribution((True,))),
        (None, [NAN], CategoricalDistribution(("nan",))),
        # Optuna takes these for one.
        (ParameterRange("category", choices=(1, 1.0, True)), [1.0], CategoricalDistribution(("1", "1.0", "True"))),
        (ParameterRange("category", choices=(1, True, None)), [None], CategoricalDistribution(("1", "True", None))),
        (ParameterRange("linear", 0, 9, integers=True), [2**80], FloatDistribution(0.0, 2.0**80)),
    ],
)
def test_whatever_was_drawn_has_a_sound_distribution(
    of_space: ParameterRange | None, values: list[Any], distribution: Any
) -> None:
    ranges = {} if of_space is None else {"a": of_space}
    events = [
        Planned(TWO_BRACKETS, 0.0, "", scales_of(ranges), ranges),
        *(started(i, a=v) for i, v in enumerate(values)),
    ]
    for trial in study(*events, Stopped("stopped", 1.0)).trials:
        assert trial.distributions == {"a": distribution}
        assert list(map(type, getattr(distribution, "choices", ()))) == list(
            map(type, getattr(trial.distributions["a"], "choices", ()))
        )


def test_a_parameter_that_some_trials_do_not_have_is_left_out_of_them() -> None:
    first, second = study(PLANNED, started(0, alpha=0.5), started(1), Stopped("stopped", 1.0)).trials
    assert (first.params, second.params) == ({"alpha": 0.5}, {})


def test_while_the_search_runs_trials_run_that_have_not_ended() -> None:
    events = [*SEARCH[:8], started(3, 5.0, alpha=0.5)]
    states = [trial.state for trial in study(*events, running=True).trials]
    assert states == [TrialState.RUNNING] * 4
    assert study(*events, running=True).trials[0].intermediate_values == {1: 0.5}
    assert study(*events, running=True).trials[0].datetime_complete is None
    assert study(*events, running=True).user_attrs["status"] == "running"


def test_trials_that_ended_with_the_search_are_pruned() -> None:
    """Of a search that was stopped, and of one whose process died; the best so far is complete all the same."""
    for last in ([Stopped("stopped", 9.0)], []):
        first, _, best, new = study(*SEARCH[:8], started(3, 5.0, alpha=0.5), *last).trials
        assert (first.state, first.value) == (TrialState.PRUNED, 0.5)
        assert (best.state, best.value) == (TrialState.COMPLETE, 0.75)
        assert (new.state, new.value, new.intermediate_values) == (TrialState.PRUNED, None, {})
        assert new.datetime_complete == at(9.0 if last else 5.0)


def test_the_best_trial_is_that_of_the_search() -> None:
    """Also where others of its rung were better at that time, and are worse now."""
    late = [reported(0, 5, 0.125, 7.0), Stopped("done", 8.0)]
    history = history_of(*SEARCH, *late)
    best = history.best
    assert best is not None
    assert best.trial.number == 1
    made = study_of(history, running=False)
    assert (made.best_trial.number, made.best_value) == (1, 0.25)
    assert made.best_trial.user_attrs["status"] == "not promoted"


def test_several_metrics_are_attributes() -> None:
    splits = (SplitScores({"auc": 0.5, "f1": 0.25}), SplitScores({"auc": 1.0, "f1": NAN}))
    events = [
        PLANNED,
        started(0, alpha=0.5),
        Reported(Report(0, 2, 0.75), 2.0, splits),
        Dropped(Drop(0, "finished"), 2.0),
    ]
    (trial,) = study(*events, Stopped("done", 3.0)).trials
    assert trial.user_attrs["test_auc"] == 0.75
    assert "test_f1" not in trial.user_attrs


def test_whole_fits_are_told_as_such() -> None:
    history = History(by_fits=True)
    for event in [PLANNED, started(0, alpha=0.5), reported(0, 5, 0.5, 2.0), Stopped("done", 3.0)]:
        history.append(event)
    made = study_of(history, running=False)
    assert made.user_attrs["resource"] == "fits"
    assert made.trials[0].intermediate_values == {5: 0.5}


def test_an_empty_history_is_an_empty_study() -> None:
    assert study_of(History(), running=True).trials == []


def test_a_history_that_does_not_tell_when_it_began_ends_now() -> None:
    before = datetime.now()
    (trial,) = study(started(0, 1.0), Dropped(Drop(0, "failed"), 3.0)).trials
    assert trial.datetime_start is not None
    assert trial.datetime_complete is not None
    assert (trial.datetime_complete - trial.datetime_start).total_seconds() == pytest.approx(2.0, abs=1e-3)
    assert before <= trial.datetime_complete <= datetime.now()


@pytest.mark.parametrize("storage", ["sqlite:///{}/a.db", "{}/a.db"])
def test_a_storage_keeps_it(storage: str, tmp_path: Path) -> None:
    made = study(storage=storage.format(tmp_path), study_name="digits")
    (kept,) = optuna.get_all_study_summaries(f"sqlite:///{tmp_path}/a.db")
    assert kept.study_name == made.study_name == "digits"
    loaded = optuna.load_study(study_name="digits", storage=f"sqlite:///{tmp_path}/a.db")
    assert loaded.direction.name == "MAXIMIZE"
    for trial, same in zip(loaded.trials, study().trials, strict=True):
        trial._trial_id = same._trial_id
        assert trial == same
    assert loaded.user_attrs == study().user_attrs


def test_a_study_is_replaced_when_asked_for_alone(tmp_path: Path) -> None:
    storage = tmp_path / "a.db"
    study(*SEARCH, storage=storage, study_name="digits", running=True)
    with pytest.raises(ValueError, match=r"has a study 'digits' already: .*replace=True"):
        study(storage=storage, study_name="digits")
    study(storage=storage, study_name="other")
    study(storage=storage, study_name="digits", replace=True)
    assert [s.study_name for s in optuna.get_all_study_summaries(f"sqlite:///{storage}")] == ["other", "digits"]
    assert optuna.load_study(study_name="digits", storage=f"sqlite:///{storage}").user_attrs["status"] == "done"


def test_optunas_samplers_learn_from_it() -> None:
    made = study()
    made.sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=1)
    asked = made.ask(made.trials[0].distributions)
    assert set(asked.params) == {"alpha", "n", "penalty"}


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ExtraNotInstalled, match=r'pip install "dhpo\[optuna\]"'):
        study()
