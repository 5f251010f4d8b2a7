"""Rung tables: how many trials are trained to which resource, in integers only.

`floor(log(243, 3))` is 4 in floating point and costs Hyperband a bracket, so there is no logarithm and no
rounding here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

from dhpo.words import counted

__all__ = [
    "BracketPlan",
    "Plan",
    "Rung",
    "checked_factor",
    "checked_int",
    "fixed_rungs",
    "halving_rungs",
    "hyperband_brackets",
    "integer_log",
    "inverse_decay_rungs",
]

_SHOWN_RUNGS = 6
_DECAY_DENOMINATOR = 100
_FACTOR_DENOMINATOR = 1000


@dataclass(frozen=True, slots=True)
class Rung:
    """`n_trials` are trained up to `resource` cumulative `partial_fit` calls each, and scored."""

    n_trials: int
    resource: int

    def __str__(self) -> str:
        return f"{self.n_trials} x {self.resource}"


@dataclass(frozen=True, slots=True)
class BracketPlan:
    """The rungs of one bracket: resources rise, numbers of trials never do.

    Parameters
    ----------
    bracket : int
        Its number; in Hyperband the larger, the more aggressive.
    rungs : tuple of Rung
        At least one.
    """

    bracket: int
    rungs: tuple[Rung, ...]

    def __post_init__(self) -> None:
        steps = list(pairwise(self.rungs))
        if not self.rungs or self.rungs[-1].n_trials < 1 or self.rungs[0].resource < 1:
            raise ValueError(f"rungs={self.rungs!r}: at least one is needed, of 1 trial and 1 call or more.")
        if any(b.resource <= a.resource or b.n_trials > a.n_trials for a, b in steps):
            raise ValueError(f"rungs={self.rungs!r}: resources have to rise, and numbers of trials must not.")

    @property
    def n_trials(self) -> int:
        """Number of trials that the bracket starts."""
        return self.rungs[0].n_trials

    @property
    def partial_fit_calls(self) -> int:
        """Calls over all trials of the bracket."""
        below = (0, *(rung.resource for rung in self.rungs))
        return sum(rung.n_trials * (rung.resource - start) for rung, start in zip(self.rungs, below, strict=False))

    @property
    def max_resource(self) -> int:
        """Calls of the longest-trained trial."""
        return self.rungs[-1].resource


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule will run when nothing fails and nothing stops early; `print` shows it as a table.

    Parameters
    ----------
    brackets : tuple of BracketPlan
        At least one; trials are numbered through them in this order.
    """

    brackets: tuple[BracketPlan, ...]

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return sum(bracket.n_trials for bracket in self.brackets)

    @property
    def partial_fit_calls(self) -> int:
        """`partial_fit` calls over all trials."""
        return sum(bracket.partial_fit_calls for bracket in self.brackets)

    @property
    def max_resource(self) -> int:
        """`partial_fit` calls of the longest-trained trial."""
        return max(bracket.max_resource for bracket in self.brackets)

    def passes(self, n_blocks: int) -> Fraction:
        """Passes over the training data that the longest-trained trial makes.

        Parameters
        ----------
        n_blocks : int
            Number of training blocks; one `partial_fit` call sees one block.
        """
        return Fraction(self.max_resource, checked_int("n_blocks", n_blocks))

    def __str__(self) -> str:
        rows = [("bracket", "trials", "partial_fit calls", "rungs (trials x calls each)")]
        rows += [(str(b.bracket), str(b.n_trials), f"{b.partial_fit_calls:,}", _arrows(b.rungs)) for b in self.brackets]
        longest = f"at most {counted(self.max_resource, 'call')} for one trial"
        rows.append(("total", str(self.n_trials), f"{self.partial_fit_calls:,}", longest))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = ["  ".join([*(f"{row[i]:>{widths[i]}}" for i in range(3)), row[3]]) for row in rows]
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _arrows(rungs: tuple[Rung, ...]) -> str:
    shown = [str(rung) for rung in rungs]
    if len(shown) > _SHOWN_RUNGS + 1:
        shown = [*shown[: _SHOWN_RUNGS - 2], f"({len(shown) - _SHOWN_RUNGS} more)", *shown[-2:]]
    return " -> ".join(shown)


def checked_int(name: str, value: Any, minimum: int = 1) -> int:
    """Return `value` as an int, or say what is wrong with the parameter `name`.

    A float that is an integer is one; True and False are not.
    """
    integral = isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
    if not integral or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{name}={value!r} is not allowed: give an int >= {minimum}.")
    return int(value)


def checked_factor(name: str, value: Any) -> int | Fraction:
    """Return a reduction factor as an int, or else as the nearest fraction with a denominator of at most 1,000.

    Fractions make the arithmetic of rungs as exact as integers do.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 2 <= float(value) < math.inf:
        raise ValueError(f"{name}={value!r} is not allowed: give a number >= 2.")
    factor = Fraction(float(value)).limit_denominator(_FACTOR_DENOMINATOR)
    return int(factor) if factor.denominator == 1 else factor


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
