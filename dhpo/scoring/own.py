"""The `score` method of an estimator, where it is neither accuracy nor R2.

It is called on a copy of the model whose outputs were collected over the blocks, like a custom scorer; so it may be any
function of the outputs and of y.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from dhpo.data.rows import Rows
from dhpo.scoring.base import Tally
from dhpo.scoring.collecting import OUTPUTS, NoRows, concatenate_outputs

__all__ = ["AdditiveScorer", "OwnScorer"]


@dataclass(frozen=True)
class AdditiveScorer:
    """A `score` method that adds up over rows, as the inertia of KMeans does."""

    def tally(self, model: Any) -> Tally:
        """A new score for `model`."""
        return _AdditiveTally(model)


class _AdditiveTally:
    def __init__(self, model: Any) -> None:
        self._model = model
        self._sum = 0.0

    def add(self, rows: Rows) -> None:
        self._sum += float(_score(self._model, rows.X, rows.y))

    def score(self) -> float:
        return self._sum


@dataclass(frozen=True)
class OwnScorer:
    """Any `score` method that looks at X through the outputs of the model alone; others on a single block only."""

    def tally(self, model: Any) -> Tally:
        """A new score for `model`."""
        return _OwnTally(getattr(model, "_dhpo_model", model))


class _OwnTally:
    def __init__(self, model: Any) -> None:
        self._model = model
        self._n_groups = 0
        self._of_first: float | Exception = np.nan
        self._outputs: dict[str, list[Any]] = {}
        self._targets: list[Any] = []
        self._n_features = 0

    def add(self, rows: Rows) -> None:
        if self._n_groups:
            for name, parts in self._outputs.items():
                parts.append(getattr(self._model, name)(rows.X))
        else:
            self._look_at_first(rows)
        self._n_groups += 1
        if rows.y is not None:
            self._targets.append(rows.y)

    def _look_at_first(self, rows: Rows) -> None:
        asked: dict[str, Any] = {}

        def spy_on(name: str) -> Any:
            method = getattr(self._model, name)

            def output(X: Any) -> Any:
                asked[name] = method(X)
                return asked[name]

            return output

        self._n_features = rows.X.shape[1]
        try:
            self._of_first = _score(_with_outputs(self._model, spy_on), rows.X, rows.y)
        except Exception as error:  # the block may lack what the score needs; what else it asks for is not known then
            self._of_first = error
            for name in (name for name in OUTPUTS if hasattr(self._model, name) and name not in asked):
                asked[name] = getattr(self._model, name)(rows.X)
        self._outputs = {name: [output] for name, output in asked.items()}

    def score(self) -> float:
        if self._n_groups == 1:
            if isinstance(self._of_first, Exception):
                raise self._of_first
            return float(self._of_first)
        y = np.concatenate(self._targets) if self._targets else None
        outputs = {name: concatenate_outputs(parts) for name, parts in self._outputs.items()}
        try:
            if not outputs:
                raise TypeError("it asks for no output of the model")
            n_rows = len(next(iter(outputs.values())))
            model = _with_outputs(self._model, lambda name: lambda X: outputs[name])
            return float(_score(model, NoRows((n_rows, self._n_features)), y))
        except Exception as error:
            kind = type(self._model).__name__
            raise TypeError(f"{kind}.score cannot be computed block by block ({error}): give scoring=") from error


def _with_outputs(model: Any, make: Any) -> Any:
    """A copy of the model with other methods for its outputs; all else, its class too, is as it was."""
    copied = copy.copy(model)
    for name in OUTPUTS:
        if hasattr(model, name):
            setattr(copied, name, make(name))
    return copied


def _score(model: Any, X: Any, y: Any) -> Any:
    return model.score(X) if y is None else model.score(X, y)
