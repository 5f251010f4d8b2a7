"""How much memory this process holds, and who may load a block next."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
import time
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import psutil

__all__ = [
    "PAUSED_SHARE",
    "SHORT_SHARE",
    "Evicts",
    "Load",
    "MemoryGate",
    "free_heap",
    "held_besides_blocks",
    "process_gate",
    "resident_bytes",
]

PAUSED_SHARE = 0.8
"""Of its memory limit; a worker of Dask that holds more begins nothing new."""

SHORT_SHARE = 0.78
"""Above this share memory is short: models have grown, or there never was room."""

# Loads begin beside others while the process stays below this share of the limit with all that they are known to take:
# above 0.7 Dask spills what it can.
_LOAD_SHARE = 0.68
# What a load is known to take is what the last ones took, at the most, and a little more.
_REMEMBERED_LOADS = 8
_MARGIN = 1.05
_WATCH_SECONDS = 0.002
_LONGEST_WAIT = 60.0
# Loads that take less than this are neither watched nor kept waiting.
_SMALL_BYTES = 2_000_000
_PAGE_BYTES = mmap.PAGESIZE


class Evicts(Protocol):
    """What can give memory back: a cache of blocks."""

    nbytes: int

    def evict_idle(self, enough: Callable[[], bool]) -> None:
        """Drop blocks that nobody uses now until there is enough."""


@dataclass
class Load:
    """A load of rows; `nbytes` is what it took at its peak, once it is over, and 0 where that was not looked at."""

    nbytes: int = 0


class MemoryGate:
    """Lets loads of blocks begin only where they fit, one after the other where memory is short.

    A load that does not fit beside what the process holds first has blocks evicted that nobody uses now; then it waits
    for the threads that use rows, or load some; and when there is none left it goes ahead, for it will never fit
    better. So no thread waits for one that waits: who asks for a block holds none.

    Parameters
    ----------
    memory_limit : int
        Bytes that the process may hold resident.
    resident : callable, optional
        Returns the resident bytes of this process; replaced in tests.
    """

    def __init__(self, memory_limit: int, resident: Callable[[], int] | None = None) -> None:
        self.memory_limit = memory_limit
        self._ceiling = int(memory_limit * _LOAD_SHARE)
        self.resident = resident or resident_bytes
        self._changed = threading.Condition()
        self._loading: dict[Hashable, int] = {}
        self._holders: set[Hashable] = set()
        self._needs: dict[Hashable, deque[int]] = defaultdict(lambda: deque(maxlen=_REMEMBERED_LOADS))
        self._caches: weakref.WeakSet[Any] = weakref.WeakSet()
        self._watch = _PeakWatch(self.resident)

    def add(self, evicts: Evicts) -> None:
        """Have a cache give memory back when it is short; as long as it lives."""
        self._caches.add(evicts)

    def forget(self, kinds: Iterable[Hashable]) -> None:
        """Forget what loads of these kinds take."""
        with self._changed:
            for kind in kinds:
                self._needs.pop(kind, None)

    def relieve(self, nbytes: int = 0) -> bool:
        """Evict blocks that nobody uses, if too much is held; whether so many bytes more fit then."""
        with self._changed:
            if self._fits(nbytes, self._ceiling):
                return True
            self._evict_idle(lambda: self._fits(nbytes, self._ceiling))
            return self._fits(nbytes, self._ceiling)

    def is_short(self) -> bool:
        """Whether more is held than any load may bring about, also without the blocks that nobody uses."""
        most = int(self.memory_limit * SHORT_SHARE)
        if self.resident() <= most:
            return False
        with self._changed:
            self._evict_idle(lambda: self.resident() <= most)
        return self.resident() > most

    def has_room_for_next(self, kind: Hashable, expected: int) -> bool:
        """Whether this thread, which holds no rows, can load some and leave Dask no reason to pause the worker.

        What others hold, or load, is no matter: the load waits for them.
        """
        most = int(self.memory_limit * SHORT_SHARE)
        with self._changed:
            me = threading.get_ident()
            coming = 0 if (self._holders | self._loading.keys()) - {me} else self._need(kind, expected)
            if self.resident() + coming <= most:
                return True
            self._evict_idle(lambda: self.resident() + coming <= most)
            free_heap()
        return self.resident() + coming <= most

    def _evict_idle(self, enough: Callable[[], bool]) -> None:
        for evicts in list(self._caches):
            evicts.evict_idle(enough)

    @property
    def cached(self) -> int:
        """Bytes of all caches."""
        return sum(evicts.nbytes for evicts in list(self._caches))

    def hold(self, who: Hashable | None = None) -> None:
        """Note that this thread, or `who`, uses rows from now on."""
        with self._changed:
            self._holders.add(threading.get_ident() if who is None else who)

    def let_go(self, who: Hashable | None = None) -> None:
        """Note that this thread, or `who`, uses no rows any more, and loads none."""
        with self._changed:
            me = threading.get_ident() if who is None else who
            self._holders.discard(me)
            self._loading.pop(me, None)
            self._changed.notify_all()

    def reserve(self, who: Hashable, kind: Hashable, expected: int, share: float) -> bool:
        """Keep room for a load that `who` begins soon, if it stays below a share of the limit; until it lets go."""
        with self._changed:
            need = self._need(kind, expected)
            fits = self._fits(need, int(self.memory_limit * share))
            if fits:
                self._loading[who] = need
            return fits

    def need(self, kind: Hashable, expected: int = 0) -> int:
        """Bytes that a load takes while it runs, as far as can be told."""
        with self._changed:
            return self._need(kind, expected)

    def _need(self, kind: Hashable, expected: int) -> int:
        return int(_MARGIN * max(*self._needs.get(kind, ()), expected, 0, 0))

    def fits(self, nbytes: int, share: float) -> bool:
        """Whether so much more stays below a share of the limit, with all that loads under way may take."""
        with self._changed:
            return self._fits(nbytes, int(self.memory_limit * share))

    def _fits(self, nbytes: int, ceiling: int) -> bool:
        return self.resident() + nbytes + sum(self._loading.values()) <= ceiling

    @contextmanager
    def loading(
        self,
        kind: Hashable,
        expected: int = 0,
        *,
        who: Hashable | None = None,
        given_up: Callable[[], bool] = lambda: False,
        wait: bool = True,
    ) -> Iterator[Load]:
        """Load rows inside, once they fit; at the end whoever loaded them holds them.

        Parameters
        ----------
        kind : hashable
            Loads of one kind take alike.
        expected : int, default 0
            Bytes that this one takes at the least, where that is known.
        who : hashable, optional
            Who holds the rows afterwards; default: this thread, which must hold none before.
        given_up : callable, optional
            Whether to wait no longer.
        wait : bool, default True
            Whether to wait at all.

        Yields
        ------
        Load
        """
        me: Hashable = threading.get_ident() if who is None else who
        with self._changed:
            need = self._need(kind, expected)
            known = bool(self._needs.get(kind))
            if wait and not (known and need < _SMALL_BYTES):
                # A trial that hangs, or waits for a search of its own on this worker, never lets go of its rows.
                until = time.monotonic() + _LONGEST_WAIT
                while not given_up() and not self._may_begin(need, me, known) and time.monotonic() < until:
                    self._changed.wait(until - time.monotonic())
            self._loading[me] = need
        watched = not known or need >= _SMALL_BYTES
        before = self.resident() if watched else 0
        if watched:
            self._watch.begin(me)
        load = Load()
        try:
            yield load
        except BaseException:
            with self._changed:
                self._end(me)
                self._changed.notify_all()
            raise
        else:
            with self._changed:
                self._end(me)
                self._holders.add(me)
                self._changed.notify_all()
        finally:
            if watched:
                load.nbytes = max(self._watch.end(me) - before, 0)
                if not given_up():  # else its kind may be forgotten already
                    with self._changed:
                        self._needs[kind].append(load.nbytes)

    def _end(self, who: Hashable) -> None:
        self._loading.pop(who, None)

    def _may_begin(self, need: int, me: Hashable, known: bool) -> bool:
        if not known and self._loading and self.resident() > self._ceiling / 2:
            return False  # the first load of a process also imports what it needs: nobody knows how much that is
        if self._fits(need, self._ceiling):
            return True
        self._evict_idle(lambda: self._fits(need, self._ceiling))
        if self._fits(need, self._ceiling):
            return True
        if not self._loading and not self._holders - {me}:
            free_heap()
            return True
        return False


class _PeakWatch:
    """Looks at the resident bytes of the process every few milliseconds, while somebody wants to know."""

    def __init__(self, resident: Callable[[], int]) -> None:
        self._resident = resident
        self._peaks: dict[Hashable, int] = {}
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, who: Hashable) -> None:
        with self._lock:
            self._peaks[who] = self._resident()
            self._wanted.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="dhpo-memory", daemon=True)
                self._thread.start()

    def end(self, who: Hashable) -> int:
        with self._lock:
            peak = max(self._peaks.pop(who, 0), self._resident())
            if not self._peaks:
                self._wanted.clear()
            return peak

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._wanted.wait()
            with self._lock:
                now = self._resident() if self._peaks else 0
                for who, peak in self._peaks.items():
                    self._peaks[who] = max(peak, now)
            pause.wait(_WATCH_SECONDS)


_gate: MemoryGate | None = None
_gate_lock = threading.Lock()


def process_gate(memory_limit: int) -> MemoryGate:
    """The gate of this process, which all searches share that run here."""
    global _gate
    with _gate_lock:
        if _gate is None or _gate.memory_limit != memory_limit:
            _gate = MemoryGate(memory_limit)
        return _gate


def held_besides_blocks() -> int:
    """Bytes that this process holds resident, without the blocks that searches have in their caches."""
    with _gate_lock:
        gate = _gate
    return resident_bytes() - (0 if gate is None else gate.cached)


@cache
def _this_process() -> psutil.Process:
    return psutil.Process()


def resident_bytes() -> int:
    """Bytes that this process holds resident."""
    # What psutil does on Linux, at a quarter of the time: it is asked several times a call.
    try:
        descriptor = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return int(_this_process().memory_info().rss)
    try:
        return int(os.read(descriptor, 128).split()[1]) * _PAGE_BYTES
    finally:
        os.close(descriptor)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None


def free_heap() -> None:
    """Give the system back what was freed in pieces: glibc and Arrow keep it, and have functions for it."""
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)
