"""Whether the blocks of a search fit the memory of its workers: said before any work, with the way out."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from dhpo.data.memory import PAUSED_SHARE

__all__ = ["Room"]

logger = logging.getLogger(__name__)

# Workers whose limit leaves so much more than three blocks are not asked what they hold.
_SURELY_HELD_BYTES = 500_000_000


@dataclass(frozen=True)
class Room:
    """What the blocks of a search take, and what the workers have.

    Parameters
    ----------
    block_nbytes : int
        Bytes that the largest block takes with y and sample_weight.
    copied_share : float
        How much of a block is there a second time: the rows held out, or those of all folds but one.
    n_rows : int or None
        Rows of that block, where that is known.
    memory_limit : int
        Of the worker that has least.
    threads : int
        Of a worker.
    all_rows : bool
        Whether the block is all rows, because models are fitted on all of them at once.
    """

    block_nbytes: int
    copied_share: float
    n_rows: int | None
    memory_limit: int
    threads: int = 1
    all_rows: bool = False

    @property
    def is_ample(self) -> bool:
        """Whether there is no need to ask the workers what they hold."""
        return 3 * self.threads * self.block_nbytes + _SURELY_HELD_BYTES <= PAUSED_SHARE * self.memory_limit

    def check(self, held: int) -> None:
        """Say what does not fit, or hardly does.

        Parameters
        ----------
        held : int
            Bytes that a worker holds before its first block.

        Raises
        ------
        ValueError
            If a block does not fit beside that.
        """
        usable = PAUSED_SHARE * self.memory_limit
        needed = held + self.block_nbytes * (1 + self.copied_share)
        if needed > usable:
            what = "X (resource= fits each model on all rows at once)" if self.all_rows else "a block of X"
            raise ValueError(
                f"{what} is too large for its workers: it takes {_mb(self.block_nbytes)} with y and sample_weight"
                f"{self._and_copies()}, a worker holds {_mb(held)} before it loads one, and its memory limit is "
                f"{_mb(self.memory_limit)}, of which {PAUSED_SHARE:g} may be used (Dask pauses a worker above it). "
                f"{self._smaller_blocks(usable - held)}give each worker at least {_mb(needed / PAUSED_SHARE)}, for "
                "instance by starting fewer workers on a machine."
            )
        if held + (1 + self.threads) * self.block_nbytes > usable:
            logger.warning(
                "memory is tight: a block takes %s, a worker of %d thread(s) holds %s before it loads one, and its "
                "memory limit is %s. Blocks are loaded one at a time, and read again more often; smaller chunks, more "
                "memory or fewer threads make the search faster.",
                _mb(self.block_nbytes),
                self.threads,
                _mb(held),
                _mb(self.memory_limit),
            )

    def _and_copies(self) -> str:
        return (
            f" (and {_mb(self.block_nbytes * self.copied_share)} more while it is split)" if self.copied_share else ""
        )

    def _smaller_blocks(self, left: float) -> str:
        if self.all_rows:
            return "Train on blocks, with resource='auto' and an estimator that has partial_fit, take fewer rows, or "
        fitting = left / (1 + self.copied_share)
        if fitting <= 0:
            return "No block fits beside that: "
        # Two of them fit, so that one can be read while another is in use.
        if self.n_rows:
            rows = max(int(self.n_rows * fitting / 2 / self.block_nbytes), 1)
            return f"Rechunk X to {_round(rows):,} rows a block or fewer, or "
        return f"Rechunk or repartition X to blocks of {_mb(fitting / 2)} or less, or "


def _mb(nbytes: float) -> str:
    return f"{math.ceil(nbytes / 1e6):,} MB"


def _round(rows: int) -> int:
    """Two digits, downward."""
    digits: int = 10 ** max(len(str(rows)) - 2, 0)
    return rows // digits * digits
