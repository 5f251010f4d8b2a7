"""The table of trials that people look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from dhpo.history.events import SplitScores
from dhpo.history.row import Row
from dhpo.history.tables import score_columns

__all__ = ["summary_of"]


def summary_of(rows: Sequence[Row], over: bool, splits: bool) -> pd.DataFrame:
    """One row for each trial, the best first; see `dhpo.History.summary`.

    Parameters
    ----------
    rows : sequence of Row
        Sorted by the numbers of their trials.
    over : bool
        Whether the search has ended.
    splits : bool
        Whether there are columns for the scores on each split of the data.
    """
    scores = np.array([np.nan if r.last is None or r.last.failed else r.last.score for r in rows], dtype=float)
    ranks = _ranks(scores)
    frame = pd.DataFrame(
        {
            "rank": pd.array(ranks, dtype="Int64"),
            "score": scores,
            **_metrics(rows, splits),
            "status": pd.array([row.status(over) for row in rows], dtype="str"),
        },
        index=pd.Index([row.trial.number for row in rows], name="trial", dtype=int),
    )
    for name in dict.fromkeys(name for row in rows for name in row.trial.params):
        values = [row.trial.params.get(name, np.nan) for row in rows]
        frame["param_" + name] = pd.Series(values, index=frame.index, dtype=object if _is_mixed(values) else None)
    # What a narrow terminal leaves out is in the middle.
    frame["resource"] = np.array([row.calls for row in rows], dtype=int)
    frame["bracket"] = np.array([row.trial.bracket for row in rows], dtype=int)
    frame["rung"] = np.array([row.rung for row in rows], dtype=int)
    frame["seconds"] = np.array([row.seconds for row in rows], dtype=float)
    frame["worker"] = pd.array([row.worker or None for row in rows], dtype="str")
    frame["error"] = pd.array([row.error for row in rows], dtype="str")
    return frame.iloc[sorted(range(len(rows)), key=lambda i: _position(rows[i], ranks[i]))]


def _is_mixed(values: Sequence[Any]) -> bool:
    """Whether pandas would take values for others: None for one that is missing, True for 1, or 1 for 1.0."""
    numbers = [value for value in values if isinstance(value, int | float) and value == value]
    type_of: dict[Any, type] = {}
    # True and 1 and 1.0 are one key.
    are_confused = any(type_of.setdefault(value, type(value)) is not type(value) for value in numbers)
    kinds = {type(value) for value in numbers}
    return any(value is None for value in values) or are_confused or (bool in kinds and len(kinds) > 1)


def _position(row: Row, rank: int | None) -> tuple[float, bool, int]:
    """Those with a score by their ranks, then those that have none yet, then those that failed."""
    failed = row.last is not None and row.last.failed
    return (np.inf if rank is None else rank), failed, row.trial.number


def _metrics(rows: Sequence[Row], splits: bool) -> dict[str, np.ndarray]:
    """The columns of the other metrics, and of the splits where they are wanted, in the words of `cv_results_`."""
    scores = [_last_scores(row) for row in rows]
    metrics = next((list(of_trial[0].test) for of_trial in scores if of_trial and of_trial[0].test), ["score"])
    if metrics == ["score"] and not splits:
        return {}
    columns = score_columns(scores, "test", metrics)
    wanted = {} if metrics == ["score"] else {f"test_{name}": columns[f"mean_test_{name}"] for name in metrics}
    if splits:
        wanted |= {name: column for name, column in columns.items() if name.startswith("split")}
    return wanted


def _last_scores(row: Row) -> tuple[SplitScores, ...]:
    if row.last is None or row.last.failed:
        return ()
    return row.reports[-1].splits or (SplitScores({"score": row.last.score}),)


def _ranks(scores: np.ndarray) -> list[int | None]:
    finite = np.isfinite(scores)
    ranks: list[int | None] = [None] * len(scores)
    for i, rank in zip(np.flatnonzero(finite), rankdata(-scores[finite], method="min"), strict=True):
        ranks[i] = int(rank)
    return ranks
