"""Hyperband."""

from __future__ import annotations

from dhpo.checks import checked_factor, checked_int
from dhpo.schedules.bracket import BracketSchedule
from dhpo.schedules.plan import Plan
from dhpo.schedules.rungs import hyperband_brackets

__all__ = ["Hyperband"]


class Hyperband(BracketSchedule):
    """Successive halving at every trade-off between many trials trained briefly and few trained long.

    All brackets are asked for at once; they are trained in the order of the plan, the next ones by workers that would
    idle. Trials are numbered from the most aggressive bracket, s_max, down to bracket 0, which drops none.

    Parameters
    ----------
    max_iter : int, default 81
        Most `partial_fit` calls of one trial; R in the paper.
    aggressiveness : float, default 3
        The reduction factor, eta; 2 or more.

    References
    ----------
    .. [1] Li, L., Jamieson, K., DeSalvo, G., Rostamizadeh, A. and Talwalkar, A. (2018). Hyperband: A novel bandit-based
       approach to hyperparameter optimization. JMLR 18(185), algorithm 1. https://jmlr.org/papers/v18/16-558.html

    Examples
    --------
    >>> from dhpo.schedules import Hyperband
    >>> print(Hyperband(max_iter=81).plan())
    bracket  trials  partial_fit calls  rungs (trials x calls each)
    ---------------------------------------------------------------------------------
          4      81                297  81 x 1 -> 27 x 3 -> 9 x 9 -> 3 x 27 -> 1 x 81
          3      34                276  34 x 3 -> 11 x 9 -> 3 x 27 -> 1 x 81
          2      15                279  15 x 9 -> 5 x 27 -> 1 x 81
          1       8                324  8 x 27 -> 2 x 81
          0       5                405  5 x 81
    ---------------------------------------------------------------------------------
      total     143              1,581  at most 81 calls for one trial
    """

    def __init__(self, max_iter: int = 81, aggressiveness: float = 3) -> None:
        max_iter = checked_int("max_iter", max_iter)
        super().__init__(Plan(hyperband_brackets(max_iter, checked_factor("aggressiveness", aggressiveness))))
