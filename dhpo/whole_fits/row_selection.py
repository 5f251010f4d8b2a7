"""Rows of whatever a scikit-learn estimator may be given, by position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import get_tags

__all__ = ["n_samples", "rows_of", "rows_of_params", "split_matrix"]


def n_samples(data: Any) -> int:
    """The number of rows of a list, an array, a frame or a sparse matrix."""
    return int(data.shape[0]) if hasattr(data, "shape") and len(data.shape) else len(data)


def rows_of(data: Any, where: np.ndarray) -> Any:
    """The rows at the positions `where`, in a container of the same kind; None of None."""
    if data is None:
        return None
    if hasattr(data, "iloc"):
        return data.iloc[where]
    if sp.issparse(data) and data.format not in ("csr", "csc", "lil", "dok"):
        return data.tocsr()[where]
    if hasattr(data, "shape"):
        return data[where]
    return [data[i] for i in where]


def rows_of_params(params: Mapping[str, Any], n_rows: int, where: np.ndarray) -> dict[str, Any]:
    """Arguments of `fit` for some rows: those that have a value for each row are cut, the others go as they are."""
    return {name: rows_of(v, where) if is_per_row(v, n_rows) else v for name, v in params.items()}


def is_per_row(value: Any, n_rows: int) -> bool:
    """Whether this holds one value for each of the rows, as `sample_weight` does."""
    if isinstance(value, str | bytes | Mapping):
        return False
    if not any(hasattr(value, name) for name in ("__len__", "shape", "__array__")):
        return False
    try:
        sized = hasattr(value, "__len__") or hasattr(value, "shape")
        return n_samples(value if sized else np.asarray(value)) == n_rows
    except TypeError:  # an array without dimensions
        return False


def split_matrix(estimator: Any, X: Any, train: np.ndarray, test: np.ndarray) -> tuple[Any, Any]:
    """Training and test rows of X; of a matrix between all pairs of rows, the columns of the training rows too.

    Raises
    ------
    ValueError
        If the estimator wants such a matrix and X is none.
    """
    if not get_tags(estimator).input_tags.pairwise:
        return rows_of(X, train), rows_of(X, test)
    if not hasattr(X, "shape"):
        raise ValueError("Precomputed kernels or affinity matrices have to be passed as arrays or sparse matrices.")
    if X.shape[0] != X.shape[1]:
        raise ValueError(f"X should be a square kernel matrix, and is of shape {X.shape}.")
    return X[np.ix_(train, train)], X[np.ix_(test, train)]
