from __future__ import annotations

import math

import pytest

from dhpo.schedules import Fixed, Hyperband, Incremental, Patience, SuccessiveHalving
from dhpo.testing import check_schedule
from dhpo.trial import Drop, Report, Train


def run(schedule, score):
    """Run to the end; return the resources that each trial was scored at, and why it was dropped."""
    scored, reasons = {}, {}
    queue = []
    while not schedule.done:
        decision = schedule.ask()
        if decision is None:
            train = queue.pop(0)
            scored.setdefault(train.trial, []).append(train.resource)
            schedule.tell(Report(train.trial, train.resource, score(train.trial, train.resource)))
        elif isinstance(decision, Train):
            queue.append(decision)
        else:
            reasons[decision.trial] = decision.reason
    return scored, reasons


def test_a_trial_is_trained_in_slices_of_patience():
    scored, reasons = run(Patience(Fixed(1, 10), 4), lambda trial, calls: calls)
    assert scored == {0: [4, 8, 10]}
    assert reasons == {0: "finished"}


def test_a_trial_is_scored_more_often_if_asked():
    scored, _ = run(Patience(Fixed(1, 5), 4, fits_per_score=2), lambda trial, calls: calls)
    assert scored == {0: [2, 4, 5]}
    scored, _ = run(Patience(Fixed(1, 5), 2, fits_per_score=4), lambda trial, calls: calls)
    assert scored == {0: [2, 4, 5]}


@pytest.mark.parametrize(("patience", "stops"), [(5, 5), (3, 3), (2, 2)])
def test_a_constant_is_on_a_plateau_after_patience_calls(patience, stops):
    # As dask-ml's test_search_plateau_patience has it.
    scored, reasons = run(Patience(Incremental(2, 10), patience, 0, 1), lambda trial, calls: trial)
    assert scored == {0: list(range(1, stops + 1)), 1: list(range(1, stops + 1))}
    assert reasons == {0: "plateau", 1: "plateau"}


@pytest.mark.parametrize(("tol", "stops"), [(1, 10), (1.9, 10), (2, 3), (4, 3), (None, 10), (math.nan, 10), (-1, 10)])
def test_tol_is_the_improvement_within_patience_calls(tol, stops):
    # As dask-ml's test_search_plateau_tol has it: the score rises by 2 from the first to the last of three.
    scored, _ = run(Patience(Incremental(1, 10), 3, tol, 1), lambda trial, calls: calls)
    assert scored[0][-1] == stops


def test_no_improvement_is_no_plateau_for_a_negative_tol():
    scored, _ = run(Patience(Incremental(1, 10), 3, -10, 1), lambda trial, calls: 0.0)
    assert scored[0][-1] == 10


def test_the_best_of_the_window_counts_not_the_last():
    peak_at_2 = {1: 0.0, 2: 1.0, 3: 0.0}
    scored, _ = run(Patience(Incremental(1, 10), 3, 0.5, 1), lambda trial, calls: peak_at_2.get(calls, 0.0))
    assert scored[0][-1] == 4  # the window 1-3 still has the rise to the peak, the window 2-4 has not


