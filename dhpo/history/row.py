"""What a history knows of one trial."""

from __future__ import annotations

from dataclasses import dataclass, field

from dhpo.history.events import Reported
from dhpo.trial import Drop, Report, Trial

__all__ = ["NOT_FINITE", "Row", "failure_of"]

NOT_FINITE = "the score is not a finite number"
"""Why a trial has failed that raised nothing."""


def failure_of(report: Report) -> str | None:
    """Why a report is a failure: the last line of the traceback, or a score that is not finite; None where it is none.

    Parameters
    ----------
    report : Report
    """
    if not report.failed:
        return None
    lines = (report.error or "").strip().splitlines()
    return lines[-1] if lines else NOT_FINITE


@dataclass
class Row:
    """One trial, as far as it has come.

    Parameters
    ----------
    trial : Trial
    rung : int
        The one that the schedule asked for last.
    calls : int
        `partial_fit` calls that its model has seen, or the splits that it was fitted on.
    reports : list of Reported
        In the order of their arrival.
    drop : Drop, optional
        Why it ended.
    worker : str
        The name of the worker that trained it last; empty before.
    """

    trial: Trial
    rung: int = 0
    calls: int = 0
    reports: list[Reported] = field(default_factory=list)
    drop: Drop | None = None
    worker: str = ""

    @property
    def last(self) -> Report | None:
        """Its last report."""
        return self.reports[-1].report if self.reports else None

    @property
    def seconds(self) -> float:
        """Spent in training and scoring until its last report."""
        return sum(e.report.fit_time + e.report.score_time for e in self.reports)

    @property
    def error(self) -> str | None:
        """Why its last report is a failure; None where it is none."""
        return None if self.last is None else failure_of(self.last)

    def status(self, over: bool) -> str:
        """Why it ended, or how it stands; "stopped" where the search is over and the trial was not."""
        if self.last is not None and self.last.failed:
            return "failed"
        if self.drop is not None:
            return self.drop.reason
        if over:
            return "stopped"
        return "running" if self.calls else "waiting"
