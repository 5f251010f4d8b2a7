"""What a history knows of one trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from dhpo.history.events import Reported
from dhpo.trial import Drop, Report, Trial

__all__ = ["NOT_FINITE", "Row", "failure_of", "traceback_of"]

NOT_FINITE = "the score is not a finite number"
"""Why a trial has failed that raised nothing."""


def failure_of(event: Reported, scorer_errors: Mapping[int, str] = MappingProxyType({})) -> str | None:
    """Why a trial failed, or to what extent, in one line; None where nothing did.

    Parameters
    ----------
    event : Reported
    scorer_errors : mapping of int to str
        The tracebacks of scorers that failed for the trial, by split of the data.
    """
    errors = traceback_of(event, scorer_errors).strip().splitlines()
    if not errors:
        return NOT_FINITE if event.report.failed else None
    n_fits, n_splits = sum(split.error is not None for split in event.splits), len(event.splits)
    if event.report.error or n_fits == n_splits:
        return errors[-1]
    what, n_failed = ("", n_fits) if n_fits else ("a scorer, ", len(scorer_errors))
    return f"{what}on {n_failed} of {n_splits} splits: {errors[-1]}"


def traceback_of(event: Reported, scorer_errors: Mapping[int, str] = MappingProxyType({})) -> str:
    """The first traceback of a report: its own, that of a split, or of a scorer; empty where there is none.

    Parameters
    ----------
    event : Reported
    scorer_errors : mapping of int to str
        The tracebacks of scorers that failed for the trial, by split of the data.
    """
    tracebacks = (event.report.error, *(split.error for split in event.splits), *scorer_errors.values())
    return next((traceback for traceback in tracebacks if traceback), "")


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
    scorer_errors : dict of int to str
        By split of the data, the first traceback of scorers that failed, in a search by whole fits.
    """

    trial: Trial
    rung: int = 0
    calls: int = 0
    reports: list[Reported] = field(default_factory=list)
    drop: Drop | None = None
    worker: str = ""
    scorer_errors: dict[int, str] = field(default_factory=dict)

    @property
    def last(self) -> Report | None:
        """Its last report."""
        return self.reports[-1].report if self.reports else None

    @property
    def seconds(self) -> float:
        """Spent in training and scoring until its last report."""
        return sum(e.report.fit_time + e.report.score_time for e in self.reports)

    @property
    def failed(self) -> bool:
        """Whether its last report is a failure; it may have a score all the same, the number of `error_score`."""
        return bool(self.reports) and self.reports[-1].failed

    @property
    def error(self) -> str | None:
        """Why it failed, or on how many splits of the data and why; None where nothing failed."""
        return failure_of(self.reports[-1], self.scorer_errors) if self.reports else None

    @property
    def traceback(self) -> str:
        """The first traceback of its last report; empty where there is none."""
        return traceback_of(self.reports[-1], self.scorer_errors) if self.reports else ""

    def status(self, over: bool) -> str:
        """Why it ended, or how it stands; "stopped" where the search is over and the trial was not."""
        if self.failed:
            return "failed"
        if self.drop is not None:
            return self.drop.reason
        if over:
            return "stopped"
        return "running" if self.calls else "waiting"