def test_a_rung_right_after_a_slice_is_no_plateau():
    scored, reasons = run(Patience(SuccessiveHalving(2, 7, 15, 2), 6, tol=0), lambda trial, calls: calls // 6)
    assert scored == {0: [6, 7, 13, 14], 1: [6, 7]}
    assert reasons == {0: "finished", 1: "not promoted"}


def test_a_stopped_trial_keeps_its_score_and_may_win():
    # Trial 0 is constant and good, the others improve but stay below.
    schedule = Patience(SuccessiveHalving(4, 4, 16, 2), 4, tol=1e-3, fits_per_score=1)
    scored, reasons = run(schedule, lambda trial, calls: 100.0 if trial == 0 else trial + 0.01 * calls)
    assert scored[0] == [1, 2, 3, 4]
    assert reasons == {0: "plateau", 1: "not promoted", 2: "not promoted", 3: "not promoted"}
    assert scored[3][-1] == 8


def test_a_stopped_trial_may_lose_later():
    def score(trial, calls):
        return 5.0 if trial == 0 else trial + 0.5 * calls

    scored, reasons = run(Patience(SuccessiveHalving(4, 4, 16, 2), 4, fits_per_score=1), score)
    assert scored[0] == [1, 2, 3, 4]
    assert scored[3] == list(range(1, 17))
    assert reasons == {0: "plateau", 1: "not promoted", 2: "not promoted", 3: "finished"}


def test_a_plateau_that_saved_nothing_is_not_the_reason():
    # Both are on a plateau when their rung is over; one is outscored there, the other goes on without training.
    scored, reasons = run(Patience(SuccessiveHalving(2, 4, 8, 2), 4, 0, 1), lambda trial, calls: trial)
    assert scored == {0: [1, 2, 3, 4], 1: [1, 2, 3, 4]}
    assert reasons == {0: "not promoted", 1: "plateau"}


def test_the_window_is_a_whole_number_of_slices():
    # As dask-ml's test_search_basic_patience has it: 5 calls, scored every 3, so the rise within 3 counts.
    scored, _ = run(Patience(Incremental(1, 15, 3), 5, 5, 3), lambda trial, calls: 0.9 * calls)
    assert scored == {0: [3, 6]}
    scored, _ = run(Patience(Incremental(1, 15, 3), 5, 5, 3), lambda trial, calls: 2.1 * calls)
    assert scored == {0: [3, 6, 9, 12, 15]}


def test_a_trial_that_fails_in_a_slice_is_failed():
    scored, reasons = run(
        Patience(Fixed(2, 10), 4), lambda trial, calls: math.nan if (trial, calls) == (0, 8) else calls
    )
    assert scored == {0: [4, 8], 1: [4, 8, 10]}
    assert reasons == {0: "failed", 1: "finished"}


def test_patience_saves_work_in_hyperband():
    scored, reasons = run(Patience(Hyperband(27), 9), lambda trial, calls: float(trial))
    assert max(max(resources) for resources in scored.values()) == 18
    assert set(reasons.values()) == {"plateau", "not promoted"}
    for resources in scored.values():
        assert all(after - before <= 9 for before, after in zip([0, *resources], resources, strict=False))


def test_asking_for_nothing_answers_for_no_one():
    # Both trials of the last rung are on a plateau: what is said for them must not depend on how often one asks.
    check_schedule(lambda: Patience(SuccessiveHalving(6, 2, 32, 2), 2, tol=1.0, fits_per_score=1), failures=0.1)


def test_the_plan_is_that_of_the_schedule():
    assert Patience(Hyperband(27), 9).plan() == Hyperband(27).plan()


def test_a_wrong_report_is_refused():
    schedule = Patience(Fixed(1, 10), 4)
    with pytest.raises(ValueError, match="not in training"):
        schedule.tell(Report(0, 4, 1.0))
    assert schedule.ask() == Train(0, 4)
    with pytest.raises(ValueError, match="at 10 calls; the Train asked for 4"):
        schedule.tell(Report(0, 10, 1.0))
    schedule.tell(Report(0, 4, 1.0))
    with pytest.raises(ValueError, match="not in training"):  # the next slice is not handed out yet
        schedule.tell(Report(0, 8, 1.0))
    assert schedule.ask() == Train(0, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": 1}, "patience=1 .* int >= 2"),
        ({"patience": True}, "patience=True"),
        ({"patience": 2.5}, "patience=2.5"),
        ({"patience": 5, "tol": "1"}, "tol='1' .* a number or None"),
        ({"patience": 5, "fits_per_score": 0}, "fits_per_score=0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Patience(Fixed(1, 10), **arguments)


def test_drops_of_the_schedule_pass_through():
    schedule = Patience(SuccessiveHalving(2, 2, aggressiveness=2), 5)
    for trial in (0, 1):
        assert schedule.ask() == Train(trial, 2)
    for trial in (0, 1):
        schedule.tell(Report(trial, 2, float(trial)))
    assert schedule.ask() == Drop(0, "not promoted")
    assert schedule.ask() == Train(1, 4, rung=1)
