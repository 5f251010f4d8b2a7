"""What came of several searches, beside each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dhpo.history.history import History
from dhpo.views.progress import Progress
from dhpo.views.text import short_params

__all__ = ["comparison_of"]


def comparison_of(histories: Mapping[str, History]) -> pd.DataFrame:
    """One row for each search, that with the best score first.

    Parameters
    ----------
    histories : mapping of str to History
        By the names that the searches shall have.

    Returns
    -------
    pandas.DataFrame
        Indexed by name, with `status` ("unfinished" where the process has died), `score` of the best trial, `trials`,
        `resource` (calls of `partial_fit`, or fits, over all trials), `failed` trials, `seconds` that the search took,
        and the `best_params` in words.
    """
    rows = []
    for name, history in histories.items():
        progress, best = Progress(history), history.best
        rows.append(
            {
                "search": name,
                "status": progress.status if history.over or history.alive else "unfinished",
                "score": np.nan if best is None else best.report.score,
                "trials": progress.everything.trials,
                "resource": progress.everything.calls,
                "failed": len(progress.failed),
                "seconds": progress.time,
                "best_params": "" if best is None else short_params(best.trial.params),
            }
        )
    frame = pd.DataFrame(rows).set_index("search")
    return frame.sort_values("score", ascending=False, kind="stable")
