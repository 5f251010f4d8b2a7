"""Grid and random search: every trial gets the same."""

from __future__ import annotations

from dhpo.errors.checks import checked_int
from dhpo.schedules.bracket import BracketSchedule
from dhpo.schedules.plan import BracketPlan, Plan
from dhpo.schedules.rungs import fixed_rungs

__all__ = ["Fixed"]


class Fixed(BracketSchedule):
    """Train every trial to `max_iter`.

    Parameters
    ----------
    n_trials : int
        Number of trials.
    max_iter : int
        `partial_fit` calls of each.
    fits_per_score : int, optional
        Score every so many calls on the way, for curves. Default: at the end only.

    Examples
    --------
    >>> from dhpo.schedules import Fixed
    >>> Fixed(n_trials=10, max_iter=30).plan().brackets[0].rungs
    (Rung(n_trials=10, resource=30),)
    >>> Fixed(n_trials=10, max_iter=30, fits_per_score=15).plan().brackets[0].rungs
    (Rung(n_trials=10, resource=15), Rung(n_trials=10, resource=30))
    """

    def __init__(self, n_trials: int, max_iter: int, fits_per_score: int | None = None) -> None:
        n_trials = checked_int("n_trials", n_trials)
        max_iter = checked_int("max_iter", max_iter)
        if fits_per_score is not None:
            fits_per_score = checked_int("fits_per_score", fits_per_score)
        super().__init__(Plan((BracketPlan(0, fixed_rungs(n_trials, max_iter, fits_per_score)),)))
