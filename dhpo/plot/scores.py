"""How scores are drawn in all pictures: their colours, and the part of their axis that is worth showing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dhpo.dashboard.score_axis import lowest_worth_showing
from dhpo.plot.display import matplotlib_module
from dhpo.wording import counted

__all__ = ["BEST", "colour_bar", "colour_scale", "limit_axis", "mark_best"]

# Of the best trial; readable on white and on black, and none of the brackets has it.
BEST = "#d55e00"
# The same for all who see colours in their own way, and in print; without the ends that are lost on white and on black.
_COLOUR_MAP, _DARKEST, _LIGHTEST = "cividis", 0.12, 0.96


def limit_axis(ax: Any, scores: Any) -> None:
    """Leave scores out that are so low that all others would fall together, and say how many.

    Parameters
    ----------
    ax : matplotlib Axes
        With the scores on its y axis.
    scores : array-like of shape (n_scores,)
    """
    values = pd.Series(scores, dtype=float)
    lowest = lowest_worth_showing(values)
    n_below = int((values < lowest).sum())
    if not n_below:
        return
    span = values.max() - lowest
    ax.set_ylim(lowest - 0.05 * span, values.max() + 0.05 * span)
    said = f"{counted(n_below, 'score')} below {lowest:.3g}"
    ax.annotate(said, (0.01, 0.01), xycoords="axes fraction", fontsize="x-small", alpha=0.7)


def colour_scale(scores: Any) -> tuple[Any, Any]:
    """The colours of scores, and the range that they span.

    Parameters
    ----------
    scores : array-like of shape (n_scores,)
    """
    values = pd.Series(scores, dtype=float)
    lowest, highest = lowest_worth_showing(values), values.max()
    if lowest == highest:
        lowest -= 1e-12
    colours = matplotlib_module("colors")
    all_colours = matplotlib_module("pyplot").get_cmap(_COLOUR_MAP)
    cmap = colours.ListedColormap(all_colours(np.linspace(_DARKEST, _LIGHTEST, 256)))
    return colours.Normalize(lowest, highest), cmap


def colour_bar(axes: list[Any], norm: Any, cmap: Any, label: str = "score") -> None:
    """What the colours mean, beside the axes.

    Parameters
    ----------
    axes : list of matplotlib Axes
    norm, cmap : object
        Of `colour_scale`.
    label : str
    """
    mappable = matplotlib_module("cm").ScalarMappable(norm, cmap)
    axes[0].get_figure().colorbar(mappable, ax=axes, label=label)


def mark_best(ax: Any, x: Any, y: Any) -> None:
    """A ring around the best trial."""
    ax.scatter([x], [y], s=110, facecolors="none", edgecolors=BEST, linewidths=1.8, zorder=5, label="best")
