"""Rows that were loaded, and one read of them that is under way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property

from dhpo.data.row_protection import sample
from dhpo.data.rows import Rows, all_finite

__all__ = ["BlockRead", "Loaded", "Lookup"]


class Loaded:
    """Rows, and what is noted of them once.

    Parameters
    ----------
    rows : Rows

    Attributes
    ----------
    nbytes : int
        What they take; to find out takes as long as a call, where there are strings.
    seal : bytes
        `dhpo.data.row_protection.sample` of them, to tell later whether they still are what they were.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.nbytes = rows.nbytes
        self.seal = sample(rows)

    @cached_property
    def finite(self) -> bool:
        """Whether no value is missing or infinite; found out in one pass over the rows, when it is asked for first."""
        return all_finite(self.rows)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Rows and where they came from.

    Parameters
    ----------
    loaded : Loaded
    read : bool
        False when they were in the cache.
    """

    loaded: Loaded
    read: bool

    @property
    def rows(self) -> Rows:
        """The rows themselves."""
        return self.loaded.rows

    @property
    def nbytes(self) -> int:
        """See `Loaded`."""
        return self.loaded.nbytes

    @property
    def seal(self) -> bytes:
        """See `Loaded`."""
        return self.loaded.seal


class BlockRead:
    """One read under way, run once by whichever thread comes first.

    Parameters
    ----------
    load : callable
        Reads the rows.
    """

    def __init__(self, load: Callable[[], Rows]) -> None:
        self._load: Callable[[], Rows] | None = load
        self._lock = threading.Lock()
        self._started = False
        self.wanted = False
        self._done: Future[Loaded] = Future()

    def run(self, begin: Callable[[Callable[[], Rows]], Rows]) -> None:
        """Read, unless somebody does already; `begin` is what calls `load`."""
        with self._lock:
            if self._started or self._load is None:
                return
            self._started, load, self._load = True, self._load, None
        try:
            self._done.set_result(Loaded(begin(load)))
        except BaseException as error:
            self._done.set_exception(error)

    @property
    def started(self) -> bool:
        """Whether somebody reads already."""
        return self._started

    def give_up(self) -> bool:
        """Keep the read from starting; whether it had started."""
        with self._lock:
            started, self._started = self._started, True
        if not started:
            self._done.cancel()
        return started

    def result(self) -> Loaded:
        """The rows, once they are there."""
        return self._done.result()
