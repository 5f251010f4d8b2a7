"""Rows of X, y and sample_weight that belong together, whatever container they come in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

__all__ = ["Rows", "all_finite", "as_target", "concatenate", "n_rows", "nbytes", "take"]


# Not a tuple: len() of one is 3 for Dask, whose sizeof() fails where it is something else.
@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Aligned rows: what one `partial_fit` call sees.

    Parameters
    ----------
    X : ndarray, scipy.sparse array or matrix, or pandas.DataFrame of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs), or None
    sample_weight : ndarray of shape (n_rows,), or None
    """

    X: Any
    y: Any = None
    sample_weight: Any = None

    def __len__(self) -> int:
        return n_rows(self.X)

    def __iter__(self) -> Iterator[Any]:
        yield from (self.X, self.y, self.sample_weight)

    def __sizeof__(self) -> int:
        return self.nbytes  # what Dask takes into account

    @property
    def nbytes(self) -> int:
        """Bytes that the rows hold."""
        return sum(nbytes(part) for part in (self.X, self.y, self.sample_weight))

    def take(self, where: np.ndarray) -> Rows:
        """The rows at the integer positions `where`."""
        return Rows(*(None if part is None else take(part, where) for part in (self.X, self.y, self.sample_weight)))


def n_rows(part: Any) -> int:
    """Number of rows of one container (`len` of a sparse matrix raises)."""
    return int(part.shape[0]) if hasattr(part, "shape") else len(part)


def nbytes(part: Any) -> int:
    """Bytes that one container holds."""
    if part is None:
        return 0
    if sp.issparse(part):
        return sum(
            getattr(part, name).nbytes for name in ("data", "indices", "indptr", "row", "col") if hasattr(part, name)
        )
    if isinstance(part, pd.DataFrame):
        return int(part.memory_usage(index=True, deep=True).sum())
    if isinstance(part, pd.Series):
        return int(part.memory_usage(index=True, deep=True))
    return int(getattr(part, "nbytes", 0))


def take(part: Any, where: np.ndarray | slice) -> Any:
    """Rows of one container by position."""
    if hasattr(part, "iloc"):
        return part.iloc[where]
    if sp.issparse(part) and part.format not in ("csr", "csc", "lil", "dok"):
        part = part.tocsr()
    return part[where]


def all_finite(rows: Rows) -> bool:
    """Whether rows are arrays or sparse matrices of numbers without missing and infinite values.

    False of all else, where to find out would take longer.
    """
    if getattr(rows.y, "dtype", np.dtype(object)).kind in "US":  # labels
        rows = Rows(rows.X, None, rows.sample_weight)
    return all(part is None or _is_finite(getattr(part, "data", None) if sp.issparse(part) else part) for part in rows)


def _is_finite(values: Any) -> bool:
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
        return False
    if values.dtype.kind != "f":
        return True
    values = np.asarray(values)  # where some are masked, these too
    with np.errstate(over="ignore", invalid="ignore"):
        total = values.sum()
    # The sum of finite values may be too large; minimum and maximum take longer, and no memory.
    return bool(np.isfinite(total) or (np.isfinite(values.min()) and np.isfinite(values.max())))


def concatenate(parts: Sequence[Any]) -> Any:
    """One container below the other."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    if isinstance(first, pd.DataFrame | pd.Series):
        return pd.concat(parts)
    if sp.issparse(first):
        return sp.vstack(parts, format="csr")
    return np.concatenate(parts)


def as_target(part: Any) -> Any:
    """Targets or weights as an ndarray; a frame with one column is one target."""
    if part is None:
        return None
    if sp.issparse(part):
        part = part.toarray()
    if isinstance(part, pd.DataFrame | pd.Series):
        part = part.to_numpy()
    part = np.asarray(part)
    if part.ndim == 2 and part.shape[1] == 1:
        part = part[:, 0]
    return part
