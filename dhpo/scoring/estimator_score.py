"""The `score` method of an estimator, where it is neither accuracy nor R2.

It is called on a copy of the model whose outputs were collected over the blocks, like a custom scorer; so it may be any
function of the outputs and of y.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dhpo.data.rows import Rows
from dhpo.scoring.base import Tally
from dhpo.scoring.collected_outputs import OUTPUTS, NoRows, ask_for_rest, concatenate_outputs

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
    """Any other `score` method.

    One that looks at X through the outputs of the model alone gives what it gives for all rows. Of others the mean over
    the rows is taken, as fits a mean loss; scikit-learn's own, of which it is known that they are no such mean, are
    refused where there are several blocks.
    """

    def tally(self, model: Any) -> Tally:
        """A new score for `model`."""
        return _OwnTally(getattr(model, "_dhpo_model", model))


class _OwnTally:
    def __init__(self, model: Any) -> None:
        self._model = model
        self._n_groups = self._n_rows = 0
        self._first = self._weighted = 0.0
        self._error: Exception | None = None
        self._outputs: dict[str, list[Any]] = {}
        self._targets: list[Any] = []
        self._n_features = 0

    def add(self, rows: Rows) -> None:
        if not self._n_groups:
            self._look_at_first(rows)
        else:
            self._look_at_more(rows)
        self._n_groups += 1
        self._n_rows += len(rows)
        if rows.y is not None:
            self._targets.append(rows.y)

    def _look_at_first(self, rows: Rows) -> None:
        asked: dict[str, Any] = {}

        def spy_on(name: str) -> Any:
            method = getattr(self._model, name)

            def output(X: Any) -> Any:
                found = method(X)
                if X is rows.X:
                    asked[name] = found
                return found

            return output

        self._n_features = rows.X.shape[1]
        try:
            self._first = float(_score(_with_outputs(self._model, spy_on), rows.X, rows.y))
        except Exception as error:  # the block may lack what the score needs; what else it asks for is not known then
            self._error = error
            ask_for_rest(self._model, rows.X, asked)
        self._outputs = {name: [output] for name, output in asked.items()}

    def _look_at_more(self, rows: Rows) -> None:
        if self._n_groups == 1 and self._error is None:
            self._weighted = self._n_rows * self._first
            if not self._outputs_tell_the_first():
                self._outputs = {}
        if self._outputs:
            for name, parts in self._outputs.items():
                parts.append(getattr(self._model, name)(rows.X))
        else:
            self._weighted += len(rows) * float(_score(self._model, rows.X, rows.y))

    def _outputs_tell_the_first(self) -> bool:
        """Whether the score of the first rows comes of the outputs alone; else it looks at X in other ways, too."""
        outputs = {name: output for name, (output,) in self._outputs.items()}
        again = self._from_outputs(outputs, self._n_rows, self._targets[0] if self._targets else None)
        return again is not None and (again == self._first or (math.isnan(again) and math.isnan(self._first)))

    def _from_outputs(self, outputs: dict[str, Any], n_rows: int, y: Any) -> float | None:
        """The score by outputs that were collected; None if it needs more than them."""
        model = _with_outputs(self._model, lambda name: lambda X: outputs[name])
        try:
            return float(_score(model, NoRows((n_rows, self._n_features)), y)) if outputs else None
        except Exception:
            return None

    def score(self) -> float:
        if self._n_groups == 1:
            if self._error is not None:
                raise self._error
            return self._first
        if self._outputs:
            y = np.concatenate(self._targets) if self._targets else None
            outputs = {name: concatenate_outputs(parts) for name, parts in self._outputs.items()}
            score = self._from_outputs(outputs, self._n_rows, y)
            if score is not None:
                return score
        elif not type(self._model).__module__.startswith("sklearn."):
            return self._weighted / self._n_rows
        raise TypeError(
            f"{type(self._model).__name__}.score cannot be computed block by block: name a metric, for instance "
            "scoring='accuracy' or scoring='r2'."
        ) from self._error


def _with_outputs(model: Any, make: Any) -> Any:
    """A copy of the model with other methods for its outputs; all else, its class too, is as it was."""
    copied = copy.copy(model)
    for name in OUTPUTS:
        if hasattr(model, name):
            setattr(copied, name, make(name))
    return copied


def _score(model: Any, X: Any, y: Any) -> Any:
    return model.score(X) if y is None else model.score(X, y)
