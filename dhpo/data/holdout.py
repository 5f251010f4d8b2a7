"""Which rows of a block models are trained on, and which are held out to score them on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dhpo.data.rows import Rows
from dhpo.data.rows_in_place import copy_rows, keep_rows

__all__ = ["Split", "default_test_size", "fold_of_rows", "one_block", "split_rows"]


_LARGEST_SHARE = 0.2
# Rows by which an accuracy has a standard error of half a percent at most, which tells most models apart.
_ENOUGH_ROWS = 10_000


def default_test_size(n_blocks: int, n_rows: int) -> float:
    """The share of rows held out where the user names none: about one block, 10,000 rows at least, at most a fifth.

    Parameters
    ----------
    n_blocks, n_rows : int
        Of the whole data.
    """
    return min(_LARGEST_SHARE, max(1 / n_blocks, _ENOUGH_ROWS / max(n_rows, 1)))


def one_block(n_blocks: int, n_rows: int) -> float:
    """The share that dask-ml holds out: about one block, however few rows it has, at most a fifth."""
    return min(_LARGEST_SHARE, 1 / n_blocks)


def split_rows(
    n_rows: int, test_size: float, entropy: int, block: int, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the held-out rows of one block.

    Every block gives its share, so that data sorted by time or class is held out evenly. The draw depends on the seed
    and the number of the block alone, never on what was drawn for others.

    Parameters
    ----------
    n_rows : int
        Rows of the block.
    test_size : float
        Expected share of held-out rows. A share that is no whole number of rows is rounded up or down at random, with
        the chances that make it right on average; small blocks would never give a row otherwise.
    entropy : int
        Seed of the split.
    block : int
        Number of the block.
    labels : ndarray of shape (n_rows,), optional
        Classes of the rows. Each gives its share, up or down to a whole number of rows.

    Returns
    -------
    training, validation : ndarray of int
        Row positions, ascending.
    """
    rng = _rng(entropy, block)
    start = rng.random()
    # Systematic sampling: a row is held out wherever the running total of shares passes a whole number.
    passed = np.floor(np.arange(n_rows + 1) * test_size + start)
    held_out = np.zeros(n_rows, dtype=bool)
    held_out[_shuffled(n_rows, rng, labels)] = np.diff(passed) > 0
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def fold_of_rows(n_rows: int, n_folds: int, entropy: int, block: int, labels: np.ndarray | None = None) -> np.ndarray:
    """Deal the rows of one block out to folds, as evenly as their numbers allow.

    Parameters
    ----------
    n_rows, entropy, block, labels
        As for `split_rows`. With labels, each class is dealt out evenly.
    n_folds : int

    Returns
    -------
    ndarray of int of shape (n_rows,)
        The fold of each row, from 0.
    """
    rng = _rng(entropy, block)
    first = int(rng.integers(n_folds))
    folds = np.empty(n_rows, dtype=np.int64)
    folds[_shuffled(n_rows, rng, labels)] = (first + np.arange(n_rows)) % n_folds
    return folds


def _rng(entropy: int, block: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy, spawn_key=(block,))))


def _shuffled(n_rows: int, rng: np.random.Generator, labels: np.ndarray | None) -> np.ndarray:
    """The rows in random order, the classes one after the other."""
    order = rng.permutation(n_rows)
    if labels is None:
        return order
    if not labels.dtype.isnative:
        labels = labels.astype(labels.dtype.newbyteorder("="))  # pandas takes no other byte order
    classes, _ = pd.factorize(labels)  # by hash: many times faster than np.unique for strings, and takes None
    grouped: np.ndarray = order[np.argsort(classes[order], kind="stable")]
    return grouped


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

    def positions(self, rows: Rows, index: int) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Where the training and the validation rows of a block are; None for all rows."""
        if self.test_size is None:
            return None, None
        return split_rows(len(rows), self.test_size, self.entropy, index, self._labels(rows))

    def training(self, rows: Rows, index: int) -> Rows:
        """The rows of a block that models are trained on."""
        where = self.positions(rows, index)[0]
        return rows if where is None else rows.take(where)

    def keep_training(self, rows: Rows, index: int) -> Rows:
        """The same in the memory of `rows`, as far as that can be: they are given up."""
        where = self.positions(rows, index)[0]
        return rows if where is None else keep_rows(rows, where)

    def validation(self, rows: Rows, index: int) -> Rows:
        """The rows of a block that models are scored on."""
        where = self.positions(rows, index)[1]
        return rows if where is None else copy_rows(rows, where)

    def folds(self, rows: Rows, index: int) -> np.ndarray:
        """The fold of each row of a block."""
        return fold_of_rows(len(rows), self.n_folds, self.entropy, index, self._labels(rows))

    def _labels(self, rows: Rows) -> np.ndarray | None:
        labels: np.ndarray | None = rows.y
        return labels if self.stratified and labels is not None and labels.ndim == 1 else None
