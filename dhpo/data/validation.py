"""Which rows of a block are held out to score the models on."""

from __future__ import annotations

import numpy as np

__all__ = ["default_test_size", "split_rows"]


def default_test_size(n_blocks: int) -> float:
    """The share of rows held out where the user names none: about one block, at most a fifth, as in dask-ml."""
    return min(0.2, 1 / n_blocks)


def split_rows(n_rows: int, test_size: float, entropy: int, block: int) -> tuple[np.ndarray, np.ndarray]:
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

    Returns
    -------
    training, validation : ndarray of int
        Row positions, ascending.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy, spawn_key=(block,))))
    n_validation = int(n_rows * test_size + rng.random())
    held_out = np.zeros(n_rows, dtype=bool)
    held_out[rng.permutation(n_rows)[:n_validation]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
