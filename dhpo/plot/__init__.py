"""Pictures of searches on matplotlib axes, for notebooks, papers and scripts.

Each function takes a search, a `dhpo.Run`, what `dhpo.load` returns, the folder of a journal, or a frame with the
columns of `summary()`, and draws on `ax`, or on a new figure. It returns a `Display` with the figure, the axes and the
numbers that were drawn. The extra `plot` installs matplotlib.
"""

from __future__ import annotations

from dhpo.plot.all_parameters import importance, parallel_coordinates
from dhpo.plot.display import Display
from dhpo.plot.one_parameter import slice, validation_curve
from dhpo.plot.over_time import best_so_far, history, timeline
from dhpo.plot.training import learning_curves, rungs
from dhpo.plot.two_parameters import contour

__all__ = [
    "Display",
    "best_so_far",
    "contour",
    "history",
    "importance",
    "learning_curves",
    "parallel_coordinates",
    "rungs",
    "slice",
    "timeline",
    "validation_curve",
]
