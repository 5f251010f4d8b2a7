"""In which order the passes over the data visit its blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import inf

import numpy as np

__all__ = ["PassOrder"]


class PassOrder:
    """One seeded permutation of the blocks for each pass, the same for all trials.

    That all trials see the blocks in one order is what lets them share a read; that the order is seeded makes a rerun
    repeat exactly.

    Parameters
    ----------
    blocks : iterable of int
        Numbers of the training blocks, ascending; those that hold no rows are left out.
    entropy : int
        Seed of all passes.

    Attributes
    ----------
    n_blocks : int
        Calls that one pass takes.
    """

    def __init__(self, blocks: Iterable[int], entropy: int) -> None:
        self.blocks = tuple(blocks)
        self.n_blocks = len(self.blocks)
        self.entropy = entropy
        self._index = {block: index for index, block in enumerate(self.blocks)}

    def block_at(self, call: int) -> int:
        """The block that `partial_fit` call number `call`, counted from 0, sees."""
        number, position = divmod(call, self.n_blocks)
        return self.blocks[_permutation(self.entropy, self.n_blocks, number)[0][position]]

    def next_use(self, block: int, call: int) -> float:
        """The first call from `call` on that sees `block`; infinity for a block that none sees."""
        index = self._index.get(block)
        if index is None:
            return inf
        number, position = divmod(call, self.n_blocks)
        where = _permutation(self.entropy, self.n_blocks, number)[1][index]
        if where >= position:
            return number * self.n_blocks + where
        return (number + 1) * self.n_blocks + _permutation(self.entropy, self.n_blocks, number + 1)[1][index]


@lru_cache(maxsize=32)
def _permutation(entropy: int, n_blocks: int, number: int) -> tuple[Sequence[int], Sequence[int]]:
    """The order of pass `number`, and for each block its place in it."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy, spawn_key=(number,))))
    order = rng.permutation(n_blocks)
    places = np.argsort(order)
    return order.tolist(), places.tolist()
