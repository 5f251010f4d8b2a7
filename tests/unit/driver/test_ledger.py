"""Where each trial stands: what is decided becomes events and work, and what comes back becomes reports."""

from __future__ import annotations

import math

import pytest

from dhpo.driver.folds import refit_number
from dhpo.driver.step_planning import Assignment
from dhpo.history.events import Dropped, ModelState, Promoted, Reported, TrialStarted
from dhpo.schedules import ASHA, Fixed, SuccessiveHalving
from dhpo.trial import Trial
from dhpo.worker.breadcrumbs import Crumb, Deed
from dhpo.worker.messages import Outcome
from tests.unit.driver.ledger_alone import LedgerAlone


class Search(LedgerAlone):
    """A ledger, and a worker that does what it is told by the test."""

    def decide(self, n_threads=1, together=1.0):
        self.ledger.take_decisions(n_threads, together)
        return self.ready()

    def ready(self):
        return sorted(waiting.model for waiting in self.ledger.trials.ready())

    def waiting(self, model):
        (found,) = [waiting for waiting in self.ledger.trials.ready() if waiting.model == model]
        return found

    def send(self, *models, quarantined=False):
        targets = {waiting.model: waiting.target for waiting in self.ledger.trials.ready()}
        self.ledger.starts.begin(models)
        until = max(targets[model] for model in models)
        assignment = Assignment("worker", models, until, 0, until, quarantined)
        self.ledger.trials.sent(assignment)
        return assignment

    def train(self, model, score=None, calls=None, error=None):
        """Send a model, and have it come back."""
        until = self.send(model).until
        calls = until if calls is None else calls
        checkpoint = self.store.write({(model, calls): b"a model"})[model] if calls else None
        self.come_back(model, calls, score, error, checkpoint)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def search(tmp_path):
    return lambda schedule, n_folds=0: Search(tmp_path, schedule, n_folds)


def test_what_is_decided_becomes_events_and_work(search):
    it = search(Fixed(3, 5))
    assert it.decide() == [0, 1, 2]
    it.ledger.starts.begin([0, 1, 2])
    assert [(e.trial.number, e.trial.params, e.train.resource) for e in it.of(TrialStarted)] == [
        (0, {"alpha": 0.0}, 5),
        (1, {"alpha": 0.1}, 5),
        (2, {"alpha": 0.2}, 5),
    ]
    work = it.ledger.work(1, with_model=False)
    assert (work.model, work.params, work.start, work.target, work.state.checkpoint) == (1, {"alpha": 0.1}, 0, 5, None)


def test_parameters_are_drawn_when_a_trial_is_begun(search):
    it = search(SuccessiveHalving(9, 1, 3))
    assert it.decide() == list(range(9))
    assert not it.of(TrialStarted)
    it.train(4, 0.5)
    assert [e.trial.number for e in it.of(TrialStarted)] == [4]
    it.ledger.starts.begin([4, 7])
    assert [e.trial.number for e in it.of(TrialStarted)] == [4, 7]
    assert it.ready() == [0, 1, 2, 3, 5, 6, 7, 8]


def test_the_folds_of_a_trial_have_the_same_parameters_drawn_once(search):
    it = search(Fixed(2, 4), n_folds=3)
    it.decide()
    it.send(1)
    it.send(0, 2)
    assert [e.trial.params for e in it.of(TrialStarted)] == [{"alpha": 0.0}]
    assert [it.ledger.work(model, with_model=False).params for model in range(3)] == [{"alpha": 0.0}] * 3


def test_a_model_that_is_under_way_is_not_given_away_again(search):
    it = search(Fixed(3, 5))
    it.decide()
    it.send(0, 2)
    assert it.ready() == [1]


def test_an_asynchronous_schedule_is_asked_for_no_more_than_its_threads_can_do(search):
    it = search(ASHA(20, 1, 9))
    assert it.decide(n_threads=2) == [0, 1]
    assert it.decide(n_threads=2) == [0, 1]
    it.train(0, 0.5)
    assert it.decide(n_threads=2, together=1.0) == [1, 2, 3, 4]  # 0.6 s each


def test_a_model_that_was_not_scored_in_time_waits_for_its_score(search):
    it = search(Fixed(1, 5))
    it.decide()
    it.train(0)
    waiting = it.waiting(0)
    assert (waiting.calls, waiting.target, waiting.home) == (5, 5, "worker")
    assert not it.of(Reported)


def test_a_promoted_trial_goes_on_from_its_model_and_the_others_are_forgotten(search):
    it = search(SuccessiveHalving(3, 1, 3))
    it.decide()
    for model, score in enumerate([0.2, 0.9, 0.4]):
        it.train(model, score)
    assert it.decide() == [1]
    assert [e.train.trial for e in it.of(Promoted)] == [1]
    assert sorted(e.drop.trial for e in it.of(Dropped)) == [0, 2]
    work = it.ledger.work(1, with_model=True)
    assert (work.start, work.target, work.pickled) == (1, 3, b"a model")
    it.kept.tidy()
    it.train(1, 0.95)
    assert it.schedule.ask() is not None
    assert [round(e.report.score, 2) for e in it.of(Reported)] == [0.2, 0.9, 0.4, 0.95]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_a_failure(search, score):
    it = search(Fixed(2, 1))
    it.decide()
    it.train(0, score)
    (reported,) = it.of(Reported)
    assert reported.report.failed
    assert math.isnan(reported.report.score)


