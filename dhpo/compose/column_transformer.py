"""A transformer of columns that learns block by block."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import sklearn
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.utils.metadata_routing import MetadataRouter

from dhpo.compose.parts import NO_METADATA, Metadata, Part, TrainedByParts, add_partial_fit_routes, routed
from dhpo.compose.rules import ParameterPlace

__all__ = ["PartialFitColumnTransformer", "make_partial_fit_column_transformer"]

_REMAINDER = "remainder"


class _Trained:
    """Stands for a transformer while scikit-learn takes the columns apart, and trains it on what it is given."""

    def __init__(self, part: Part, y: Any, metadata: Metadata) -> None:
        self.part = part
        self._y = y
        self._metadata = metadata

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        return self.transform(X)

    def transform(self, X: Any) -> Any:
        return self.part.learn_and_transform(X, self._y, self._metadata)

    def __sklearn_clone__(self) -> _Trained:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.part.estimator, name)


def _bare(value: Any) -> Any:
    """Put the transformers back in the place of those that stood for them."""
    if isinstance(value, _Trained):
        return value.part.estimator
    return type(value)(map(_bare, value)) if type(value) in (list, tuple) else value


class PartialFitColumnTransformer(TrainedByParts, ColumnTransformer):
    """A scikit-learn ColumnTransformer that can also be trained block by block, with `partial_fit`.

    Everything but `partial_fit`, `partial_fit_transform` and `check_steps` is scikit-learn's `ColumnTransformer`; what
    its transformers may be is told at `PartialFitPipeline`, which can itself be one.

    The first block decides, and later blocks do not change: which columns a transformer gets (so a callable, such as
    `make_column_selector`, is called with the first block alone), which columns the remainder has, and whether a mix
    of sparse and dense outputs becomes sparse (`sparse_output_`). Later blocks may have their columns in another order
    if they are dataframes.

    Parameters
    ----------
    transformers : list of (str, transformer, columns)
        A transformer is an estimator, "passthrough" or "drop". Columns are a name, a list of names, a position, a list
        of positions, a slice, a mask, or a callable that is given the first block and returns one of those.
    remainder : estimator, "passthrough" or "drop", default "drop"
        What becomes of all other columns.
    sparse_threshold : float, default 0.3
        A mix of sparse and dense outputs is sparse if less of the first block than this is not zero.
    n_jobs : int, default None
        For `fit` and `transform`. `partial_fit` takes one transformer after the other.
    transformer_weights : dict of str to float, default None
        Factors of the outputs.
    verbose : bool, default False
        Whether `fit` prints how long each transformer took. `partial_fit` prints nothing.
    verbose_feature_names_out : bool, str or callable, default True
        Whether, and how, names of columns are prefixed by the name of their transformer.

    Attributes
    ----------
    transformers_ : list of (str, transformer, columns)
        Clones, which are what is trained. Parameters that are set after the first block are for the next `fit`.
    named_transformers_ : Bunch
        The same by name.
    sparse_output_ : bool
        Whether the output is sparse.
    output_indices_ : dict of str to slice
        The columns of the output that each transformer gives.
    n_features_in_ : int
        Columns of the first block.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where all are strings.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.preprocessing import OneHotEncoder, StandardScaler
    >>> from dhpo.compose import PartialFitColumnTransformer
    >>> columns = PartialFitColumnTransformer([
    ...     ("number", StandardScaler(), ["age"]),
    ...     ("category", OneHotEncoder(categories=[["C", "Q", "S"]], handle_unknown="ignore"), ["port"]),
    ... ])
    >>> block = pd.DataFrame({"age": [20.0, None, 40.0], "port": ["S", "C", "S"]})
    >>> columns.partial_fit(block).transform(block).shape
    (3, 4)
    """

    # The transformers in `transformers_` as they were checked, while they are the same.
    _known_parts: list[Part | None] | None = None

    def check_steps(self) -> None:
        """Raise if `partial_fit` cannot be, for reasons that are known without data.

        Raises
        ------
        TypeError
            If a transformer cannot be trained block by block whatever its parameters; the message names it, what it is
            and what to use instead.
        ValueError
            If it cannot with these parameters.
        """
        self._check_parts(ParameterPlace("transformers"), transforms=True)

    def partial_fit(self, X: Any, y: Any = None, **params: Any) -> PartialFitColumnTransformer:
        """Train all transformers on their columns of a block.

        Parameters
        ----------
        X : dataframe, array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default None
            Given to every transformer.
        **params
            With metadata routing enabled, what transformers have requested with `set_partial_fit_request`; else none
            are allowed.

        Returns
        -------
        PartialFitColumnTransformer
            Itself.

        Raises
        ------
        TypeError, ValueError
            As in `check_steps`; or if the block does not have the columns of the first.
        """
        self.partial_fit_transform(X, y, **params)
        return self

    def partial_fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Train all transformers on their columns of a block, and return it transformed.

        As `partial_fit` and `transform`, but each transformer transforms the block once.

        Parameters
        ----------
        X, y, **params
            As for `partial_fit`.

        Returns
        -------
        array, sparse matrix or dataframe of shape (n_samples, n_transformed_features)
        """
        metadata = self._metadata(params)
        # scikit-learn takes the columns apart and puts them together again, as it does in `transform`. In a copy, lest
        # an error leave what stands for the transformers behind; in this thread and process, for there they learn.
        copied = copy.copy(self)
        copied.n_jobs = 1
        copied.verbose = False
        if hasattr(self, "transformers_"):
            copied.transformers_ = _standing_for(self.transformers_, self._parts(), y, metadata)
            return ColumnTransformer.transform(copied, X)
        parts = [
            None if part is None else part._replace(estimator=clone(part.estimator))
            for part in self._checked_parts(self._given(), ParameterPlace("transformers"))
        ]
        *copied.transformers, (_, copied.remainder, _) = _standing_for(self._given(), parts, y, metadata)
        Xt = ColumnTransformer.fit_transform(copied, X, y)
        parameters = self.get_params(deep=False)
        for name, value in vars(copied).items():
            if name not in parameters:
                setattr(self, name, _bare(value))
        return Xt

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what scikit-learn's metadata routing passes on to which transformer.

        Returns
        -------
        MetadataRouter
        """
        router = super().get_metadata_routing()
        add_partial_fit_routes(router, [(name, transformer) for name, transformer, _ in self._given()], last=None)
        return router

    def _given(self) -> list[tuple[str, Any, Any]]:
        if not isinstance(self.transformers, list | tuple) or any(not _is_triple(t) for t in self.transformers):
            raise ValueError(
                f"transformers={self.transformers!r} is not allowed: give a list of (name, transformer, columns)."
            )
        return [*self.transformers, (_REMAINDER, self.remainder, None)]

    def _parts(self) -> list[Part | None]:
        known = self._known_parts
        if known is None or len(known) != len(self.transformers_) or not all(map(_is_of, self.transformers_, known)):
            fitted = self._checked_parts(self.transformers_, ParameterPlace("transformers"))
            known = self._known_parts = [None if part is None else part.after_a_block() for part in fitted]
        return known

    def _check_parts(self, place: ParameterPlace, *, transforms: bool) -> None:
        self._checked_parts(self._given(), place)

    @staticmethod
    def _checked_parts(transformers: Sequence[tuple[str, Any, Any]], place: ParameterPlace) -> list[Part | None]:
        """The transformers, None for "drop" and "passthrough"."""
        return [
            None if isinstance(transformer, str) else Part.checked(name, transformer, place, transforms=True)
            for name, transformer, _ in transformers
        ]

    def _metadata(self, params: Mapping[str, Any]) -> Mapping[str, Metadata]:
        if params and not sklearn.get_config()["enable_metadata_routing"]:
            raise ValueError(
                f"partial_fit: {', '.join(params)} is not allowed: more arguments than X and y are taken with "
                "enable_metadata_routing=True, which sklearn.set_config can set."
            )
        return routed(self, params)


def _is_triple(transformer: Any) -> bool:
    return isinstance(transformer, list | tuple) and len(transformer) == 3


def _is_of(fitted: tuple[str, Any, Any], part: Part | None) -> bool:
    transformer = fitted[1]
    return isinstance(transformer, str) if part is None else part.estimator is transformer


def _standing_for(
    transformers: Sequence[tuple[str, Any, Any]],
    parts: Sequence[Part | None],
    y: Any,
    metadata: Mapping[str, Metadata],
) -> list[tuple[str, Any, Any]]:
    return [
        (name, transformer if part is None else _Trained(part, y, metadata.get(name, NO_METADATA)), columns)
        for (name, transformer, columns), part in zip(transformers, parts, strict=True)
    ]


def make_partial_fit_column_transformer(
    *transformers: tuple[Any, Any],
    remainder: Any = "drop",
    sparse_threshold: float = 0.3,
    n_jobs: int | None = None,
    verbose: bool = False,
    verbose_feature_names_out: Any = True,
) -> PartialFitColumnTransformer:
    """Make a PartialFitColumnTransformer of transformers, which are named by their types.

    As `sklearn.compose.make_column_transformer`.

    Parameters
    ----------
    *transformers : (transformer, columns)
        As the last two of each triple that PartialFitColumnTransformer takes.
    remainder, sparse_threshold, n_jobs, verbose, verbose_feature_names_out
        As for PartialFitColumnTransformer.

    Returns
    -------
    PartialFitColumnTransformer

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.preprocessing import StandardScaler
    >>> from dhpo import make_partial_fit_column_transformer
    >>> columns = make_partial_fit_column_transformer((StandardScaler(), ["age"]), remainder="passthrough")
    >>> block = pd.DataFrame({"age": [20.0, 30.0, 40.0], "paid": [7.5, 8.0, 80.0]})
    >>> columns.partial_fit(block).get_feature_names_out()
    array(['standardscaler__age', 'remainder__paid'], dtype=object)
    """
    return PartialFitColumnTransformer(
        make_column_transformer(*transformers).transformers,
        remainder=remainder,
        sparse_threshold=sparse_threshold,
        n_jobs=n_jobs,
        verbose=verbose,
        verbose_feature_names_out=verbose_feature_names_out,
    )
