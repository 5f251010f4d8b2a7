"""Tells whether rows are the same as in another process."""

from __future__ import annotations

import hashlib
from typing import Any

import joblib
import numpy as np
import pandas as pd
import scipy.sparse as sp

from dhpo.data.rows import Rows

__all__ = ["fingerprint"]


def fingerprint(rows: Rows) -> str:
    """A hash of all values of some rows, of their types and of the names of columns.

    Parameters
    ----------
    rows : Rows

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in rows:
        _add(digest, part)
    return digest.hexdigest()


def _add(digest: Any, part: Any) -> None:
    if part is None:
        digest.update(b"none")
    elif isinstance(part, pd.DataFrame):
        for name, column in part.items():
            digest.update(f"{name!r} {column.dtype}".encode())
            if isinstance(column.dtype, pd.CategoricalDtype):  # models see the numbers of the categories
                digest.update(f"ordered {column.dtype.ordered}".encode())
                _add(digest, column.dtype.categories.to_numpy())
            is_object = column.dtype == object
            _add(digest, column.to_numpy() if is_object else pd.util.hash_pandas_object(column, index=False).to_numpy())
    elif sp.issparse(part):
        rows = part.tocsr()
        digest.update(f"sparse {rows.shape}".encode())
        for inner in (rows.data, rows.indices, rows.indptr):
            _add(digest, inner)
    else:
        if isinstance(part, np.ma.MaskedArray):
            _add(digest, np.ma.getmaskarray(part))
        array = np.asarray(part)
        digest.update(f"{array.dtype.descr if array.dtype.names else array.dtype.str} {array.shape}".encode())
        if array.dtype.hasobject:
            kinds = np.array([type(value).__name__ for value in array.ravel()], dtype=object)
            digest.update(pd.util.hash_array(kinds).data)  # 1 and "1" have one hash
            array = _hashes(array.ravel().astype(object))
        digest.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")


def _hashes(values: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(pd.util.hash_array(values))
    except TypeError:  # dicts, lists
        return np.array([int(joblib.hash(value)[:16], 16) for value in values], dtype=np.uint64)