def test_a_trial_with_folds_is_reported_once_all_of_them_are_there(search):
    it = search(Fixed(2, 4), n_folds=3)
    assert it.decide() == [0, 1, 2, 3, 4, 5]
    assert [it.ledger.work(model, with_model=False).fold for model in range(6)] == [0, 1, 2, 0, 1, 2]
    it.train(0, 0.1)
    it.train(1, 0.2)
    assert not it.of(Reported)
    it.train(2, 0.6)
    (reported,) = it.of(Reported)
    assert (reported.report.trial, reported.report.resource) == (0, 4)
    assert reported.report.score == pytest.approx(0.3)
    assert [split.test["score"] for split in reported.splits] == [0.1, 0.2, 0.6]
    assert reported.report.fit_time == pytest.approx(1.5)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_the_report_of_a_failed_fold_does_not_depend_on_which_came_back_first(search, order):
    it = search(Fixed(1, 4), n_folds=3)
    it.decide()
    for model in order:
        it.train(model, 0.5) if model == 1 else it.train(model, calls=2, error=f"fold {model}")
    (reported,) = it.of(Reported)
    assert (reported.report.error, math.isnan(reported.report.score)) == ("fold 0", True)


def test_models_go_on_from_the_store_when_their_worker_dies_and_one_death_blames_nobody(search):
    it = search(Fixed(2, 9))
    it.decide()
    it.train(0, calls=4)
    it.ledger.step_lost(it.send(0, 1), Crumb(0, 6, Deed.TRAINING, 1), crumbs_kept=True)
    assert it.ready() == [0, 1]
    assert it.ledger.work(0, with_model=False).start == 4
    assert (it.waiting(0).alone, it.waiting(0).quarantined) == (True, False)
    assert not it.waiting(1).alone


def test_two_deaths_at_the_same_call_bring_a_model_into_a_process_of_its_own(search):
    it = search(Fixed(1, 9))
    it.decide()
    for _ in range(2):
        it.ledger.step_lost(it.send(0), Crumb(0, 6, Deed.TRAINING, 1), crumbs_kept=True)
    assert it.waiting(0).quarantined


def test_deaths_at_other_calls_are_chance(search):
    it = search(Fixed(1, 9))
    it.decide()
    for call in (6, 3):
        it.ledger.step_lost(it.send(0), Crumb(0, call, Deed.TRAINING, 1), crumbs_kept=True)
    assert not it.waiting(0).quarantined


def test_a_worker_that_dies_while_the_model_has_a_process_of_its_own_clears_it(search):
    it = search(Fixed(1, 9))
    it.decide()
    for _ in range(2):
        it.ledger.step_lost(it.send(0), Crumb(0, 6, Deed.TRAINING, 1), crumbs_kept=True)
    it.ledger.step_lost(it.send(0, quarantined=True), None, crumbs_kept=True)
    assert (it.waiting(0).alone, it.waiting(0).quarantined) == (False, False)


def test_a_step_that_fails_sends_its_models_on_alone_and_says_when_it_is_too_often(search):
    it = search(Fixed(2, 9))
    it.decide()
    assert not it.ledger.step_failed(it.send(0, 1))
    assert it.waiting(0).alone
    assert it.waiting(1).alone
    assert not it.ledger.step_failed(it.send(0))
    assert it.ledger.step_failed(it.send(0))


def test_a_step_that_came_to_an_end_makes_up_for_those_that_failed(search):
    it = search(Fixed(1, 9))
    it.decide()
    for calls in (3, 6):
        assert not it.ledger.step_failed(it.send(0))
        assert not it.ledger.step_failed(it.send(0))
        it.train(0, calls=calls)
    assert not it.waiting(0).alone


def test_who_hangs_fails_and_those_beside_it_go_on(search):
    it = search(Fixed(2, 9))
    it.decide()
    it.ledger.step_hangs(it.send(0, 1), 1, "it hung")
    assert it.ready() == [0]
    assert [(e.report.trial, e.report.error) for e in it.of(Reported)] == [(1, "it hung")]


def test_a_model_that_is_lost_begins_anew(search):
    it = search(Fixed(1, 9))
    it.decide()
    it.train(0, calls=5)
    it.send(0)
    it.ledger.advanced(Outcome(ModelState(0), lost=True), "worker")
    assert it.ledger.work(0, with_model=False).start == 0


def test_what_was_spent_counts_against_the_deadline_of_a_trial(search):
    it = search(Fixed(2, 9))
    it.decide()
    it.train(0, calls=5)
    it.send(0, 1)
    left = it.ledger.seconds_left(2.0)
    assert (left[0], left[1], left[7]) == (1.375, 2.0, 2.0)


def test_the_best_is_trained_anew_on_all_rows_without_a_score(search):
    it = search(Fixed(1, 2), n_folds=2)
    it.decide()
    it.train(0, 0.5)
    it.train(1, 0.7)
    number = refit_number(0)
    it.ledger.begin_refit(Trial(0, {"alpha": 0.0}), 2)
    assert it.ledger.refitted(Trial(0, {})) is None
    work = it.ledger.work(number, with_model=False)
    assert (work.fold, work.scored, work.target) == (None, False, 2)
    it.train(number)
    refitted = it.ledger.refitted(Trial(0, {}))
    assert refitted is not None
    assert refitted.error is None
    assert len(it.of(Reported)) == 1


def test_what_an_earlier_process_found_out_of_a_model_is_known(search):
    it = search(Fixed(1, 9))
    it.decide()
    found = ModelState(0, 3, None, 1.5, 0.5, writes=True)
    it.ledger.advance(found)
    assert it.ledger.work(0, with_model=False).state == found
