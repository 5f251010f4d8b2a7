"""What came of the fits so far, and what follows from it; without Dask and without a clock."""

from __future__ import annotations

import math
from typing import Any

import cloudpickle

from dhpo.history.events import SplitScores
from dhpo.history.mean_scores import mean_scores
from dhpo.trial import Report
from dhpo.whole_fits.cv_results import cv_results, failed_fits, with_error_scores
from dhpo.whole_fits.fit_job import FitJob
from dhpo.whole_fits.fits import FitOutcome
from dhpo.whole_fits.whole_scoring import check_refit

__all__ = ["Outcomes", "reraise"]


class Outcomes:
    """The outcomes of a search by whole fits.

    Parameters
    ----------
    search : FitJob

    Attributes
    ----------
    n_splits : int
        Of the data; 0 until it was split.
    n_fits : int
        Fits that are done.
    metrics : tuple of str
        The names of the metrics; ("score",) for the only one. What a callable returns is known after the first fit.
    several : bool
        Whether there are several metrics.
    scoring_failures : list of str
        The traceback of each scorer that failed.
    results : dict or None
        `cv_results_`, once the search was concluded.
    complete : list of int
        The candidates of its rows.
    concluded : bool
        Whether there are results that the search can stand for, so that warnings are worth their while.
    failed_fits : str or None
        What there is to say then of fits that failed.
    """

    def __init__(self, search: FitJob) -> None:
        self.n_splits = 0
        self.n_fits = 0
        self.metrics: tuple[str, ...] = search.scoring.metrics or ("score",)
        self.several = search.scoring.has_several
        self.scoring_failures: list[str] = []
        self.results: dict[str, Any] | None = None
        self.complete: list[int] = []
        self.concluded = False
        self.failed_fits: str | None = None
        self._search = search
        self._done: dict[int, dict[int, SplitScores]] = {}
        self._unreported: set[int] = set()
        self._seconds = 0.0

    def begins(self, candidate: int) -> bool:
        """Note that a candidate is fitted, and tell whether for the first time."""
        first = candidate not in self._done
        if first:
            self._unreported.add(candidate)
        self._done.setdefault(candidate, {})
        return first

    def take(self, outcome: FitOutcome) -> None:
        """Take an outcome in.

        Raises
        ------
        Exception
            What ends the search: an error of a fit where `error_score="raise"`, or a score that is no number.
        """
        if outcome.raised is not None:
            reraise(outcome.raised)
        if outcome.scores.error is None and self._search.scoring.metrics is None:
            self.metrics, self.several = tuple(outcome.scores.test), outcome.several
        self.scoring_failures += outcome.failures
        self._done[outcome.candidate][outcome.split] = outcome.scores
        self._seconds += outcome.scores.fit_time + outcome.scores.score_time
        self.n_fits += 1

    @property
    def mean_seconds(self) -> float | None:
        """Seconds of one fit and its score; None before the first."""
        return self._seconds / self.n_fits if self.n_fits else None

    @property
    def deciding_metric(self) -> str:
        """The metric that the best is best in."""
        refit = self._search.refit
        return refit if self.several and isinstance(refit, str) else self.metrics[0]

    def is_done(self, candidate: int, split: int) -> bool:
        """Whether a candidate was fitted on a split."""
        return split in self._done.get(candidate, {})

    def unreported(self) -> list[int]:
        """The candidates that are complete and were not reported, in their order; they are taken to be from now on."""
        found = sorted(number for number in self._unreported if self.is_complete(number))
        self._unreported.difference_update(found)
        return found

    def reported(self, candidate: int) -> None:
        """A candidate was reported by an earlier process."""
        self._unreported.discard(candidate)

    def n_done(self, candidate: int) -> int:
        """Splits that a candidate was fitted on."""
        return len(self._done[candidate])

    def is_complete(self, candidate: int) -> bool:
        """Whether a candidate was fitted on all splits."""
        return self.n_done(candidate) == self.n_splits

    def report(self, candidate: int) -> tuple[Report, tuple[SplitScores, ...]]:
        """The report of a candidate that is complete, and its splits."""
        splits = self._splits_of(candidate)
        metric = self.deciding_metric
        score = sum(split.test.get(metric, math.nan) for split in splits) / len(splits)
        error = None if math.isfinite(score) else next((s.error for s in splits if s.error is not None), None)
        fit_time, score_time = sum(s.fit_time for s in splits), sum(s.score_time for s in splits)
        metrics = mean_scores(splits)
        return Report(candidate, len(splits), score, fit_time, score_time, error, metrics=metrics), splits

    def _splits_of(self, candidate: int) -> tuple[SplitScores, ...]:
        search, done = self._search, self._done[candidate]
        return tuple(
            with_error_scores(done[split], self.metrics, search.error_score, search.return_train_score)
            for split in range(self.n_splits)
        )

    def conclude(self) -> dict[str, Any] | None:
        """Make `results` of the candidates that are complete; None if there is none.

        Raises
        ------
        ValueError
            If all fits failed, or `refit` does not say which of several metrics decides.
        """
        search = self._search
        complete = [number for number in sorted(self._done) if self.is_complete(number)]
        if not complete:
            return None
        self.complete = complete
        splits = [self._splits_of(number) for number in complete]
        params = [search.candidates[number] for number in complete]
        self.results = cv_results(params, splits, self.metrics, search.return_train_score)
        errors = [split.error for of_candidate in splits for split in of_candidate if split.error is not None]
        said = failed_fits(errors, len(complete) * self.n_splits, search.error_score)
        if len(errors) == len(complete) * self.n_splits:
            raise ValueError(said)
        self.failed_fits = said
        if search.scoring.metrics is None and self.several:
            check_refit(search.refit, self.metrics)
        self.concluded = True
        return self.results


def reraise(pickled: bytes) -> None:
    """Raise the exception of a worker, with the traceback there as a note."""
    error, text = cloudpickle.loads(pickled)
    error.add_note(f"The traceback on the worker:\n{text}")
    raise error
