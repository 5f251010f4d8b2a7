"""Prediction with the best model, on data in memory and lazily on dask collections."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import sklearn.model_selection
from dask.base import is_dask_collection
from dask.dataframe.utils import meta_nonempty
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from dhpo.data.blocks import align, check_lengths, needs_lengths
from dhpo.data.collections import as_chunks_together, chunk_lengths
from dhpo.data.numeric_input import takes_text
from dhpo.data.rows import n_rows, take
from dhpo.data.wrappers import wrapped_scoring
from dhpo.scoring import deciding_scoring, make_block_scorer

__all__ = ["PredictsWithBest"]


def _best_has(method: str) -> Callable[[Any], bool]:
    def check(search: Any) -> bool:
        _check_refit(search, method)
        # Raises the AttributeError of the estimator itself.
        getattr(getattr(search, "best_estimator_", search.estimator), method)
        return True

    return check


def _check_refit(search: Any, method: str) -> None:
    if not getattr(search, "refit", True):
        raise AttributeError(
            f"This `{type(search).__name__}` instance was initialized with `refit=False`. {method} is available only "
            "after refitting on the best parameters. You can refit an estimator manually using the `best_params_` "
            "attribute"
        )


class PredictsWithBest:
    """Hands the methods of `best_estimator_` on.

    On a dask array or dataframe they return a lazy dask array (or dataframe, where the model returns pandas objects)
    with the same chunks.
    """

    estimator: Any
    best_estimator_: Any
    scoring: Any
    scorer_: Any
    refit: Any

    def _scoring(self) -> Any:
        return wrapped_scoring(self.estimator) if self.scoring is None else self.scoring

    @available_if(_best_has("predict"))
    def predict(self, X: Any) -> Any:
        """Predict with the best model.

        Parameters
        ----------
        X : array-like, sparse matrix, dask array or dask dataframe of shape (n_samples, n_features)

        Returns
        -------
        ndarray or dask array of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._blockwise("predict", X)

    @available_if(_best_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Class probabilities of the best model, of shape (n_samples, n_classes); see `predict`."""
        return self._blockwise("predict_proba", X)

    @available_if(_best_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of the class probabilities of the best model; see `predict`."""
        return self._blockwise("predict_log_proba", X)

    @available_if(_best_has("decision_function"))
    def decision_function(self, X: Any) -> Any:
        """Decision values of the best model, of shape (n_samples,) or (n_samples, n_classes); see `predict`."""
        return self._blockwise("decision_function", X)

    @available_if(_best_has("transform"))
    def transform(self, X: Any) -> Any:
        """Transform with the best model; see `predict`."""
        return self._blockwise("transform", X)

    @available_if(_best_has("inverse_transform"))
    def inverse_transform(self, X: Any) -> Any:
        """Undo `transform` with the best model; see `predict`."""
        return self._blockwise("inverse_transform", X)

    @available_if(_best_has("score_samples"))
    def score_samples(self, X: Any) -> Any:
        """Score each row with the best model, as a density or an anomaly detector does; see `predict`."""
        return self._blockwise("score_samples", X)

    def score(self, X: Any, y: Any = None, **params: Any) -> float:
        """Score the best model with the scorer of the search; of several, with the one that `refit` names.

        Parameters
        ----------
        X : array-like, sparse matrix, dask array or dask dataframe of shape (n_samples, n_features)
        y : array-like, dask array, dask dataframe or series of shape (n_samples,) or (n_samples, n_outputs), optional

        **params
            More arguments of the scorer, where scikit-learn's metadata routing is enabled.

        Returns
        -------
        float
            Of dask collections too: they are scored block by block in this process, and X is never brought together.
        """
        _check_refit(self, "score")
        check_is_fitted(self, "best_estimator_")
        if params and not sklearn.get_config()["enable_metadata_routing"]:
            raise ValueError(
                f"Passing extra keyword arguments to {type(self).__name__}.score is only supported if "
                f"enable_metadata_routing=True, which sklearn.set_config can set; given were {', '.join(params)}."
            )
        if is_dask_collection(X) or is_dask_collection(y):
            if params:
                raise ValueError(
                    f"score takes {', '.join(params)} with X and y in memory only; scores of dask collections are not "
                    "weighted."
                )
            return self._score_blocks(X, y)
        routed = process_routing(self, "score", **params).scorer.score if params else {}
        scorer = self.scorer_[self.refit] if isinstance(self.scorer_, Mapping) else self.scorer_
        data = (X,) if y is None else (X, y)
        score = scorer(self.best_estimator_, *data, **routed)
        value: float = score[self.refit] if isinstance(score, Mapping) else score
        return value

    def _sk_visual_block_(self) -> Any:
        # What scikit-learn draws of its own searches: the estimator, or the best one.
        shown = sklearn.model_selection.GridSearchCV(self.estimator, {})
        if hasattr(self, "best_estimator_"):
            shown.best_estimator_ = self.best_estimator_
        return shown._sk_visual_block_()

    def _score_blocks(self, X: Any, y: Any) -> float:
        X_chunks, y_chunks = as_chunks_together(takes_text(self.best_estimator_), X=X, y=y)
        if X_chunks is None:
            raise TypeError("X is None; allowed are dask and NumPy arrays, dataframes and sparse matrices.")
        check_lengths(X_chunks, y_chunks)
        known = {c.name: c.with_lengths(chunk_lengths(c)) for c in needs_lengths(X_chunks, y_chunks)}
        X_chunks = known.get("X", X_chunks)
        y_chunks = known.get("y", y_chunks)
        scoring = deciding_scoring(self._scoring(), getattr(self, "refit", True))
        scorer = make_block_scorer(self.best_estimator_, scoring, getattr(self.best_estimator_, "classes_", None))
        tally = scorer.tally(self.best_estimator_)
        for block in align(X_chunks, y_chunks, None):
            rows = block.load({key: future.result() for key, future in block.futures.items()})
            if len(rows):
                tally.add(rows)
        return tally.score()

    def _blockwise(self, method: str, X: Any) -> Any:
        check_is_fitted(self, "best_estimator_")
        model = self.best_estimator_
        if not is_dask_collection(X):
            return getattr(model, method)(X)
        if isinstance(X, da.Array):
            if X.ndim == 2 and X.numblocks[1] > 1:
                X = X.rechunk({1: -1})
            lengths = X.chunks[0]
        else:
            lengths = (np.nan,) * X.npartitions
        given = getattr(self, f"{method}_meta", None)
        meta = _meta(model, method, X) if given is None else given
        if isinstance(meta, list):  # probabilities of several outputs, an array for each
            return [self._output_of_blocks(method, X, lengths, m, i) for i, m in enumerate(meta)]
        return self._output_of_blocks(method, X, lengths, meta, None)

    def _output_of_blocks(self, method: str, X: Any, lengths: Any, meta: Any, index: int | None) -> Any:
        # The model is one node of the graph, and not a part of each task.
        lazy = dask.delayed(_output, pure=True)
        shared = dask.delayed(self.best_estimator_, pure=True)
        if hasattr(meta, "iloc"):  # set_output(transform="pandas")
            empty = meta.iloc[:0]
            return dd.from_delayed([lazy(shared, method, part, empty, index) for part in _parts(X)], meta=empty)
        empty = meta[:0]
        blocks = [
            da.from_delayed(lazy(shared, method, part, empty, index), shape=(length, *meta.shape[1:]), meta=empty)
            for length, part in zip(lengths, _parts(X), strict=True)
        ]
        return da.concatenate(blocks, allow_unknown_chunksizes=True)


def _meta(model: Any, method: str, X: Any) -> Any:
    """An output of the method for rows like those of X."""
    row = np.ones((1, *X.shape[1:]), dtype=X.dtype) if isinstance(X, da.Array) else meta_nonempty(X._meta).iloc[:1]
    with warnings.catch_warnings():  # the blocks will say it themselves
        warnings.simplefilter("ignore")
        try:
            return getattr(model, method)(row)
        except Exception:  # an encoder, say, that knows no such category: then a real row
            found = dask.compute(*[dask.delayed(_first_row)(part) for part in _parts(X)])
            real = next((row for row in found if row is not None), None)
            if real is None:
                raise
            return getattr(model, method)(real)


def _first_row(part: Any) -> Any:
    return take(part, slice(0, 1)) if n_rows(part) else None


def _parts(X: Any) -> list[Any]:
    return list(X.to_delayed().ravel()) if isinstance(X, da.Array) else list(X.to_delayed())


def _output(model: Any, method: str, X: Any, empty: Any, index: int | None) -> Any:
    if not n_rows(X):
        return empty
    found = getattr(model, method)(X)
    return found if index is None else found[index]
