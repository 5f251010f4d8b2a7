"""How a worker gets the rows of a block: from its cache, from scratch space, or by computing the block's graph."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from dask.typing import Key

from dhpo.data.blocks import Block, BlockMismatch
from dhpo.data.fingerprint import fingerprint
from dhpo.data.lending import sample
from dhpo.data.rows import Rows
from dhpo.data.validation import fold_of_rows, split_rows
from dhpo.full_disk import JOURNAL, TEMPORARY, says_where

__all__ = ["BlockFacts", "BlockSpec", "FoldedRows", "Split", "load_fold", "load_training", "load_validation", "prepare"]

# What reading back and writing raw rows costs, as far as the decision to materialise a block is concerned.
_READ_BYTES_PER_SECOND = 2e9
_WRITE_BYTES_PER_SECOND = 1e9


@dataclass(frozen=True)
class BlockSpec:
    """What a task carries about one block.

    Parameters
    ----------
    index : int
    data : bytes, optional
        The pickled `Block`.
    path : str, optional
        A file that holds it, where it is too heavy to travel with each task and workers share a folder with the driver.
    supplied : tuple of hashable
        Keys of its graph whose values come with the task.
    """

    index: int
    data: bytes | None = None
    path: str | None = None
    supplied: tuple[Key, ...] = ()

    def load(self, supplied: Mapping[Key, Any] | None = None) -> Rows:
        """Compute the rows of the block."""
        data = Path(self.path).read_bytes() if self.path is not None else self.data
        if data is None:
            raise ValueError(f"block {self.index} came without its graph")
        return Block.loads(data).load(supplied)


@dataclass(frozen=True)
class Split:
    """How training and validation rows are told apart, and where their copies are kept.

    Parameters
    ----------
    test_size : float or None
        Share of rows held out of every block; None where the user gave validation data.
    entropy : int
        Seed of the split.
    scratch : str or None
        Folder for raw copies of rows that all workers share; None where every block is loaded from its source each
        time.
    stratified : bool
        Whether every class gives its share, where y holds labels.
    n_folds : int
        Folds that the rows of every block are dealt out to; 0 for none.
    """

    test_size: float | None
    entropy: int
    scratch: str | None = None
    stratified: bool = False
    n_folds: int = 0

    def file(self, kind: str, index: int) -> Path | None:
        """Where the copy of the "train" or "valid" rows of a block is, or would be."""
        return None if self.scratch is None else Path(self.scratch) / f"{kind}-{index:06d}.joblib"

    def positions(self, rows: Rows, index: int) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Where the training and the validation rows of a block are; None for all rows."""
        if self.test_size is None:
            return None, None
        return split_rows(len(rows), self.test_size, self.entropy, index, self._labels(rows))

    def training(self, rows: Rows, index: int) -> Rows:
        """The rows of a block that models are trained on."""
        where = self.positions(rows, index)[0]
        return rows if where is None else rows.take(where)

    def validation(self, rows: Rows, index: int) -> Rows:
        """The rows of a block that models are scored on."""
        where = self.positions(rows, index)[1]
        return rows if where is None else rows.take(where)

    def folds(self, rows: Rows, index: int) -> np.ndarray:
        """The fold of each row of a block."""
        return fold_of_rows(len(rows), self.n_folds, self.entropy, index, self._labels(rows))

    def _labels(self, rows: Rows) -> np.ndarray | None:
        labels: np.ndarray | None = rows.y
        return labels if self.stratified and labels is not None and labels.ndim == 1 else None


@dataclass(frozen=True)
class BlockFacts:
    """What the first look at a block found out.

    Parameters
    ----------
    index : int
    n_training, n_validation : int
        Rows.
    nbytes : int
        Bytes of the training rows in memory, nearly.
    validation_nbytes : int
        Bytes of the validation rows in memory.
    materialised : bool
        Whether the training rows were copied to scratch space.
    folds_kept : bool
        Whether the rows of each fold were.
    classes : ndarray, optional
        The distinct targets.
    digest : str
        Hash of all rows, where it was asked for.
    error : str, optional
        Why the block cannot be used.
    no_classes : str, optional
        Why its distinct targets cannot be told.
    """

    index: int
    n_training: int = 0
    n_validation: int = 0
    nbytes: int = 0
    validation_nbytes: int = 0
    materialised: bool = False
    folds_kept: bool = False
    classes: np.ndarray | None = None
    digest: str = ""
    error: str | None = None
    no_classes: str | None = None


