"""Rung tables: how many trials are trained to which resource, in integers only.

`floor(log(243, 3))` is 4 in floating point and costs Hyperband a bracket, so there is no logarithm and no
rounding here.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from dhpo.schedules.plan import BracketPlan, Rung

__all__ = [
    "fixed_rungs",
    "halving_rungs",
    "hyperband_brackets",
    "integer_log",
    "inverse_decay_rungs",
]

_DECAY_DENOMINATOR = 100


def integer_log(n: int, base: int | Fraction) -> int:
    """Return the largest k with `base**k <= n`, for n >= 1 and base >= 2."""
    if n < 1 or base < 2:
        raise ValueError(f"integer_log({n!r}, {base!r}) is not defined: give n >= 1 and base >= 2.")
    k = 0
    power = base
    while power <= n:
        k, power = k + 1, power * base
    return k


def fixed_rungs(n: int, max_iter: int, fits_per_score: int | None = None) -> tuple[Rung, ...]:
    """Train all `n` trials to `max_iter`, scored every `fits_per_score` calls and at the end."""
    step = max_iter if fits_per_score is None else fits_per_score
    return tuple(Rung(n, resource) for resource in _grid_points(step, max_iter))


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


def inverse_decay_rungs(n: int, decay_rate: float, max_iter: int, fits_per_score: int = 1) -> tuple[Rung, ...]:
    """Keep n / (1 + k)**decay_rate of `n` trials after k calls, looking every `fits_per_score` calls.

    Ends when a single trial remains, or at `max_iter`. Calls after which none is dropped make no rung of their own.

    `decay_rate` is taken as the nearest fraction with a denominator of at most 100, which makes the comparison exact.
    """
    # A rate of log2(n) already leaves one trial after the first call; a larger one only makes larger integers.
    rate = min(Fraction(decay_rate).limit_denominator(_DECAY_DENOMINATOR), Fraction(n.bit_length()))
    rungs: list[Rung] = []
    training = n
    for calls in _grid_points(fits_per_score, max_iter):
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


def _grid_points(step: int, end: int) -> Iterator[int]:
    yield from range(step, end, step)
    yield end
