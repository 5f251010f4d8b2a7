"""Hyperband."""

from __future__ import annotations

from fractions import Fraction

from dhpo.errors.checks import checked_factor, checked_int
from dhpo.schedules.bracket import BracketSchedule
from dhpo.schedules.plan import BracketPlan, Plan, Rung

__all__ = ["Hyperband", "hyperband_brackets", "integer_log"]


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


def hyperband_brackets(max_iter: int, eta: int | Fraction) -> tuple[BracketPlan, ...]:
    """Return the brackets of Hyperband, the most aggressive first.

    Algorithm 1 of Li et al. (2018) with R = `max_iter`: bracket s starts n = ceil((s_max + 1) / (s + 1) * eta**s)
    trials, and its rung i has floor(n / eta**i) trials at R // eta**(s - i) calls. So the last rung of every bracket is
    exactly R, and all brackets have their rungs at the same calls. dask-ml rounds the first rung down to an integer and
    multiplies from there; where R is a power of eta that is the same.
    """
    s_max = integer_log(max_iter, eta)
    return tuple(_hyperband_bracket(s, s_max, max_iter, eta) for s in range(s_max, -1, -1))


def _hyperband_bracket(s: int, s_max: int, max_iter: int, eta: int | Fraction) -> BracketPlan:
    n = -int(-(s_max + 1) * eta**s // (s + 1))
    return BracketPlan(s, tuple(Rung(int(n // eta**i), int(max_iter // eta ** (s - i))) for i in range(s + 1)))


def integer_log(n: int, base: int | Fraction) -> int:
    """Return the largest k with `base**k <= n`, for n >= 1 and base >= 2.

    In integers: `floor(log(243, 3))` is 4 in floating point, which costs Hyperband a bracket.
    """
    if n < 1 or base < 2:
        raise ValueError(f"integer_log({n!r}, {base!r}) is not defined: give n >= 1 and base >= 2.")
    k = 0
    power = base
    while power <= n:
        k, power = k + 1, power * base
    return k
