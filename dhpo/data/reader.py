"""How a worker gets the rows of a block: from its cache, from scratch space, or by computing the block's graph."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from dask.typing import Key

from dhpo.data.blocks import Block, BlockMismatch
from dhpo.data.fingerprint import fingerprint
from dhpo.data.holdout import Split
from dhpo.data.read_errors import BlockUnreadable, naming_block
from dhpo.data.rows import Rows
from dhpo.data.rows_in_place import copy_rows, keep_rows
from dhpo.data.scratch_copies import CopiesWriter, CopyPlace, read_copies, read_copy

__all__ = [
    "HELD_OUT",
    "BlockFacts",
    "BlockSpec",
    "load_fold",
    "load_training",
    "load_validation",
    "prepare",
]

# What reading back and writing raw rows costs, as far as the decision to materialise a block is concerned.
_READ_BYTES_PER_SECOND = 2e9
_WRITE_BYTES_PER_SECOND = 1e9

HELD_OUT = "held-out"
"""First word of the keys of held-out rows that come with a task, where workers share no folder."""


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
    copies : mapping of str to CopyPlace
        Where copies of its rows are in scratch space: "train", "valid", or "fold-0" and so on.
    nbytes : int
        Bytes of its rows, as far as they are known before it is loaded.
    """

    index: int
    data: bytes | None = None
    path: str | None = None
    supplied: tuple[Key, ...] = ()
    copies: Mapping[str, CopyPlace] = field(default_factory=dict)
    nbytes: int = 0

    def load(self, supplied: Mapping[Key, Any] | None = None) -> Rows:
        """Compute the rows of the block.

        Raises
        ------
        BlockUnreadable
            From whatever its graph raises.
        """
        data = Path(self.path).read_bytes() if self.path is not None else self.data
        if data is None:
            raise ValueError(f"block {self.index} came without its graph")
        block = Block.loads(data)
        del data
        with naming_block(self.index, block.graph):
            return block.load(supplied)


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
    copies : mapping of str to CopyPlace
        What was copied to scratch space, as in `BlockSpec`.
    classes : ndarray, optional
        The distinct targets.
    digest : str
        Hash of all rows, where it was asked for.
    error : str, optional
        Why the block cannot be used.
    no_classes : str, optional
        Why its distinct targets cannot be told.
    unreadable : BlockUnreadable, optional
        What kept it from being loaded.
    taken : int
        Bytes that its loading took at the peak, where that was looked at.
    """

    index: int
    n_training: int = 0
    n_validation: int = 0
    nbytes: int = 0
    validation_nbytes: int = 0
    copies: Mapping[str, CopyPlace] = field(default_factory=dict)
    classes: np.ndarray | None = None
    digest: str = ""
    error: str | None = None
    no_classes: str | None = None
    unreadable: BlockUnreadable | None = None
    taken: int = 0

    @property
    def n_rows(self) -> int:
        """All rows."""
        return self.n_training + self.n_validation

    @property
    def materialised(self) -> bool:
        """Whether the training rows were copied to scratch space."""
        return "train" in self.copies

    @property
    def folds_kept(self) -> bool:
        """Whether the rows of each fold were."""
        return "fold-0" in self.copies


def prepare(
    spec: BlockSpec,
    split: Split,
    *,
    with_classes: bool,
    reads: float,
    free_bytes_needed_per_byte: float,
    copies: CopiesWriter,
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
    copies : CopiesWriter
        Takes the copies.
    with_digest : bool, default False
        Whether to hash the rows.
    supplied : mapping, optional
        Values for the keys of the graph that are data on the cluster.

    Returns
    -------
    facts : BlockFacts
    training : callable
        Makes the training rows, in the memory of the block if they are wanted; most of a large data set is only
        looked at.
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
    kept, held_out = split.positions(rows, spec.index)
    n_rows = len(rows)
    validation = copy_rows(rows, np.arange(0) if held_out is None else held_out)
    nbytes = rows.nbytes - validation.nbytes
    digest = fingerprint(rows) if with_digest else ""
    places: dict[str, CopyPlace] = {}
    folder = copies.folder
    has_room = folder is not None and shutil.disk_usage(folder).free > nbytes * free_bytes_needed_per_byte
    if has_room and split.n_folds:
        folds = split.folds(rows, spec.index)
        for fold in range(split.n_folds):  # to score on them reads the data once, and not once for each fold
            places[f"fold-{fold}"] = copies.write(copy_rows(rows, np.flatnonzero(folds == fold)))
    if folder is not None and held_out is not None:
        places["valid"] = copies.write(validation)
    training = cache(lambda: rows if kept is None else keep_rows(rows, kept))
    saved = reads * (seconds - nbytes / _READ_BYTES_PER_SECOND)
    if has_room and (spec.supplied or saved > nbytes / _WRITE_BYTES_PER_SECOND):
        places["train"] = copies.write(training())
    facts = BlockFacts(
        spec.index,
        n_training=n_rows - len(validation),
        n_validation=len(validation),
        nbytes=nbytes,
        validation_nbytes=validation.nbytes,
        copies=places,
        classes=classes,
        digest=digest,
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
    copy = _copy(spec, split, "train")
    return copy if copy is not None else split.keep_training(spec.load(supplied), spec.index)


def load_fold(
    specs: Sequence[BlockSpec], split: Split, fold: int, supplied: Mapping[Key, Any] | None = None
) -> list[Rows]:
    """The rows of one fold of some blocks."""

    def compute(spec: BlockSpec) -> Rows:
        rows = load_training(spec, split, supplied)
        return keep_rows(rows, np.flatnonzero(split.folds(rows, spec.index) == fold))

    return _copies_or(specs, split, f"fold-{fold}", compute)


def load_validation(specs: Sequence[BlockSpec], split: Split, supplied: Mapping[Key, Any] | None = None) -> list[Rows]:
    """The validation rows of some blocks of the training data, or all rows of blocks of the user's validation data."""

    def compute(spec: BlockSpec) -> Rows:
        for key in spec.supplied:
            if isinstance(key, tuple) and key[0] == HELD_OUT and supplied:
                rows: Rows = supplied[key][spec.index]
                return rows
        return split.validation(spec.load(supplied), spec.index)

    return _copies_or(specs, split, "valid", compute)


def _copies_or(specs: Sequence[BlockSpec], split: Split, kind: str, compute: Callable[[BlockSpec], Rows]) -> list[Rows]:
    if split.scratch is not None and all(kind in spec.copies for spec in specs):
        return read_copies(split.scratch, [spec.copies[kind] for spec in specs])
    return [compute(spec) for spec in specs]


def _copy(spec: BlockSpec, split: Split, kind: str) -> Rows | None:
    if split.scratch is None or kind not in spec.copies:
        return None
    with naming_block(spec.index, {}):
        return read_copy(split.scratch, spec.copies[kind])
