"""A journal is taken in only by a search that decides the same: what it records is compared with what is decided."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from dhpo.driver.replay import replay
from dhpo.errors import JournalError
from dhpo.history.events import Promoted, Reported, TrialStarted
from dhpo.schedules import ASHA, SuccessiveHalving
from tests.unit.driver.ledger_alone import LedgerAlone


class Search(LedgerAlone):
    """The driver's part of a search, and a worker whose scores are the trials' numbers."""

    def train_one(self):
        """Train the first model that waits, as a cluster of one thread does."""
        self.ledger.take_decisions(1, 0.1)
        ready = next(iter(self.ledger.trials.ready()))
        self.ledger.starts.begin([ready.model])
        self.come_back(ready.model, ready.target, float(ready.model))

    def take_in(self, events):
        job = SimpleNamespace(schedule=self.schedule, sampler=self.sampler)
        for event in events:
            replay(event, self.ledger, job)


def halving():
    return SuccessiveHalving(4, 1, 4, aggressiveness=2)


def asha():
    return ASHA(6, 1, 4, aggressiveness=2)


@pytest.fixture
def search(tmp_path):
    return lambda schedule: Search(tmp_path, schedule)


@pytest.mark.parametrize("schedule", [halving, asha])
def test_the_next_process_is_where_the_one_before_was(search, schedule):
    before, after = search(schedule()), search(schedule())
    for _ in range(6):
        before.train_one()
    after.take_in(before.events)
    n_before = len(before.events)
    for it in (before, after):
        it.train_one()
    assert after.events == before.events[n_before:]


def test_a_trial_that_was_begun_late_is_taken_in_after_those_that_were_asked_for_with_it(search):
    before, after = search(halving()), search(halving())
    before.ledger.take_decisions(1, 0.1)
    before.ledger.starts.begin([2])
    assert [event.trial.number for event in before.events] == [2]
    after.take_in(before.events)
    assert after.ledger.proposed(0) is not None
    assert after.ledger.proposed(2) is None
    assert [ready.model for ready in after.ledger.trials.ready()] == [0, 1, 2]


def other_resource(event):
    return replace(event, train=replace(event.train, resource=event.train.resource + 1))


@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("schedule", [halving, asha])
def test_a_trial_that_was_begun_for_other_calls_is_refused(search, schedule, number):
    before, after = search(schedule()), search(schedule())
    while not (started := [e for e in before.events if isinstance(e, TrialStarted) and e.trial.number == number]):
        before.train_one()
    at = before.events.index(started[0])
    with pytest.raises(JournalError, match=r"resource=2.*resource=1"):
        after.take_in([*before.events[:at], other_resource(started[0])])


def test_a_trial_that_was_asked_for_by_the_way_and_begun_for_other_calls_is_refused(search):
    # The first trial asks for all four; the last is compared with what was proposed then.
    before, after = search(halving()), search(halving())
    before.ledger.take_decisions(1, 0.1)
    before.ledger.starts.begin([3, 1])
    first, second = before.events
    with pytest.raises(JournalError, match=r"resource=2.*resource=1"):
        after.take_in([first, other_resource(second)])


@pytest.mark.parametrize("schedule", [halving, asha])
def test_a_trial_with_other_parameters_is_refused(search, schedule):
    before, after = search(schedule()), search(schedule())
    before.train_one()
    first, *others = before.events
    changed = replace(first, trial=replace(first.trial, params={"alpha": 0.7}))
    with pytest.raises(JournalError, match="the parameters"):
        after.take_in([changed, *others])


@pytest.mark.parametrize("schedule", [halving, asha])
def test_a_promotion_that_is_not_decided_here_is_refused(search, schedule):
    before, after = search(schedule()), search(schedule())
    while not any(isinstance(event, Promoted) for event in before.events):
        before.train_one()
    at = next(i for i, event in enumerate(before.events) if isinstance(event, Promoted))
    loser = min(event.report.trial for event in before.events[:at] if isinstance(event, Reported))
    promoted = before.events[at]
    assert promoted.train.trial != loser
    with pytest.raises(JournalError, match=f"trial={loser}"):
        after.take_in([*before.events[:at], replace(promoted, train=replace(promoted.train, trial=loser))])


def test_an_asynchronous_schedule_decides_exactly_what_is_recorded(search):
    # It asks for trials one at a time: a trial that was begun before its turn is of another search.
    before, after = search(asha()), search(asha())
    while sum(isinstance(event, TrialStarted) for event in before.events) < 2:
        before.train_one()
    second = [event for event in before.events if isinstance(event, TrialStarted)][1]
    with pytest.raises(JournalError, match="trial=0"):
        after.take_in([second])
