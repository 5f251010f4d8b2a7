"""Brings a search to where an earlier process had brought it, by the events of its journal."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeGuard

from dhpo.driver.job import Job
from dhpo.driver.ledger import Ledger
from dhpo.errors import JournalError
from dhpo.history.events import (
    Dropped,
    Event,
    Promoted,
    Reported,
    Reused,
    StartedFrom,
    StepDone,
    ThreadsCounted,
    TrialStarted,
)
from dhpo.journal.description import check_same_params
from dhpo.trial import Decision, Train, plain

__all__ = ["replay"]


def replay(event: Event, ledger: Ledger, job: Job) -> None:
    """Take in one event that is in the history already.

    Parameters
    ----------
    event : Event
    ledger : Ledger
    job : Job
        Its schedule and sampler are asked and told again, as they were then.

    Raises
    ------
    JournalError
        If this search would have decided something else.
    """
    match event:
        case TrialStarted(trial, train=Train() as train):
            # The schedule has asked for it at some time before, maybe together with others that were not begun yet.
            while (proposed := ledger.proposed(trial.number)) is None:
                _propose(train, ledger, job)
            if proposed != train:
                raise _others(train, proposed)
            params = plain(job.sampler.ask(trial.number))
            check_same_params(trial, params)
            ledger.starts.started(replace(trial, params=params))
        case Promoted(train):
            _decide(train, ledger, job)
            ledger.train(train)
        case Dropped(drop):
            _decide(drop, ledger, job)
            ledger.drop(drop)
        case ThreadsCounted(n_threads):
            if hasattr(job.schedule, "begin"):
                job.schedule.begin(n_threads)
        case StartedFrom():
            ledger.starts.start_from(event)
        case StepDone(models=models) | Reused(models=models):
            for state in models:
                ledger.advance(state)
        case Reported(report):
            ledger.take_report(report)


def _propose(recorded: Train, ledger: Ledger, job: Job) -> None:
    """Have the schedule ask for one more new trial, on the way to the one that was begun."""
    decision = job.schedule.ask()
    if decision != recorded and not _may_wait(decision, ledger, job):
        raise _others(recorded, decision)
    ledger.propose(decision)


def _decide(recorded: Decision, ledger: Ledger, job: Job) -> None:
    """Have the schedule decide what was recorded; it may ask for new trials before, which are begun later."""
    decision = job.schedule.ask()
    while _may_wait(decision, ledger, job):
        ledger.propose(decision)
        decision = job.schedule.ask()
    if decision != recorded:
        raise _others(recorded, decision)


def _may_wait(decision: Decision | None, ledger: Ledger, job: Job) -> TypeGuard[Train]:
    """Whether this asks for a new trial, which may be begun later; with an asynchronous schedule none waits."""
    return isinstance(decision, Train) and decision.trial not in ledger.trials and not job.schedule.asynchronous


def _others(recorded: Decision, decision: Decision | None) -> JournalError:
    return JournalError(
        f"the journal records the decision {recorded}, but the schedule of this search decides {decision}. Use the "
        "schedule that the search was begun with, or another journal."
    )
