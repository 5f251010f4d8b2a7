"""Warns where the rows held out are too few to tell the candidates apart."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from statistics import median

from dhpo.data.wrappers import unwrap
from dhpo.driver.job import Job
from dhpo.errors import ImpreciseScoresWarning
from dhpo.history.history import History
from dhpo.scoring import make_block_scorer
from dhpo.scoring.precision import standard_error

__all__ = ["Precision", "precision_of", "warn_of_chance"]

# Below so many rows no metric tells much, also one whose standard error is not known.
_FEW_ROWS = 100


@dataclass(frozen=True)
class Precision:
    """How well the best candidate is told from the others.

    Parameters
    ----------
    n_rows : int
        Rows that scores rest on.
    score : float
        Of the best.
    error : float
        Its standard error; nan where the metric does not tell.
    lead : float
        By how much the score of the best is above the median candidate's.
    n_candidates : int
        That were scored.
    """

    n_rows: int
    score: float
    error: float
    lead: float
    n_candidates: int

    @property
    def decides_by_chance(self) -> bool:
        """Whether the median candidate is within two standard errors of the best, or nothing can be told at all."""
        return self.n_rows < _FEW_ROWS if math.isnan(self.error) else self.lead < 2 * self.error


def precision_of(history: History, job: Job) -> Precision | None:
    """What the scores of a search are worth; None where there are no two to compare."""
    best, prepared, scores = history.best, history.prepared, history.last_scores()
    if best is None or prepared is None or len(scores) < 2:
        return None
    estimator, deciding = unwrap(job.estimator), job.metrics.deciding
    scorer = make_block_scorer(estimator, job.metrics.scoring[deciding], job.fit_kwargs.get("classes"))
    splits = [split.test.get(deciding, math.nan) for split in history.splits_of(best.trial)]
    error = standard_error(scorer, best.report.score, prepared.n_validation, splits)
    lead = best.report.score - median(scores)
    return Precision(prepared.n_validation, best.report.score, error, lead, len(scores))


def warn_of_chance(precision: Precision, with_folds: bool) -> None:
    """Warn if the choice among the candidates is mostly by chance."""
    if not precision.decides_by_chance:
        return
    more = "Give more rows" if with_folds else "Hold out more (test_size=), pass validation_data=, or use cv="
    if math.isnan(precision.error):
        told = f"scores rest on {precision.n_rows} rows alone, which tell few candidates apart."
    else:
        told = (
            f"the best score, {precision.score:.4g}, has a standard error of {precision.error:.2g} "
            f"({precision.n_rows:,} rows to score on), and is {precision.lead:.2g} above the median of the "
            f"{precision.n_candidates} candidates: which of them is best was mostly decided by chance."
        )
    warnings.warn(f"{told} {more}.", ImpreciseScoresWarning, stacklevel=2)
