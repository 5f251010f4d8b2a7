"""A random order of 0 .. size - 1 that is never written down."""

from __future__ import annotations

import hashlib
import math

import numpy as np

__all__ = ["Permutation"]

_ROUNDS = 8


class Permutation:
    """A random permutation in constant memory, so that the sample of trial n needs no earlier ones.

    A Feistel network over pairs (left, right) of numbers below `rows` and `columns`: each round shifts one half by a
    keyed hash of the other, which is a bijection whatever the hash. Where `rows * columns` is larger than `size`, the
    network is applied again until it lands inside [1]_, which happens at once for most.

    Parameters
    ----------
    size : int
        Of the permutation, at least 1. May be far larger than memory.
    seeds : numpy SeedSequence
        Where its key comes from.

    References
    ----------
    .. [1] Black, J. and Rogaway, P. (2002). Ciphers with arbitrary finite domains. CT-RSA 2002, methods "generalized
       Feistel" and "cycle walking".
    """

    def __init__(self, size: int, seeds: np.random.SeedSequence) -> None:
        self.size = size
        self._rows = math.isqrt(size - 1) + 1
        self._columns = -(-size // self._rows)
        self._key = seeds.generate_state(4, np.uint32).astype("<u4").tobytes()

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, position: int) -> int:
        if not 0 <= position < self.size:
            raise IndexError(f"position {position} is not below {self.size}")
        image = self._shuffle(position)
        while image >= self.size:
            image = self._shuffle(image)
        return image

    def _shuffle(self, position: int) -> int:
        left, right = divmod(position, self._columns)
        for i in range(0, _ROUNDS, 2):
            left = (left + self._hash(i, right)) % self._rows
            right = (right + self._hash(i + 1, left)) % self._columns
        return left * self._columns + right

    def _hash(self, round_: int, half: int) -> int:
        message = f"{round_}:{half}".encode()
        return int.from_bytes(hashlib.blake2b(message, key=self._key, digest_size=32).digest(), "little")
