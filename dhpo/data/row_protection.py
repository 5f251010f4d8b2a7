"""Rows as models get them: what one model does to its rows, no other model sees.

Blocks are kept in memory and shared by all models of a worker. Models get views that cannot be written to, where such
views cost nothing; a model that writes nevertheless is found out, and gets copies of its own from then on.
"""

from __future__ import annotations

import copy
import pickle
import re
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from dhpo.data.rows import Rows, n_rows, take

__all__ = ["copied", "is_refused_write", "lent", "lent_value", "sample"]

# The containers whose values all lie in these arrays; others (lists of rows, dicts) have nothing that can be locked.
_ARRAYS_OF_SPARSE = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "coo": ("data",),
}
_SAMPLED_ROWS = 16
# NumPy, Cython's memory views, and what pandas says of its own arrays.
_REFUSED_WRITE = re.compile(r"read-?\s?only|not writ(e)?able|non-writ(e)?able|writeable", re.IGNORECASE)


def lent(rows: Rows) -> Rows:
    """The same rows, without a copy where that is possible, such that writing into them fails or reaches nobody else.

    Arrays and the arrays inside of sparse matrices are read-only views. Frames are lazy copies: pandas copies what is
    written to. Containers that know neither are copied.
    """
    return Rows(lent_value(rows.X), lent_value(rows.y), lent_value(rows.sample_weight))


def lent_value(value: Any) -> Any:
    """One container as `lent` gives it; what is no container as it is."""
    if isinstance(value, np.ndarray):
        return _read_only(value)
    if isinstance(value, pd.DataFrame | pd.Series):
        return value.copy(deep=False)
    if sp.issparse(value):
        names = _ARRAYS_OF_SPARSE.get(value.format)
        if names is None:
            return value.copy()
        if hasattr(value, "has_sorted_indices"):
            value.has_sorted_indices  # noqa: B018 - looked at once and remembered, where each view would look anew
        view = copy.copy(value)  # so that attributes that are set anew are set on the view alone
        for name in names:
            setattr(view, name, _read_only(getattr(value, name)))
        return view
    return value


def _read_only(array: np.ndarray) -> np.ndarray:
    # The array itself stays as it is: it may be in the memory of Dask, whose user may write to it.
    view = array.view()
    view.setflags(write=False)
    return view


def copied(rows: Rows) -> Rows:
    """The same rows, for one model alone, to do with them what it wants."""
    return Rows(*(None if part is None else _copied(part) for part in rows))


def _copied(part: Any) -> Any:
    if isinstance(part, np.ndarray):
        return copy.deepcopy(part) if part.dtype.hasobject else part.copy(order="K")
    if isinstance(part, pd.DataFrame | pd.Series):
        kinds = part.dtypes if isinstance(part, pd.DataFrame) else [part.dtype]
        # A deep copy of pandas holds the same Python objects.
        return pickle.loads(pickle.dumps(part, protocol=5)) if any(kind.kind == "O" for kind in kinds) else part.copy()
    return copy.deepcopy(part)


def sample(rows: Rows) -> bytes:
    """The values of a few rows, the first and the last among them, to see whether a model has changed them.

    Not every library heeds that an array is read-only: PyTorch does not, and neither does other C code. What such a
    model writes into its rows as a rule changes them all.
    """
    where = _spread_over(len(rows))
    few = [None if part is None else _few(part, where) for part in rows]
    try:
        return pickle.dumps(few, protocol=5)
    except BaseException:  # objects that cannot be pickled: nothing can be told of them
        return b""


@lru_cache(maxsize=64)
def _spread_over(n: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, _SAMPLED_ROWS)).astype(np.intp)) if n else np.arange(0)


def _few(part: Any, where: np.ndarray) -> Any:
    if isinstance(part, np.ndarray) and not part.dtype.hasobject:
        return part.take(where, axis=0).tobytes()
    if sp.issparse(part):
        if part.format in ("csr", "csc", "bsr"):
            # Rows of a matrix in columns would have to be searched for; the order of what is stored tells as much.
            step = max(part.data.shape[0] // (_SAMPLED_ROWS * 8), 1)
            return part.data[::step].copy(), part.indices[::step].copy(), part.shape
        return None if part.format not in _ARRAYS_OF_SPARSE else part.data[:: max(n_rows(part.data) // 128, 1)].copy()
    return take(part, where)


def is_refused_write(error: BaseException) -> bool:
    """Whether an error, or one that it comes from, says that an array is read-only."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        try:
            if _REFUSED_WRITE.search(str(current)):
                return True
        except BaseException:  # an error of the user's own that cannot be told
            continue
        pending += [current.__cause__, current.__context__]
    return False
