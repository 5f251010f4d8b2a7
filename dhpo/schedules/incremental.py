"""Incremental search: every trial is scored as it is trained, and drops none by itself."""

from __future__ import annotations

from dhpo.errors.checks import checked_int
from dhpo.schedules.bracket import BracketSchedule
from dhpo.schedules.plan import BracketPlan, Plan
from dhpo.schedules.rungs import fixed_rungs

__all__ = ["Incremental"]


class Incremental(BracketSchedule):
    """Train every trial to `max_iter`, scored every `fits_per_score` calls; stop it early with `Patience`.

    No trial waits for another. dask-ml scores after 1, 1 + `fits_per_score`, ... calls and may pass `max_iter`; here it
    is after `fits_per_score`, 2 `fits_per_score`, ... and at `max_iter` exactly.

    Parameters
    ----------
    n_initial_parameters : int, default 10
        Number of trials.
    max_iter : int, default 100
        `partial_fit` calls of each.
    fits_per_score : int, default 1
        Calls between scores.

    Examples
    --------
    >>> from dhpo import Report
    >>> from dhpo.schedules import Incremental
    >>> schedule = Incremental(n_initial_parameters=10, max_iter=30, fits_per_score=10)
    >>> schedule.ask()
    Train(trial=0, resource=10, bracket=0, rung=0)
    >>> schedule.tell(Report(trial=0, resource=10, score=0.5))
    >>> schedule.ask()
    Train(trial=0, resource=20, bracket=0, rung=1)
    """

    def __init__(self, n_initial_parameters: int = 10, max_iter: int = 100, fits_per_score: int = 1) -> None:
        rungs = fixed_rungs(
            checked_int("n_initial_parameters", n_initial_parameters),
            checked_int("max_iter", max_iter),
            checked_int("fits_per_score", fits_per_score),
        )
        super().__init__(Plan((BracketPlan(0, rungs),)))
