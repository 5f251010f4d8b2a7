"""What a history knows of one trial."""

from __future__ import annotations

from dataclasses import dataclass, field

from dhpo.history.events import Reported
from dhpo.trial import Drop, Report, Trial

__all__ = ["Row"]


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
        """The last line of the traceback of its last report; None where that did not fail by an error."""
        if self.last is None or not self.last.error:
            return None
        return self.last.error.strip().splitlines()[-1]

    def status(self, over: bool) -> str:
        """Why it ended, or how it stands; "stopped" where the search is over and the trial was not."""
        if self.last is not None and self.last.failed:
            return "failed"
        if self.drop is not None:
            return self.drop.reason
        if over:
            return "stopped"
        return "running" if self.calls else "waiting"
