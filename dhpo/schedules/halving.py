"""Successive halving."""

from __future__ import annotations

from fractions import Fraction

from dhpo.errors.checks import checked_factor, checked_int
from dhpo.schedules.bracket import BracketSchedule
from dhpo.schedules.plan import BracketPlan, Plan, Rung

__all__ = ["SuccessiveHalving", "halving_rungs"]


class SuccessiveHalving(BracketSchedule):
    """Train all trials a little, keep the best, train those longer, and so on.

    Rung i holds n_initial_parameters // aggressiveness**i trials at n_initial_iter * aggressiveness**i calls, until a
    single trial is left, or none would be, or `max_iter` is reached.

    Parameters
    ----------
    n_initial_parameters : int
        Number of trials.
    n_initial_iter : int
        `partial_fit` calls before the first decision.
    max_iter : int, optional
        Most calls of one trial; the last rung is cut to it. Default: until a single trial remains.
    aggressiveness : float, default 3
        The reduction factor, eta; 2 or more.

    References
    ----------
    .. [1] Jamieson, K. and Talwalkar, A. (2016). Non-stochastic best arm identification and hyperparameter
       optimization. AISTATS. https://arxiv.org/abs/1502.07943

    Examples
    --------
    >>> from dhpo.schedules import SuccessiveHalving
    >>> from dhpo.testing import simulate
    >>> schedule = SuccessiveHalving(n_initial_parameters=9, n_initial_iter=1)
    >>> print(schedule.plan())
    bracket  trials  partial_fit calls  rungs (trials x calls each)
    -----------------------------------------------------------------
          0       9                 21  9 x 1 -> 3 x 3 -> 1 x 9
    -----------------------------------------------------------------
      total       9                 21  at most 9 calls for one trial
    >>> decisions = simulate(schedule, workers=3, durations=1.0).decisions
    >>> [decision.reason for *_, decision in decisions.values()].count("finished")
    1
    """

    def __init__(
        self, n_initial_parameters: int, n_initial_iter: int, max_iter: int | None = None, aggressiveness: float = 3
    ) -> None:
        n = checked_int("n_initial_parameters", n_initial_parameters)
        r = checked_int("n_initial_iter", n_initial_iter)
        eta = checked_factor("aggressiveness", aggressiveness)
        if max_iter is not None:
            max_iter = checked_int("max_iter", max_iter)
            if max_iter < r:
                raise ValueError(f"max_iter={max_iter} is not allowed: give None or an int >= n_initial_iter={r}.")
        super().__init__(Plan((BracketPlan(0, halving_rungs(n, r, eta, max_iter)),)))


def halving_rungs(n: int, r: int, eta: int | Fraction, max_iter: int | None = None) -> tuple[Rung, ...]:
    """Return the rungs of successive halving: n // eta**i trials to r * eta**i calls, rounded to a whole number.

    Ends when a single trial remains, when none would, or at `max_iter` calls. The last rung is cut to `max_iter`, where
    dask-ml goes on to the next power beyond.
    """
    rungs = [Rung(n, r)]
    while (left := int(n // eta ** len(rungs))) >= 1 and (max_iter is None or rungs[-1].resource < max_iter):
        resource = round(r * eta ** len(rungs))
        rungs.append(Rung(left, resource if max_iter is None else min(resource, max_iter)))
    return tuple(rungs)
