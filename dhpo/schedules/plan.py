"""Plans: how many trials are trained to which resource, in which brackets, when nothing fails or stops early."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from dhpo.errors.checks import checked_int
from dhpo.wording import counted, markup

__all__ = ["PARTIAL_FIT_CALL", "BracketPlan", "Plan", "Rung"]

PARTIAL_FIT_CALL = "partial_fit call"
"""What is counted where no other resource is asked for."""

_SHOWN_RUNGS = 6


@dataclass(frozen=True, slots=True)
class Rung:
    """Some trials are trained equally far, and scored.

    Parameters
    ----------
    n_trials : int
    resource : int
        `partial_fit` calls that each of them has seen then, in all.

    Examples
    --------
    >>> from dhpo import Rung
    >>> print(Rung(n_trials=9, resource=3))
    9 x 3
    """

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

    Examples
    --------
    >>> from dhpo import BracketPlan, Rung
    >>> bracket = BracketPlan(0, (Rung(9, 1), Rung(3, 3), Rung(1, 9)))
    >>> bracket.n_trials, bracket.max_resource
    (9, 9)

    A promoted trial goes on where it was: the three are trained for 2 calls more, and the last one for 6.

    >>> bracket.partial_fit_calls == 9 * 1 + 3 * 2 + 1 * 6
    True
    """

    bracket: int
    rungs: tuple[Rung, ...]

    def __post_init__(self) -> None:
        steps = list(pairwise(self.rungs))
        if not self.rungs or self.rungs[-1].n_trials < 1 or self.rungs[0].resource < 1:
            raise ValueError(f"rungs={self.rungs!r}: give at least one rung, each with at least 1 trial and 1 call.")
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
    notes : tuple of str
        What else there is to say, in lines below the table.
    unit : str
        What is counted, in the singular.

    Examples
    --------
    >>> from dhpo import BracketPlan, Plan, Rung
    >>> plan = Plan((BracketPlan(1, (Rung(6, 2), Rung(2, 6))), BracketPlan(0, (Rung(3, 6),))))
    >>> print(plan)
    bracket  trials  partial_fit calls  rungs (trials x calls each)
    -----------------------------------------------------------------
          1       6                 20  6 x 2 -> 2 x 6
          0       3                 18  3 x 6
    -----------------------------------------------------------------
      total       9                 38  at most 6 calls for one trial

    With 4 blocks to train on, the longest-trained trials see each row one and a half times:

    >>> float(plan.passes(n_blocks=4))
    1.5
    """

    brackets: tuple[BracketPlan, ...]
    notes: tuple[str, ...] = ()
    unit: str = PARTIAL_FIT_CALL

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

    @property
    def short_unit(self) -> str:
        """The same where it is clear what calls are meant."""
        return self.unit.removeprefix("partial_fit ")

    def _rows(self) -> list[tuple[str, str, str, str]]:
        rows = [("bracket", "trials", f"{self.unit}s", f"rungs (trials x {self.short_unit}s each)")]
        rows += [(str(b.bracket), str(b.n_trials), f"{b.partial_fit_calls:,}", _arrows(b.rungs)) for b in self.brackets]
        longest = f"at most {counted(self.max_resource, self.short_unit)} for one trial"
        return [*rows, ("total", str(self.n_trials), f"{self.partial_fit_calls:,}", longest)]

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        header, *rows = self._rows()
        table = markup.table(header, [[markup.text(cell) for cell in row] for row in rows], left=(3,))
        return table + "".join(markup.block(markup.text(note)) for note in self.notes)

    def __str__(self) -> str:
        rows = self._rows()
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = ["  ".join([*(f"{row[i]:>{widths[i]}}" for i in range(3)), row[3]]) for row in rows]
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], *self.notes])


def _arrows(rungs: tuple[Rung, ...]) -> str:
    shown = [str(rung) for rung in rungs]
    if len(shown) > _SHOWN_RUNGS + 1:
        shown = [*shown[: _SHOWN_RUNGS - 2], f"({len(shown) - _SHOWN_RUNGS} more)", *shown[-2:]]
    return " -> ".join(shown)
