"""Inverse decay: fewer and fewer trials, a little at a time."""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Real

from dhpo.errors.checks import checked_int
from dhpo.schedules.bracket import BracketSchedule
from dhpo.schedules.plan import BracketPlan, Plan, Rung
from dhpo.schedules.rungs import calls_of_scores

__all__ = ["InverseDecay", "inverse_decay_rungs"]

_DECAY_DENOMINATOR = 100


class InverseDecay(BracketSchedule):
    """After k calls keep 1 / (1 + k)**decay_rate of the trials, at least one.

    Ends when a single trial remains, or at `max_iter`.

    Parameters
    ----------
    n_initial_parameters : int, default 10
        Number of trials.
    max_iter : int, default 100
        Most `partial_fit` calls of one trial.
    decay_rate : float, default 1.0
        Higher drops trials sooner; 0 drops none.
    fits_per_score : int, default 1
        Calls between two looks at the scores.

    Notes
    -----
    With `decay_rate=1` the number of trials falls with the resource as in successive halving (Li et al., 2018), without
    its steps.

    Examples
    --------
    >>> from dhpo.schedules import InverseDecay
    >>> print(InverseDecay(n_initial_parameters=8, max_iter=9).plan())
    bracket  trials  partial_fit calls  rungs (trials x calls each)
    -----------------------------------------------------------------
          0       8                 16  8 x 1 -> 4 x 2 -> 2 x 4
    -----------------------------------------------------------------
      total       8                 16  at most 4 calls for one trial
    """

    def __init__(
        self, n_initial_parameters: int = 10, max_iter: int = 100, decay_rate: float = 1.0, fits_per_score: int = 1
    ) -> None:
        if not isinstance(decay_rate, Real) or not math.isfinite(decay_rate) or decay_rate < 0:
            raise ValueError(f"decay_rate={decay_rate!r} is not allowed: give a number >= 0.")
        rungs = inverse_decay_rungs(
            checked_int("n_initial_parameters", n_initial_parameters),
            float(decay_rate),
            checked_int("max_iter", max_iter),
            checked_int("fits_per_score", fits_per_score),
        )
        super().__init__(Plan((BracketPlan(0, rungs),)))


def inverse_decay_rungs(n: int, decay_rate: float, max_iter: int, fits_per_score: int = 1) -> tuple[Rung, ...]:
    """Keep n / (1 + k)**decay_rate of `n` trials after k calls, looking every `fits_per_score` calls.

    Ends when a single trial remains, or at `max_iter`. Calls after which none is dropped make no rung of their own.

    `decay_rate` is taken as the nearest fraction with a denominator of at most 100, which makes the comparison exact.
    """
    # A rate of log2(n) already leaves one trial after the first call; a larger one only makes larger integers.
    rate = min(Fraction(decay_rate).limit_denominator(_DECAY_DENOMINATOR), Fraction(n.bit_length()))
    rungs: list[Rung] = []
    training = n
    for calls in calls_of_scores(fits_per_score, max_iter):
        kept = _decayed(n, calls, rate, training)
        if kept < training or calls == max_iter:
            rungs.append(Rung(training, calls))
            training = kept
        if training == 1:
            break
    return tuple(rungs) or (Rung(n, fits_per_score),)


def _decayed(n: int, k: int, rate: Fraction, at_most: int) -> int:
    # The largest m with m <= n / (1 + k)**(p / q), that is m**q * (1 + k)**p <= n**q; at least 1.
    p, q = rate.numerator, rate.denominator
    low, high = 1, at_most
    bound = n**q // (1 + k) ** p
    while low < high:
        middle = (low + high + 1) // 2
        if middle**q <= bound:
            low = middle
        else:
            high = middle - 1
    return low
