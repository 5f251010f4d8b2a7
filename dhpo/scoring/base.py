"""The contract of scores over blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from dhpo.data.rows import Rows

__all__ = ["BlockScorer", "Scorer", "Tally"]

Scorer = Callable[..., float]


class Tally(Protocol):
    """The score of one model in the making."""

    def add(self, rows: Rows) -> None:
        """Take one block of validation rows into account."""

    def score(self) -> float:
        """The score over all blocks so far."""


class BlockScorer(Protocol):
    """Makes a `Tally` for a model; one for a whole search, shipped to the workers."""

    def tally(self, model: Any) -> Tally:
        """A new score for `model`."""
