"""Where models lie, as the events of a journal tell it."""

from __future__ import annotations

from dhpo.history.events import Checkpoint, ModelState, Reported, Reused, SplitScores, StepDone, StepStats
from dhpo.journal.model_files import replayed_models
from dhpo.trial import Report

A, B = Checkpoint(0, 1, "a", 0, 1, ""), Checkpoint(0, 3, "b", 0, 1, "")


def trained(checkpoint):
    return StepDone({0: checkpoint.calls}, StepStats(), 0.0, (ModelState(0, checkpoint.calls, checkpoint),))


def reused(resource, *checkpoints):
    return Reused(0, resource, "earlier", 0.0, tuple(ModelState(0, c.calls, c) for c in checkpoints))


def reported(resource, score=0.5):
    return Reported(Report(0, resource, score), 0.0, (SplitScores({}),))


def test_the_model_that_was_scored_last():
    assert replayed_models([trained(A), reported(1)]) == {0: A}
    assert replayed_models([trained(A), reported(1), trained(B)]) == {0: A}
    assert replayed_models([trained(A), reported(1), trained(B), reported(3)]) == {0: B}
    assert replayed_models([reused(3, B), reported(3)]) == {0: B}


def test_a_score_that_was_taken_over_without_its_model_leaves_none():
    begun = [reused(1, A), reported(1)]
    assert replayed_models([*begun, reused(3), reported(3)]) == {}
    assert replayed_models([reused(3, A), reported(3)]) == {}
    assert replayed_models([*begun, reused(3), reported(3), trained(B), reported(3)]) == {0: B}


def test_a_trial_that_failed_has_no_model():
    assert replayed_models([trained(A), reported(1), reported(3, float("nan"))]) == {}
