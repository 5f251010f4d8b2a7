"""Any other score: the outputs of the model are collected over the blocks, and the scorer is called once.

It is called on a stand-in for the model that hands the collected outputs out, and on an X that has a shape and no rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import Tags, TargetTags

from dhpo.data.rows import Rows
from dhpo.scoring.base import Scorer, Tally

__all__ = ["OUTPUTS", "CollectingScorer", "NoRows", "ask_for_rest", "concatenate_outputs"]

OUTPUTS = ("predict", "predict_proba", "decision_function", "predict_log_proba", "score_samples", "transform")


@dataclass(frozen=True)
class CollectingScorer:
    """Any scorer `(estimator, X, y) -> float` that looks at X through the outputs of the model alone."""

    scorer: Scorer

    def tally(self, model: Any) -> Tally:
        """A new score for `model`."""
        return _CollectingTally(model, self.scorer)


class _CollectingTally:
    def __init__(self, model: Any, scorer: Scorer) -> None:
        self._model = model
        self._scorer = scorer
        self._asked: list[str] | None = None
        self._outputs: dict[str, list[Any]] = {}
        self._targets: list[Any] = []
        self._n_features = 0

    def add(self, rows: Rows) -> None:
        if self._asked is None:
            spy = self._spy_on(rows)
            self._asked = list(spy.asked)
            self._n_features = rows.X.shape[1]
            self._outputs = {name: [spy.asked[name]] for name in self._asked}
        else:
            for name in self._asked:
                self._outputs[name].append(getattr(self._model, name)(rows.X))
        if rows.y is not None:
            self._targets.append(rows.y)

    def _spy_on(self, rows: Rows) -> _Spy:
        spy = _Spy(self._model, rows.X)
        try:
            self._call(spy, rows.X, rows.y)
        except Exception:
            # One block may lack what the score needs (a second class, say). What it would have asked for next is not
            # known then.
            if not spy.asked:
                raise
            ask_for_rest(self._model, rows.X, spy.asked)
        if not spy.asked:
            raise TypeError(f"this scorer asks the model for none of its outputs; {_OUTPUTS_ONLY}")
        return spy

    def _call(self, model: Any, X: Any, y: Any) -> float:
        return float(self._scorer(model, X) if y is None else self._scorer(model, X, y))

    def score(self) -> float:
        outputs = {name: concatenate_outputs(parts) for name, parts in self._outputs.items()}
        y = np.concatenate(self._targets) if self._targets else None
        n_rows = len(y) if y is not None else len(next(iter(outputs.values())))
        X = NoRows((n_rows, self._n_features))
        return self._call(_Replay(self._model, outputs, X), X, y)


def ask_for_rest(model: Any, X: Any, asked: dict[str, Any]) -> None:
    """Add the outputs that were not asked for to those that were."""
    for name in OUTPUTS:
        if name not in asked and hasattr(model, name):
            asked[name] = getattr(model, name)(X)


def concatenate_outputs(parts: list[Any]) -> Any:
    """The same output of several blocks as one."""
    if isinstance(parts[0], list):  # probabilities of several outputs, an array for each
        return [np.concatenate(of_output) for of_output in zip(*parts, strict=True)]
    return np.concatenate(parts)


_OUTPUTS_ONLY = f"over blocks, a scorer sees X only through the outputs of the model ({', '.join(OUTPUTS)})"


_CHANGES_X = f"this scorer reads X itself, or changes X before it asks the model; {_OUTPUTS_ONLY}"


class NoRows:
    """Stands for X: has the shape of the validation rows, and nothing else: they are never brought together."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.ndim = 2

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"this scorer reads X itself; {_OUTPUTS_ONLY}")

    def __getitem__(self, item: Any) -> Any:
        raise TypeError(f"this scorer reads X itself; {_OUTPUTS_ONLY}")


class _StandIn:
    """Looks like the model (classes_, tags and all) but for its outputs."""

    def __init__(self, model: Any) -> None:
        self._dhpo_model = model

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_dhpo"):
            raise AttributeError(name)
        if name == "score":
            raise TypeError(f"this scorer calls the score method of the model, as scoring=None does; {_OUTPUTS_ONLY}")
        value = getattr(self._dhpo_model, name)
        if name not in OUTPUTS:
            return value
        output = self._dhpo_output(name, value)
        output.__name__ = name  # scikit-learn finds out by the name which output it has got
        return output

    def __sklearn_tags__(self) -> Tags:
        model = self._dhpo_model
        if hasattr(model, "__sklearn_tags__"):
            tags: Tags = model.__sklearn_tags__()
            return tags
        # An estimator of no library; scorers ask what kind it is.
        kind = getattr(model, "_estimator_type", "classifier" if hasattr(model, "classes_") else "regressor")
        return Tags(estimator_type=kind, target_tags=TargetTags(required=False))

    def _dhpo_output(self, name: str, method: Any) -> Any:
        raise NotImplementedError


class _Spy(_StandIn):
    def __init__(self, model: Any, X: Any) -> None:
        super().__init__(model)
        self.asked: dict[str, Any] = {}
        self._dhpo_X = X

    def _dhpo_output(self, name: str, method: Any) -> Any:
        def output(X: Any) -> Any:
            if X is not self._dhpo_X:
                raise TypeError(_CHANGES_X)
            found = method(X)
            self.asked.setdefault(name, found)
            return found

        return output


class _Replay(_StandIn):
    def __init__(self, model: Any, outputs: dict[str, Any], X: Any) -> None:
        super().__init__(model)
        self._dhpo_outputs = outputs
        self._dhpo_X = X

    def _dhpo_output(self, name: str, method: Any) -> Any:
        def output(X: Any) -> Any:
            if X is not self._dhpo_X:
                raise TypeError(_CHANGES_X)
            return self._dhpo_outputs[name]

        return output
