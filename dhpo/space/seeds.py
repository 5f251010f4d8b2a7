"""Where every random number of a search comes from: one entropy, and a place in the search.

Nothing here keeps a state. The seed of trial 7 is the same whether it is asked for first, last or twice, on the driver
or on a worker; that is what makes a search repeatable for any number of workers.
"""

from __future__ import annotations

import hashlib
from numbers import Integral

import numpy as np

__all__ = ["RandomStateLike", "entropy_of", "params_rng", "seed_for", "seed_sequence"]

RandomStateLike = int | np.integer | np.random.RandomState | np.random.Generator | None

_ENTROPY_BYTES = 16  # what SeedSequence itself takes from the operating system
_WORD = 2**32


def entropy_of(random_state: RandomStateLike) -> int:
    """Turn what scikit-learn calls a `random_state` into one integer.

    Parameters
    ----------
    random_state : int, numpy RandomState, numpy Generator or None
        An int is returned as it is. A RandomState or Generator is drawn from once. None draws fresh entropy from the
        operating system; pass the result as `random_state` to repeat that search.

    Returns
    -------
    int
        Not negative.

    Raises
    ------
    ValueError
        If `random_state` is a negative number, or nothing of the above.
    """
    if random_state is None:
        return _to_int(np.random.default_rng().bytes(_ENTROPY_BYTES))
    if isinstance(random_state, np.random.RandomState | np.random.Generator):
        return _to_int(random_state.bytes(_ENTROPY_BYTES))
    if isinstance(random_state, Integral) and not isinstance(random_state, bool) and random_state >= 0:
        return int(random_state)
    raise ValueError(
        f"random_state={random_state!r} is not allowed: give an int >= 0, a numpy RandomState or Generator, or None."
    )


def seed_sequence(entropy: int, number: int, purpose: str) -> np.random.SeedSequence:
    """Return the independent stream of random numbers of one trial (or block, or pass) for one purpose.

    Parameters
    ----------
    entropy : int
        Of the whole search, from `entropy_of`.
    number : int
        Which trial, block, pass, ...; from 0 to 2**64 - 1.
    purpose : str
        Keeps apart what one number is used for: "params", "estimator", "order", ...
    """
    if not 0 <= number < _WORD**2:
        raise ValueError(f"number={number!r} is not allowed: give an int from 0 to 2**64 - 1.")
    digest = hashlib.blake2b(purpose.encode(), digest_size=8).digest()
    # Every part has its fixed number of 32-bit words: SeedSequence only chains them, so other lengths could collide.
    key = (*np.frombuffer(digest, dtype="<u4").tolist(), *reversed(divmod(number, _WORD)))
    return np.random.SeedSequence(entropy, spawn_key=key)


def params_rng(entropy: int, number: int) -> np.random.RandomState:
    """Where the parameters of one trial are drawn from.

    A RandomState, not a Generator: distributions of third parties were written for what scikit-learn hands them.

    Parameters
    ----------
    entropy, number
        As for `seed_sequence`.
    """
    return np.random.RandomState(np.random.MT19937(seed_sequence(entropy, number, "params")))


def seed_for(entropy: int, number: int, purpose: str) -> int:
    """Return the int to use as `random_state` of an estimator, from 0 to 2**31 - 1.

    31 bits, because estimators that hand their seed to C code often read it as a signed int.

    Parameters
    ----------
    entropy, number, purpose
        As for `seed_sequence`.
    """
    return int(seed_sequence(entropy, number, purpose).generate_state(1, np.uint32)[0]) >> 1


def _to_int(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
