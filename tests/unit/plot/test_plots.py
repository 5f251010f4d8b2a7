"""The numbers that pictures draw, and what they refuse."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV

import dhpo
from dhpo import plot
from dhpo.history.events import Event, Planned, Reported, SplitScores, StepDone, StepStats
from dhpo.history.frames import report_frame, trial_frame
from dhpo.history.history import History
from dhpo.trial import Report
from tests.unit.views.events import TWO_BRACKETS, history_of, started

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def scored(trial: int, resource: int, score: float, time: float, *, folds: tuple[float, ...] = ()) -> Event:
    splits = tuple(SplitScores({"other": -fold, "accuracy": fold}, {"accuracy": fold + 0.1}) for fold in folds)
    return Reported(Report(trial, resource, score), time, splits)


def step(time: float, worker: str, calls: int, **progress: int) -> Event:
    done = {int(name[1:]): reached for name, reached in progress.items()}
    return StepDone(done, StepStats(calls=calls, seconds=0.5), time, worker=worker)


@pytest.fixture
def history() -> History:
    """Three trials of bracket 1, of which one goes on, and two of bracket 0, of which one fails."""
    return history_of(
        Planned(TWO_BRACKETS, 0.0, scales={"alpha": "log", "loss": "category"}),
        started(0, 1, alpha=0.1, loss="hinge"),
        started(1, 1, alpha=0.01, loss="hinge"),
        started(2, 1, alpha=0.02, loss="log_loss"),
        step(1.0, "a", 3, t0=1, t1=1, t2=1),
        scored(0, 1, 0.5, 1.0),
        scored(1, 1, 0.7, 1.1),
        scored(2, 1, 0.6, 1.2),
        started(3, alpha=1.0, loss=None),
        started(4, alpha=0.5, loss=None),
        step(2.0, "b", 6, t3=3, t4=3),
        scored(3, 3, 0.65, 2.0),
        Reported(Report(4, 3, np.nan, error="ValueError: no"), 2.0),
        step(3.0, "a", 2, t1=3),
        scored(1, 3, 0.8, 3.0),
    )


@pytest.fixture
def frame() -> pd.DataFrame:
    """Forty trials whose score alpha decides, and gamma does not."""
    rng = np.random.default_rng(0)
    alpha, gamma = 10 ** rng.uniform(-4, 0, 40), rng.uniform(0, 1, 40)
    return pd.DataFrame({"param_alpha": alpha, "param_gamma": gamma, "score": 1 - (np.log10(alpha) + 2) ** 2 / 10})


def test_history_draws_the_best_until_each_trial(history: History) -> None:
    data = plot.history(history).data_
    assert data["trial"].tolist() == [0, 1, 2, 3]  # 4 failed
    assert data["score"].tolist() == [0.5, 0.8, 0.6, 0.65]
    assert data["best"].tolist() == [0.5, 0.8, 0.8, 0.8]


@pytest.mark.parametrize(
    ("against", "expected"),
    [("calls", [3, 3, 11]), ("seconds", [1.0, 1.1, 3.0]), ("trials", [1, 2, 4])],
)
def test_best_so_far_against_work_and_time(history: History, against: str, expected: list[float]) -> None:
    data = plot.best_so_far(history, against=against).data_
    assert data[against].tolist() == expected
    assert data["best"].tolist() == [0.5, 0.7, 0.8]


def test_several_searches_are_named_in_one_picture(history: History) -> None:
    display = plot.best_so_far({"small": history, "large": history})
    assert display.data_["search"].unique().tolist() == ["small", "large"]
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["small", "large"]
    with pytest.raises(ValueError, match=r"No search was given"):
        plot.history([])


def test_learning_curves_of_the_best(history: History) -> None:
    display = plot.learning_curves(history, top=1)
    assert display.data_[["trial", "resource", "score"]].to_numpy().tolist() == [[1, 1, 0.7], [1, 3, 0.8]]
    assert [line.get_label() for line in display.ax_.lines] == ["best: trial 1"]
    assert set(plot.learning_curves(history).data_["trial"]) == {0, 1, 2, 3}


def test_folds_make_bands_of_the_metric_that_decides() -> None:
    folds = history_of(started(0, alpha=1.0), scored(0, 1, 0.6, 1.0, folds=(0.5, 0.7)))
    assert report_frame(folds)["std"].tolist() == pytest.approx([0.1])
    assert trial_frame(folds)[["std", "train_score", "train_std"]].to_numpy().tolist() == [
        pytest.approx([0.1, 0.7, 0.1])
    ]
    assert len(plot.learning_curves(folds).ax_.collections) == 1


def test_rungs_count_trials_once_beside_the_plan(history: History) -> None:
    data = plot.rungs(history).data_
    assert data.to_numpy().tolist() == [[1, 1, 3, 3], [1, 3, 1, 1], [0, 3, 2, 1]]


def test_a_timeline_has_a_bar_for_each_task(history: History) -> None:
    display = plot.timeline(history)
    assert display.data_[["worker", "begin", "end", "bracket", "calls"]].to_numpy().tolist() == [
        ["a", 0.5, 1.0, 1, 3],
        ["b", 1.5, 2.0, 0, 6],
        ["a", 2.5, 3.0, 1, 2],
    ]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["a", "b"]


def test_a_slice_has_the_scales_of_the_space(history: History) -> None:
    display = plot.slice(history)
    assert [(ax.get_xlabel(), ax.get_xscale()) for ax in display.axes_] == [("alpha", "log"), ("loss", "linear")]
    assert [tick.get_text() for tick in display.axes_[1].get_xticklabels()] == ["None", "hinge", "log_loss"]
    assert plot.slice(history, "alpha").ax_.get_xlabel() == "alpha"


def test_a_validation_curve_has_the_best_of_each_value() -> None:
    values = {"param_C": [1, 1, 10, 10], "param_gamma": [0.1, 1, 0.1, 1], "std": [0.1, 0.1, 0.1, 0.2]}
    data = plot.validation_curve(pd.DataFrame({**values, "score": [0.7, 0.8, 0.9, 0.6]}), "C").data_
    assert data[["trial", "param_C", "score", "std"]].to_numpy().tolist() == [[1, 1, 0.8, 0.1], [2, 10, 0.9, 0.1]]


def test_a_validation_curve_of_a_range_has_the_best_of_each_interval(frame: pd.DataFrame) -> None:
    data = plot.validation_curve(frame, "alpha").data_
    assert len(data) <= 12
    assert data["score"].max() == frame["score"].max()
    assert data["param_alpha"].is_monotonic_increasing


def test_a_validation_curve_has_all_categories() -> None:
    names = [f"v{number:02}" for number in range(15)]
    data = plot.validation_curve(pd.DataFrame({"param_p": names, "score": np.linspace(0, 1, 15)}), "p").data_
    assert data["param_p"].tolist() == names


def test_training_scores_are_beside_where_there_are_some() -> None:
    results = pd.DataFrame({"param_C": [1, 10], "mean_test_score": [0.7, 0.8], "mean_train_score": [0.9, 1.0]})
    display = plot.validation_curve(results, "C")
    assert [line.get_label() for line in display.ax_.lines] == ["validation", "training"]
    low, high = display.ax_.get_ylim()
    assert low < 0.7
    assert high > 1.0


def test_a_grid_is_a_heat_map_with_the_best_framed() -> None:
    values = {"param_C": [1, 1, 10, 10], "param_gamma": [0.1, 1, 0.1, 1], "train_score": [1.0, 0.9, 0.8, 0.7]}
    grid = pd.DataFrame({**values, "score": [0.7, 0.8, 0.9, 0.6]})
    display = plot.contour(grid, "C", "gamma", train=True)
    validation, training = display.axes_
    assert [text.get_text() for text in validation.texts] == ["0.7", "0.9", "0.8", "0.6"]
    assert [text.get_text() for text in training.texts] == ["1", "0.8", "0.9", "0.7"]
    (best,) = validation.lines
    assert min(best.get_xdata()) < 10 < max(best.get_xdata())
    assert min(best.get_ydata()) < 0.1 < max(best.get_ydata())


def test_contours_lie_between_trials(frame: pd.DataFrame) -> None:
    display = plot.contour(frame, "alpha", "gamma")
    assert display.ax_.get_xscale() == "log"
    assert len(display.ax_.collections) == 3  # the contours, the trials and the ring around the best


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0, 1.0, 1.0], ["a", "b", "c", "a", "b"]])
def test_where_nothing_lies_between_trials_there_are_no_contours(values: list[Any]) -> None:
    trials = pd.DataFrame({"param_x": np.arange(1.0, 6.0), "param_y": values, "score": np.arange(5.0)})
    assert len(plot.contour(trials, "x", "y").ax_.collections) == 2


def test_parallel_coordinates_draw_the_best_on_top(frame: pd.DataFrame) -> None:
    display = plot.parallel_coordinates(frame, top=5)
    assert display.data_["score"].tolist() == sorted(frame["score"], reverse=True)[:5]
    lines = [line for line in display.ax_.lines if len(line.get_xdata()) == 2 and list(line.get_xdata()) == [0, 1]]
    assert len(lines) == 5
    assert lines[-1].get_linewidth() > lines[0].get_linewidth()


def test_trials_without_a_parameter_go_through_a_place_of_their_own() -> None:
    values = {"param_x": [1.0, 2.0, np.nan], "param_loss": ["a", np.nan, "b"]}
    ax = plot.parallel_coordinates(pd.DataFrame({**values, "score": [0.1, 0.2, 0.3]})).ax_
    lines = [list(line.get_ydata()) for line in ax.lines if list(line.get_xdata()) == [0, 1]]
    assert [[round(float(y), 2) for y in line] for line in lines] == [[0.0, 0.0], [1.0, -0.15], [-0.15, 1.0]]
    assert sum(text.get_text() == "not set" for text in ax.texts) == 2
    assert ax.get_ylim()[0] < -0.15
    infinite = pd.DataFrame({"param_C": [1.0, 2.0, np.inf], "param_x": [1.0, 2.0, 3.0], "score": [0.1, 0.2, 0.3]})
    ax = plot.parallel_coordinates(infinite).ax_
    assert "not set" not in [text.get_text() for text in ax.texts]
    assert max(float(line.get_ydata()[0]) for line in ax.lines if list(line.get_xdata()) == [0, 1]) == 1.0
    best_without = pd.DataFrame({**values, "param_y": [1.0, 2.0, np.nan], "score": [0.1, 0.2, 0.3]})
    assert len(plot.parallel_coordinates(best_without, top=1).data_) == 1


def test_results_and_searches_of_scikit_learn_are_drawn(frame: pd.DataFrame) -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    theirs = GridSearchCV(SGDClassifier(random_state=0), {"alpha": [1e-4, 1.0], "penalty": ["l1", None]}, cv=3)
    theirs.fit(X, X[:, 0] > 0)
    for source in (theirs, theirs.cv_results_):
        assert plot.history(source).data_["score"].tolist() == theirs.cv_results_["mean_test_score"].tolist()
        assert set(plot.slice(source).data_["param_penalty"]) == {"l1", None}
        assert "not set" not in [text.get_text() for text in plot.parallel_coordinates(source).ax_.texts]
    assert plot.history(pd.DataFrame(theirs.cv_results_)).data_["trial"].tolist() == [0, 1, 2, 3]
    several = clone(theirs).set_params(scoring=["accuracy", "f1"], refit="f1").fit(X, X[:, 0] > 0)
    assert plot.history(several).data_["score"].tolist() == several.cv_results_["mean_test_f1"].tolist()
    with pytest.raises(TypeError, match="asked for of a dict"):
        plot.slice({"a": theirs})
    assert plot.history({"theirs": theirs, "ours": frame}).data_["search"].unique().tolist() == ["theirs", "ours"]
    with pytest.raises(ValueError, match="needs all that happened"):
        plot.learning_curves(theirs)
    with pytest.raises(NotFittedError):
        plot.history(GridSearchCV(SGDClassifier(), {"alpha": [1]}))


@pytest.mark.parametrize("picture", [plot.history, plot.best_so_far])
def test_of_several_searches_those_without_a_score_are_named(history: History, picture: Any) -> None:
    display = picture({"new": History(), "old": history})
    assert display.data_["search"].unique().tolist() == ["old"]
    assert "new: no score yet" in [text.get_text() for text in display.ax_.get_legend().get_texts()]
    with pytest.raises(ValueError, match="new has no trial with a score yet"):
        picture({"new": History(), "newer": History()})


def test_importance_finds_what_decides_and_is_repeatable(frame: pd.DataFrame) -> None:
    first, again = plot.importance(frame).data_, plot.importance(frame).data_
    assert first["parameter"].tolist() == ["gamma", "alpha"]
    assert first["importance"].iloc[1] > 5 * abs(first["importance"].iloc[0])
    pd.testing.assert_frame_equal(first, again)
    with pytest.raises(ValueError, match=r"9 trials with a score, too few .* needs 10"):
        plot.importance(frame[:9])


def test_all_pictures_of_a_search_without_a_score_say_so() -> None:
    nothing = history_of(Planned(TWO_BRACKETS, 0.0), started(0, alpha=1.0))
    for picture in (plot.history, plot.best_so_far, plot.learning_curves, plot.slice, plot.parallel_coordinates):
        with pytest.raises(ValueError, match="has no trial with a score yet"):
            picture(nothing)
    with pytest.raises(ValueError, match="has trained nothing yet"):
        plot.timeline(nothing)
    assert plot.rungs(nothing).data_["scored"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("picture", [plot.best_so_far, plot.learning_curves, plot.rungs, plot.timeline])
def test_what_a_frame_does_not_hold_is_said(picture: Any, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=rf"dhpo.plot.{picture.__name__} needs all that happened"):
        picture(frame)


def test_a_frame_may_come_from_a_file(tmp_path: Path, history: History) -> None:
    history.summary().to_csv(tmp_path / "summary.csv")
    data = plot.history(pd.read_csv(tmp_path / "summary.csv")).data_
    assert data["trial"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda h: plot.slice(h, "alhpa"), ValueError, "parameters='alhpa' is not .* Did you mean 'alpha'"),
        (lambda h: plot.contour(h, "alpha", "alpha"), ValueError, "are the same parameter"),
        (lambda h: plot.contour(h, "alpha", "loss", train=True), ValueError, "return_train_score=True"),
        (lambda h: plot.best_so_far(h, against="hours"), ValueError, "against='hours': allowed are 'calls'"),
        (lambda h: plot.learning_curves(h, top=0), ValueError, "top=0: give the number"),
        (lambda h: plot.parallel_coordinates(h, top=0), ValueError, "top=0: give the number"),
        (
            lambda h: plot.importance(pd.DataFrame({"param_x": np.arange(12.0), "score": 0.5})),
            ValueError,
            "the same score for all trials",
        ),
        (lambda h: plot.slice(h, ax=plt.gca()), ValueError, r"has 2 part\(s\), and 1 axes were given"),
        (lambda h: plot.history(3), TypeError, "asked for of a int. Allowed are a fitted search"),
        (lambda h: plot.history(pd.DataFrame({"a": [1]})), ValueError, "no column `score` .* it has a"),
        (
            lambda h: plot.history(dhpo.IncrementalSearchCV(SGDClassifier(), {"alpha": [1, 2]})),
            NotFittedError,
            "IncrementalSearchCV is not fitted yet",
        ),
    ],
)
def test_bad_input_is_told(history: History, call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(history)


def test_axes_that_are_given_are_drawn_on(history: History) -> None:
    figure, (left, right) = plt.subplots(1, 2)
    display = plot.slice(history, ax=[left, right])
    assert display.axes_ == [left, right]
    assert display.figure_ is figure
    assert plot.rungs(history, ax=left).ax_ is left


def test_only_low_scores_that_hide_all_others_are_left_out(history: History) -> None:
    diverged = pd.DataFrame({"param_alpha": np.arange(6.0), "score": [0.1, 0.5, 0.8, 0.85, 0.9, -1e9]})
    display = plot.history(diverged)
    assert display.ax_.get_ylim()[0] > -10
    assert next(text.get_text() for text in display.ax_.texts).startswith("1 score below")


def test_without_matplotlib_the_extra_is_named(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_matplotlib(name: str, *args: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")
        return imported(name, *args, **options)

    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(dhpo.ExtraNotInstalled, match=r"pip install 'dhpo\[plot\]'"):
        plot.history(history)
