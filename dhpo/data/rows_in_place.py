"""Takes the rows of a block apart without a second copy of them, wherever their memory allows."""

from __future__ import annotations

import mmap
import sys
import time
from typing import Any

import numpy as np
import scipy.sparse as sp

from dhpo.data.rows import Rows, n_rows, nbytes, take

__all__ = ["copy_rows", "keep_rows"]

# Rows are moved in slices of about this size.
_SLICE_BYTES = 4_000_000
# What nobody else should refer to is looked at so often, before it is taken to be shared.
_LOOKS = 5
_LOOK_SECONDS = 0.005
_PARTS = ("X", "y", "sample_weight")


def copy_rows(rows: Rows, where: np.ndarray) -> Rows:
    """The rows at the ascending positions `where`, copied."""
    return Rows(*(None if part is None else _copied(part, where) for part in rows))


def keep_rows(rows: Rows, where: np.ndarray) -> Rows:
    """The rows at the ascending positions `where`; `rows` are given up, and hold nothing afterwards.

    Where nobody but `rows` refers to an array, its rows are moved together within its own memory, and the rest of that
    is given back. Everything else is copied.

    Parameters
    ----------
    rows : Rows
        To which the caller alone refers.
    where : ndarray of int
    """
    return Rows(*(_kept(rows, name, where) for name in _PARTS))


def _kept(rows: Rows, name: str, where: np.ndarray) -> Any:
    alone = _is_alone(rows, name)
    part = getattr(rows, name)
    object.__setattr__(rows, name, None)
    if part is None or len(where) == n_rows(part):
        return part
    if isinstance(part, np.ndarray):
        owner = _owner(part) if alone else None
        if owner is not None and part.flags.c_contiguous and part.nbytes == owner.nbytes:
            _move_together(part, where)
            shape = (len(where), *part.shape[1:])
            del part
            return _shortened(owner, shape)
        return _copied(part, where)
    if alone and _is_movable_csr(part):
        return _kept_csr(part, where)
    return take(part, where)


def _is_alone(rows: Rows, name: str) -> bool:
    """Whether nobody else refers to a part of the rows, or to the memory of it."""
    if nbytes(getattr(rows, name)) > _SLICE_BYTES:
        # Dask's profiler looks at the frames of all threads now and then, and so prolongs the life of their variables
        # by some milliseconds.
        for _ in range(_LOOKS):
            if _refers_alone(rows, name):
                return True
            time.sleep(_LOOK_SECONDS)
    return _refers_alone(rows, name)


def _refers_alone(rows: Rows, name: str) -> bool:
    if _references(rows, name) != _ALONE:
        return False
    part = getattr(rows, name)
    has_base = isinstance(part, np.ndarray) and isinstance(part.base, np.ndarray)
    return not has_base or _references(part, "base") == _ALONE_BASE


def _references(holder: Any, name: str) -> int:
    """How many references there are to an attribute; comparable to that of a fresh one alone."""
    return sys.getrefcount(getattr(holder, name)) if hasattr(sys, "getrefcount") else -1


_ALONE = _references(Rows(np.empty(1)), "X") if hasattr(sys, "getrefcount") else 0
_ALONE_BASE = _references(np.empty((2, 2)).reshape(4), "base") if hasattr(sys, "getrefcount") else 0


def _owner(array: np.ndarray) -> np.ndarray | None:
    """The array whose memory this is, where that may be written and nobody else refers to it."""
    if type(array) is not np.ndarray or array.dtype.hasobject or not array.flags.writeable:
        return None
    dtype = array.dtype
    while array.base is not None:
        if _references(array, "base") != _ALONE_BASE:
            return None
        array = array.base
        if type(array) is not np.ndarray or not array.flags.writeable:
            return None
    return array if array.flags.owndata and array.flags.c_contiguous and array.dtype == dtype else None


def _move_together(array: np.ndarray, where: np.ndarray) -> None:
    """Move the rows at `where` to the front, in slices: none is written before it was read, for positions ascend."""
    step = _rows_of_a_slice(array)
    first = int(np.argmin(where == np.arange(len(where)))) if len(where) and where[-1] != len(where) - 1 else len(where)
    for start in range(first, len(where), step):
        some = where[start : start + step]
        array[start : start + len(some)] = array[some]


def _shortened(owner: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Give the end of an array's memory back; nobody else may refer to it."""
    owner.resize(shape, refcheck=False)
    return owner


def _rows_of_a_slice(array: np.ndarray) -> int:
    return max(1, _SLICE_BYTES * array.shape[0] // max(array.nbytes, 1)) if array.shape[0] else 1


def _copied(part: Any, where: np.ndarray) -> Any:
    mapping = _mapping(part)
    if mapping is None:
        return take(part, where)
    copy = np.empty((len(where), *part.shape[1:]), part.dtype)
    step = _rows_of_a_slice(part)
    for start in range(0, len(where), step):
        some = where[start : start + step]
        copy[start : start + len(some)] = part[some]
        mapping.madvise(mmap.MADV_DONTNEED)  # pages that were read count as memory of this process
    return copy


def _mapping(part: Any) -> mmap.mmap | None:
    """The file that an array is a mapping of, where its pages can be dropped and read again."""
    shared, base = False, part
    while isinstance(base, np.ndarray):
        # The pages of a private mapping ("c") may have been written to, and would be lost.
        shared = shared or (isinstance(base, np.memmap) and base.mode in ("r", "r+", "w+"))
        base = base.base
    return base if shared and isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") else None


def _is_movable_csr(part: Any) -> bool:
    return (
        sp.issparse(part)
        and type(part) in (sp.csr_matrix, sp.csr_array)
        and part.indices.dtype == part.indptr.dtype == np.int32
        and all(_references(part, name) == _ALONE for name in ("data", "indices"))
        and all(_is_whole(getattr(part, name)) for name in ("data", "indices"))
    )


def _is_whole(array: np.ndarray) -> bool:
    owner = _owner(array)
    return owner is not None and array.flags.c_contiguous and array.nbytes == owner.nbytes


def _kept_csr(part: Any, where: np.ndarray) -> Any:
    counts = np.diff(part.indptr)[where]
    indptr = np.zeros(len(where) + 1, np.int32)
    np.cumsum(counts, out=indptr[1:])
    columns, starts, stops = part.shape[1], part.indptr[where], part.indptr[where + 1]
    arrays = [part.data, part.indices]
    kind = type(part)
    del part
    step = max(1, _SLICE_BYTES * len(where) // max(8 * int(indptr[-1]), 1)) if len(where) else 1
    for first in range(0, len(where), step):
        last = min(first + step, len(where))
        low, high = int(starts[first]), int(stops[last - 1])
        # Of the elements from the first row to the last of the slice, those of rows that stay.
        stays = np.zeros(high - low + 1, np.int8)
        np.add.at(stays, starts[first:last] - low, 1)
        np.add.at(stays, stops[first:last] - low, -1)
        chosen = np.cumsum(stays[:-1], dtype=np.int8).astype(bool)
        to = slice(int(indptr[first]), int(indptr[last]))
        for array in arrays:
            array[to] = array[low:high][chosen]
    kept = []
    while arrays:
        array = arrays.pop(0)
        owner = array if array.base is None else array.base
        while owner.base is not None:
            owner = owner.base
        del array
        kept.append(_shortened(owner, (int(indptr[-1]),)))
    return kind((kept[0], kept[1], indptr), shape=(len(where), columns))