def prepare(
    spec: BlockSpec,
    split: Split,
    *,
    with_classes: bool,
    reads: float,
    free_bytes_needed_per_byte: float,
    with_digest: bool = False,
    supplied: Mapping[Key, Any] | None = None,
) -> tuple[BlockFacts, Callable[[], Rows], Rows]:
    """Load a block for the first time, hold its validation rows out, and copy to scratch space what is worth it.

    Parameters
    ----------
    spec : BlockSpec
    split : Split
    with_classes : bool
        Whether to collect the distinct targets.
    reads : float
        How often the training rows are expected to be read again.
    free_bytes_needed_per_byte : float
        Training rows are copied only onto a disk with this many times their bytes free.
    with_digest : bool, default False
        Whether to hash the rows.
    supplied : mapping, optional
        Values for the keys of the graph that are data on the cluster.

    Returns
    -------
    facts : BlockFacts
    training : callable
        Makes the training rows; most of a large data set is only looked at.
    validation : Rows
    """
    start = time.perf_counter()
    try:
        rows = spec.load(supplied)
    except BlockMismatch as error:
        empty = Rows(np.empty((0, 0)))
        return BlockFacts(spec.index, error=f"{error} (block {spec.index})"), lambda: empty, empty
    seconds = time.perf_counter() - start
    classes, no_classes = _classes(rows.y) if with_classes else (None, None)
    held_out = split.positions(rows, spec.index)[1]
    validation = rows.take(np.arange(0) if held_out is None else held_out)
    training = cache(partial(split.training, rows, spec.index))
    nbytes = rows.nbytes - validation.nbytes
    materialised = folds_kept = False
    path = split.file("train", spec.index)
    if path is not None:
        saved = reads * (seconds - nbytes / _READ_BYTES_PER_SECOND)
        worth_it = bool(spec.supplied) or saved > nbytes / _WRITE_BYTES_PER_SECOND
        has_room = shutil.disk_usage(path.parent).free > nbytes * free_bytes_needed_per_byte
        if worth_it and has_room:
            _dump(training(), path)
            materialised = True
        if has_room and split.n_folds:
            _dump_folds(rows, split, spec.index)
            folds_kept = True
        validation_path = split.file("valid", spec.index)
        if validation_path is not None and split.test_size is not None:
            _dump(validation, validation_path)
    facts = BlockFacts(
        spec.index,
        n_training=len(rows) - len(validation),
        n_validation=len(validation),
        nbytes=nbytes,
        validation_nbytes=validation.nbytes,
        materialised=materialised,
        folds_kept=folds_kept,
        classes=classes,
        digest=fingerprint(rows) if with_digest else "",
        no_classes=None if no_classes is None else f"{no_classes} (block {spec.index})",
    )
    return facts, training, validation


def _classes(y: Any) -> tuple[np.ndarray | None, str | None]:
    """The distinct targets, or why they are nothing that a classifier can learn."""
    if y is None:
        return None, None
    if y.ndim != 1:
        return None, f"y has {y.ndim} dimensions: pass classes=, as partial_fit of the estimator wants them"
    try:
        classes: np.ndarray = np.unique(y)
    except TypeError as error:
        return None, f"y mixes types or has missing values, so classes cannot be told: {error}"
    if classes.dtype.kind == "f" and not (np.isfinite(classes).all() and (classes == np.floor(classes)).all()):
        return None, "y has missing or continuous values, and the estimator is a classifier: it needs labels"
    return classes, None


def load_training(spec: BlockSpec, split: Split, supplied: Mapping[Key, Any] | None = None) -> Rows:
    """The training rows of a block."""
    copy = _read_copy(split.file("train", spec.index))
    return copy if copy is not None else split.training(spec.load(supplied), spec.index)


def load_fold(spec: BlockSpec, split: Split, fold: int, supplied: Mapping[Key, Any] | None = None) -> Rows:
    """The rows of one fold of a block."""
    copy = _read_copy(split.file(f"fold-{fold}", spec.index))
    if copy is not None:
        return copy
    rows = load_training(spec, split, supplied)
    return rows.take(np.flatnonzero(split.folds(rows, spec.index) == fold))


def load_validation(spec: BlockSpec, split: Split, supplied: Mapping[Key, Any] | None = None) -> Rows:
    """The validation rows of a block of the training data, or all rows of a block of the user's validation data."""
    if supplied and ("valid", spec.index) in supplied:
        rows: Rows = supplied["valid", spec.index]
        return rows
    copy = _read_copy(split.file("valid", spec.index)) if split.test_size is not None else None
    return copy if copy is not None else split.validation(spec.load(supplied), spec.index)


class FoldedRows:
    """The rows of one block without one of its folds, cut once for all models that leave it out.

    Parameters
    ----------
    split : Split
    rows : Rows
    block : int
    seal : bytes
        `sample` of the rows when they were loaded.
    """

    def __init__(self, split: Split, rows: Rows, block: int, seal: bytes) -> None:
        self._split = split
        self._rows = rows
        self._block = block
        self._fold_of_row: np.ndarray | None = None
        self._parts: dict[int, Rows] = {}
        self._seals = [(rows, seal)]

    @property
    def intact(self) -> bool:
        """Whether nobody has written into the rows, as far as a sample tells."""
        return all(sample(rows) == seal for rows, seal in self._seals)

    def without(self, fold: int | None) -> Rows:
        """The rows that a model is trained on that leaves out a fold; all of them for None."""
        if fold is None:
            return self._rows
        if self._fold_of_row is None:
            self._fold_of_row = self._split.folds(self._rows, self._block)
        if fold not in self._parts:
            self._parts[fold] = self._rows.take(np.flatnonzero(self._fold_of_row != fold))
            self._seals.append((self._parts[fold], sample(self._parts[fold])))
        return self._parts[fold]


def _dump_folds(rows: Rows, split: Split, index: int) -> None:
    """Keep the folds of a block apart: to score on them reads the data once, and not once for each fold."""
    folds = split.folds(rows, index)
    for fold in range(split.n_folds):
        path = split.file(f"fold-{fold}", index)
        if path is not None:
            _dump(rows.take(np.flatnonzero(folds == fold)), path)


def _read_copy(path: Path | None) -> Rows | None:
    if path is None or not path.exists():
        return None
    rows: Rows = joblib.load(path)
    return rows


def _dump(rows: Rows, path: Path) -> None:
    """Write atomically: another worker sees the whole copy or none."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        # The folder of a journal on this machine holds them, too.
        with says_where(path.parent, f"{TEMPORARY}, or by {JOURNAL}"):
            joblib.dump(rows, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
