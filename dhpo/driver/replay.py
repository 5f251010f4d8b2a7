"""Brings a search to where an earlier process had brought it, by the events of its journal."""

from __future__ import annotations

from dataclasses import replace

from dhpo.driver.job import Job
from dhpo.driver.ledger import Ledger
from dhpo.errors import JournalError
from dhpo.history.events import Dropped, Event, Promoted, Reported, StepDone, TrialStarted
from dhpo.journal import describe
from dhpo.trial import Decision, Train

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
            _check(train, job)
            params = job.sampler.ask(trial.number)
            if describe(params) != describe(trial.params):
                raise JournalError(
                    f"the journal gives trial {trial.number} the parameters {describe(trial.params)}, and this search "
                    f"{describe(params)}"
                )
            ledger.start(replace(trial, params=params), train)
        case Promoted(train):
            _check(train, job)
            ledger.train(train)
        case Dropped(drop):
            _check(drop, job)
            ledger.drop(drop)
        case StepDone(models=models):
            for state in models:
                ledger.advance(state)
        case Reported(report):
            ledger.take_report(report)


def _check(recorded: Decision, job: Job) -> None:
    decision = job.schedule.ask()
    if decision != recorded:
        raise JournalError(f"the journal says {recorded} where this search decides {decision}")
