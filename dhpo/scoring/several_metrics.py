"""Several metrics of one model in one pass over the blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dhpo.data.rows import Rows
from dhpo.scoring.base import BlockScorer
from dhpo.scoring.collected_outputs import OUTPUTS

__all__ = ["Remembering", "SeveralTallies"]


class SeveralTallies:
    """The scores of one model in the making: the metric that decides, and others.

    Parameters
    ----------
    model : estimator
    scorer : BlockScorer
        Of the metric that decides; where it fails, the trial fails.
    others : mapping of str to BlockScorer
        Of the other metrics; where one fails, it is not a number.

    Attributes
    ----------
    n_rows : int
        Rows that were taken into account.
    """

    def __init__(self, model: Any, scorer: BlockScorer, others: Mapping[str, BlockScorer]) -> None:
        seen = Remembering(model) if others else model
        self._tally = scorer.tally(seen)
        self._others = {name: other.tally(seen) for name, other in others.items()}
        self._failed: set[str] = set()
        self.n_rows = 0

    def add(self, rows: Rows) -> None:
        """Take one block of validation rows into account."""
        self.n_rows += len(rows)
        self._tally.add(rows)
        for name, tally in self._others.items():
            if name not in self._failed:
                try:
                    tally.add(rows)
                except BaseException:
                    self._failed.add(name)

    def score(self) -> float:
        """The metric that decides, over all blocks so far."""
        return float(self._tally.score())

    def others(self) -> dict[str, float]:
        """The other metrics."""
        return {name: self._other(name) for name in self._others}

    def _other(self, name: str) -> float:
        if name in self._failed:
            return math.nan
        try:
            return float(self._others[name].score())
        except BaseException:
            return math.nan


class Remembering:
    """Looks like the model, and computes each of its outputs once for the rows it was asked about last.

    Parameters
    ----------
    model : estimator
    """

    def __init__(self, model: Any) -> None:
        self._dhpo_model = model
        self._dhpo_X: Any = None
        self._dhpo_outputs: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_dhpo"):
            raise AttributeError(name)
        value = getattr(self._dhpo_model, name)
        if name not in OUTPUTS:
            return value

        def output(X: Any) -> Any:
            if X is not self._dhpo_X:
                self._dhpo_X, self._dhpo_outputs = X, {}
            if name not in self._dhpo_outputs:
                self._dhpo_outputs[name] = value(X)
            return self._dhpo_outputs[name]

        output.__name__ = name
        return output
