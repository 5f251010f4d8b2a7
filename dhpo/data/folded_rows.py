"""The rows of a block for models that each leave out one of its folds."""

from __future__ import annotations

import numpy as np

from dhpo.data.holdout import Split
from dhpo.data.row_protection import sample
from dhpo.data.rows import Rows

__all__ = ["FoldedRows"]


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
