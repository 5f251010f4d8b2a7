"""The summary of a search, again and again while it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pandas as pd

from dhpo.errors.checks import checked_seconds

__all__ = ["SummaryStream"]

# Between two looks whether the search is over.
_LOOK_SECONDS = 0.1


class SummaryStream:
    """Summaries of a search, one every few seconds until it is over, and a last one then; for `for` and `async for`.

    Parameters
    ----------
    summary : callable
        Returns the summary as it is now.
    over : callable
        Says whether the search is over.
    every : float
        Seconds between two summaries.
    blocking : bool, default True
        Whether `for` may be used, which waits in the thread that uses it.

    Raises
    ------
    TypeError, ValueError
        If `every` is no positive number.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import HyperbandSearchCV
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> space = {"alpha": [1e-4, 1e-2, 1, 100]}
    >>> run = HyperbandSearchCV(SGDClassifier(), space, max_iter=3, random_state=0, verbose=0).start(X, y)
    >>> frames = list(run.stream(every=0.5))
    >>> len(frames[-1]), run.status
    (5, 'done')
    """

    def __init__(
        self, summary: Callable[[], pd.DataFrame], over: Callable[[], bool], every: float, blocking: bool = True
    ) -> None:
        self._summary = summary
        self._over = over
        self._every = checked_seconds("every", every)
        self._blocking = blocking

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Wait, and return the next summary."""
        if not self._blocking:
            raise RuntimeError("the client is asynchronous: write `async for` instead of `for`")
        while not self._over():
            yield self._summary()
            due = time.monotonic() + self._every
            while (left := due - time.monotonic()) > 0 and not self._over():
                time.sleep(min(left, _LOOK_SECONDS))
        yield self._summary()

    async def __aiter__(self) -> AsyncIterator[pd.DataFrame]:
        """Await the next summary."""
        while not self._over():
            yield self._summary()
            due = time.monotonic() + self._every
            while (left := due - time.monotonic()) > 0 and not self._over():
                await asyncio.sleep(min(left, _LOOK_SECONDS))
        yield self._summary()
