"""The rows that scores rest on, as workers keep them between steps."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from dask.typing import Key

from dhpo.data.holdout import Split
from dhpo.data.loaded import Lookup
from dhpo.data.reader import BlockSpec, load_fold, load_validation
from dhpo.data.rows import Rows, concatenate
from dhpo.worker.state import WorkerState

__all__ = ["validation_rows"]


def validation_rows(
    state: WorkerState,
    split: Split,
    supplied: Mapping[Key, Any],
    number: int,
    group: Sequence[BlockSpec],
    fold: int | None = None,
) -> tuple[Hashable, Lookup]:
    """One group of blocks' rows to score on, from the cache where they are there.

    Parameters
    ----------
    state : WorkerState
    split : Split
    supplied : mapping
        Data on the cluster that the graphs of some blocks need.
    number : int
        Of the group.
    group : sequence of BlockSpec
    fold : int or None
        Of a cross-validation over blocks; None for what is held out.

    Returns
    -------
    hashable
        The key of these rows in the cache.
    Lookup
    """

    def load() -> Rows:
        if fold is None:
            return _together(load_validation(group, split, supplied))
        return _together(load_fold(group, split, fold, supplied))

    # Needed by every score: kept before any training block.
    key = ("valid", number, fold)
    return key, state.cache.get(key, load, needed_at=-1.0)


def _together(parts: Sequence[Rows]) -> Rows:
    parts = [rows for rows in parts if len(rows)] or list(parts[:1])
    columns = zip(*parts, strict=True)
    return Rows(*(None if column[0] is None else concatenate(column) for column in columns))
