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
    """

    def __init__(self, max_iter: int = 81, aggressiveness: float = 3) -> None:
        max_iter = checked_int("max_iter", max_iter)
        super().__init__(Plan(hyperband_brackets(max_iter, checked_factor("aggressiveness", aggressiveness))))
