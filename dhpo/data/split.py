"""Which rows models are trained on, and which they are scored on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dhpo.data.holdout import copy_rows, keep_rows
from dhpo.data.row_protection import sample
from dhpo.data.rows import Rows
from dhpo.data.validation import fold_of_rows, split_rows

__all__ = ["FoldedRows", "Split"]


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


class FoldedRows:
    """The rows of one block without one of its folds, cut once for models in a row that leave it out.

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
        self._fold: int | None = None
        self._part: Rows | None = None
        self._sealed = [(rows, seal)]
        self._intact = True

    @property
    def intact(self) -> bool:
        """Whether nobody has written into the rows, as far as a sample tells."""
        return self._intact and all(sample(rows) == seal for rows, seal in self._sealed)

    def without(self, fold: int | None) -> Rows:
        """The rows that a model is trained on that leaves out a fold; all of them for None."""
        if fold is None:
            return self._rows
        if self._fold_of_row is None:
            self._fold_of_row = self._split.folds(self._rows, self._block)
        if self._part is None or fold != self._fold:
            # One at a time: those of five folds are as much as four blocks.
            self._intact = self.intact
            del self._sealed[1:]
            self._part = None
            self._part, self._fold = self._rows.take(np.flatnonzero(self._fold_of_row != fold)), fold
            self._sealed.append((self._part, sample(self._part)))
        return self._part
