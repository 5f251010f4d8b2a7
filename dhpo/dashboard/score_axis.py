"""The part of the axis of scores that is worth showing.

This module is sent to the scheduler by value: it imports nothing of dhpo, but for what is sent with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from bokeh.models import Range1d

__all__ = ["ScoreAxis", "lowest_worth_showing"]

# Of the range of all scores. Where low ones leave so little to the others, they are not drawn.
_TOO_LITTLE = 0.25
# A gap is wide that is so many times as large as the scores above it, and as their range; so that chance level, or a
# constant prediction, is never below one. Above it are this share of all scores, and so many, at least.
_WIDE, _SHARE_ABOVE, _FEWEST_ABOVE = 100, 0.1, 3
_MARGIN = 0.05


def lowest_worth_showing(scores: Any) -> float:
    """The lowest score, or a bound below which scores would hide the differences of all others.

    Where few are low, the bound is three times the distance between the quartiles below the lower one. Where many are,
    as of regressors that diverged, it is the lowest score above a gap of a hundred times the scores above it, and their
    range.

    Parameters
    ----------
    scores : array-like of shape (n_scores,)
        At least one of them is a number.
    """
    finite = np.asarray(scores, dtype=float)
    finite = finite[np.isfinite(finite)]
    low, high = np.quantile(finite, [0.25, 0.75])
    lowest, highest = float(finite.min()), float(finite.max())
    bound = float(low - 3 * (high - low))
    few_are_low = high > low and highest - bound < _TOO_LITTLE * (highest - lowest)
    return max(bound if few_are_low else lowest, _lowest_above_gaps(finite))


def _lowest_above_gaps(finite: np.ndarray) -> float:
    """The lowest score above the last gap, after those below each gap were left out, the lowest ones first."""
    above = np.sort(finite)[::-1]
    fewest = max(_FEWEST_ABOVE, math.ceil(_SHARE_ABOVE * len(finite)))
    while True:
        with np.errstate(over="ignore"):  # scores may be as large as numbers get
            gaps, spans = above[:-1] - above[1:], above[0] - above[:-1]
            sizes = np.maximum(np.maximum(abs(above[0]), abs(above[:-1])), spans)
            cuts = np.flatnonzero((sizes > 0) & (gaps > _WIDE * sizes)) + 1
        cuts = cuts[cuts >= fewest]
        if not len(cuts):
            return float(above[-1])
        above = above[: cuts[-1]]


class ScoreAxis:
    """Keeps the axis of scores of some figures on the part that is worth showing, unless the viewer has moved it.

    Parameters
    ----------
    title : str
        Of the figures. While scores are left out, it says how many.

    Attributes
    ----------
    range : bokeh Range1d
        For the y axis of the figures.
    """

    def __init__(self, title: str) -> None:
        self.range = Range1d(start=0.0, end=1.0)
        self._title = title
        self._set = (0.0, 1.0)

    def clear(self) -> None:
        """Forget how the viewer has moved it: another search follows."""
        self.range.update(start=self._set[0], end=self._set[1])

    def show(self, scores: Any, figures: Iterable[Any]) -> None:
        """Show these scores in these figures.

        Parameters
        ----------
        scores : array-like of shape (n_scores,)
        figures : iterable of bokeh figure
        """
        values = np.asarray(scores, dtype=float)
        title = self._title
        if len(values):
            lowest, highest = lowest_worth_showing(values), float(values.max())
            margin = _MARGIN * (highest - lowest) or 0.1 * abs(highest) or 1.0
            was_moved = (self.range.start, self.range.end) != self._set
            self._set = (lowest - margin, highest + margin)
            self.range.update(reset_start=self._set[0], reset_end=self._set[1])
            if not was_moved:
                self.range.update(start=self._set[0], end=self._set[1])
            n_below = int((values < lowest).sum())
            if n_below:
                title += f" ({n_below:,} below {lowest:.3g} left out)"
        for figure in figures:
            figure.title.text = title
