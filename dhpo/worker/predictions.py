"""What the best model of a search predicts for the rows held out, to be judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dask.typing import Key
from sklearn import config_context

from dhpo.data.reader import BlockSpec
from dhpo.data.row_protection import copied, is_refused_write, lent
from dhpo.data.rows import Rows
from dhpo.errors.user_code import guarded
from dhpo.history.events import Checkpoint
from dhpo.scoring.judgement import check_one_output, scores_of
from dhpo.storage.model_store import loads_model
from dhpo.worker.ended_searches import silent_after_end
from dhpo.worker.messages import Context
from dhpo.worker.state import single_threaded, worker_state
from dhpo.worker.validation_rows import validation_rows

__all__ = ["Predictions", "predict_held_out"]


@dataclass(frozen=True)
class Predictions:
    """What is known of some rows, and what a model says of them.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_rows,)
    y_score : array-like of shape (n_rows,) or (n_rows, n_classes), or None
        Decision values or probabilities.
    """

    y_true: Any
    y_pred: Any
    y_score: Any


@guarded
@silent_after_end(list)
def predict_held_out(
    run: str,
    context: bytes,
    model: Checkpoint | bytes,
    groups: Mapping[int, Sequence[BlockSpec]],
    share: float,
    memory_limit: int,
    names: Sequence[Key] = (),
    values: Sequence[Any] = (),
) -> list[Predictions]:
    """Predict rows held out; the function of every `judge-` task.

    Parameters
    ----------
    run : str
        Name of the search.
    context : bytes
        The pickled `Context`.
    model : Checkpoint or bytes
        Where it lies, or the model itself, pickled, where there is no shared store.
    groups : mapping of int to sequence of BlockSpec
        By their numbers among all groups of blocks that are scored together.
    share : float
        Of the rows of each group, drawn at random, that are predicted; 1 for all.
    memory_limit : int
        Bytes of the worker, for its cache.
    names, values : sequence
        Keys of the blocks' graphs that are data on the cluster, and that data.

    Raises
    ------
    ValueError
        If the targets have several columns.
    """
    state = worker_state(run, memory_limit)
    shared = state.context(context)
    supplied = dict(zip(names, values, strict=True))
    found: list[Predictions] = []
    with single_threaded(), config_context(**shared.config):
        estimator = loads_model(_bytes_of(model, shared))
        try:
            for number, group in groups.items():
                if state.over:
                    break
                _, lookup = validation_rows(state, shared.split, supplied, number, group)
                rows = _drawn(lookup.rows, share, [shared.entropy, number])
                del lookup
                if len(rows):
                    found.append(_predicted(estimator, rows))
                del rows  # before the next group is loaded
        finally:
            state.rest()
    return found


def _bytes_of(model: Checkpoint | bytes, shared: Context) -> bytes:
    if isinstance(model, bytes):
        return model
    if shared.store is None:
        raise ValueError("the model came without its bytes")
    return shared.store.read(model)


def _drawn(rows: Rows, share: float, entropy: Sequence[int]) -> Rows:
    if share >= 1.0:
        return rows
    n_drawn = min(max(round(share * len(rows)), 1), len(rows))
    return rows.take(np.sort(np.random.default_rng(entropy).choice(len(rows), n_drawn, replace=False)))


def _predicted(model: Any, rows: Rows) -> Predictions:
    check_one_output(rows.y)
    try:
        X = lent(rows).X
        return Predictions(rows.y, model.predict(X), scores_of(model, X))
    except Exception as error:
        if not is_refused_write(error):
            raise
    X = copied(rows).X  # for a model that writes into its rows
    return Predictions(rows.y, model.predict(X), scores_of(model, X))
