"""A worker's cache of loaded blocks, within the memory that the worker has left."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dhpo.data.loaded import BlockRead, Loaded, Lookup
from dhpo.data.memory import MemoryGate, process_gate
from dhpo.data.rows import Rows

__all__ = ["CACHE_SHARE", "BlockCache"]

CACHE_SHARE = 0.6
# Without room for it below this share of the memory limit, no block is read ahead: from 0.7 on Dask spills what it can,
# which is next to nothing.
_MOST_SHARE = 0.68

_numbers = itertools.count()


@dataclass(slots=True)
class _Entry:
    loaded: Loaded
    needed_at: float


class BlockCache:
    """Keeps the blocks that are needed soonest.

    The order of the passes is known, so the block to evict is the one that is needed last (Belady, 1966), which is
    optimal; least recently used, for a scan that repeats and does not fit, would evict each block just before it is
    needed.

    Parameters
    ----------
    memory_limit : int
        Bytes that the process may hold resident. Blocks stay below `share` of it, with all that the process holds
        besides: unmanaged memory is never spilled by Dask, and a process above 0.8 of its limit is paused for good.
    share : float, default 0.6
    resident : callable, optional
        Returns the resident bytes of this process; replaced in tests.

    Attributes
    ----------
    gate : MemoryGate
        Through which all loads go. A thread holds the rows that `get` gave it until it asks for the next, or calls
        `rest`.
    """

    def __init__(
        self, memory_limit: int, share: float = CACHE_SHARE, resident: Callable[[], int] | None = None
    ) -> None:
        self.gate = process_gate(memory_limit) if resident is None else MemoryGate(memory_limit, resident)
        self.gate.add(self)
        self._allowed = int(memory_limit * share)
        self._most_share = max(share, _MOST_SHARE)
        self._resident = self.gate.resident
        self._in_use: Counter[Hashable] = Counter()
        self._used_by: dict[int, Hashable] = {}
        self._entries: dict[Hashable, _Entry] = {}
        self._reads: dict[Hashable, BlockRead] = {}
        self._number = next(_numbers)
        self._kinds: set[Hashable] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._ahead = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dhpo-read-ahead")
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def kind(self, of: str) -> Hashable:
        """What the gate knows loads by: those of another search in this process are of other blocks.

        Parameters
        ----------
        of : str
            What is loaded.
        """
        kind = (self._number, of)
        self._kinds.add(kind)
        return kind

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def get(
        self,
        key: Hashable,
        load: Callable[[], Rows],
        needed_at: float,
        *,
        pin: bool = False,
        expected: int = 0,
    ) -> Lookup:
        """The rows under `key`, loaded by this thread unless they are here, or on their way.

        Parameters
        ----------
        key : hashable
        load : callable
            Loads the rows; what it raises is raised here.
        needed_at : float
            When the block is needed next; the highest is evicted first.
        pin : bool, default False
            Whether to keep the block even if there is no room, until `release`: it is in use now.
        expected : int, default 0
            Bytes that the rows take at the least, where that is known.
        """
        self.rest()
        self.gate.hold()  # lest another thread begins to load where this one is about to use what is here
        with self._lock:
            self._used_by[threading.get_ident()] = key
            self._in_use[key] += 1
            entry = self._entries.get(key)
            if entry is not None:
                entry.needed_at = needed_at
                return Lookup(entry.loaded, read=False)
            read = self._reads.setdefault(key, BlockRead(load))
            read.wanted = True
            self._make_room(needed_at)
        self.gate.let_go()
        if not read.started:
            self.gate.let_go(_ahead(key))  # it is read here, and not ahead
        try:
            read.run(lambda load: self._load(key, load, expected, None, wait=True))
            loaded = read.result()
        except BaseException:
            with self._lock:
                self._forget(key, read)
            self.rest()
            raise
        self.gate.hold()
        with self._lock:
            # Threads that wait for one read together count it once: for the first that comes back here. It is kept
            # before it is forgotten, lest a thread that comes in between reads it again.
            self._put(key, loaded, needed_at, pin)
            first = self._forget(key, read)
        self.gate.let_go(_ahead(key))
        return Lookup(loaded, first)

    def rest(self) -> None:
        """Note that this thread has done with the rows that it was given last: they may be evicted."""
        with self._lock:
            used = self._used_by.pop(threading.get_ident(), None)
            if used is not None:
                self._in_use[used] -= 1
                if not self._in_use[used]:
                    del self._in_use[used]
        self.gate.let_go()

    def _load(
        self, key: Hashable, load: Callable[[], Rows], expected: int, who: Hashable | None, *, wait: bool
    ) -> Rows:
        with self.gate.loading(
            self.kind(_first_word(key)), expected, who=who, given_up=lambda: self._closed, wait=wait
        ):
            return load()

    def evict_idle(self, enough: Callable[[], bool]) -> None:
        """Drop blocks that nobody uses now, those needed last first, until there is enough."""
        with self._lock:
            idle = sorted(
                (key for key in self._entries if key not in self._in_use), key=lambda k: self._entries[k].needed_at
            )
            while idle and not enough():
                self._evict(idle.pop())

    def _forget(self, key: Hashable, read: BlockRead) -> bool:
        """Whether this read was still known."""
        return self._reads.get(key) is read and self._reads.pop(key) is read

    def release(self, key: Hashable, needed_at: float) -> None:
        """A block is no longer in use, and is needed next at `needed_at`; drop it if there is no room for it."""
        with self._lock:
            if key in self._entries:
                self._entries[key].needed_at = needed_at
                self._make_room(needed_at - 1)

    def read_ahead(self, key: Hashable, load: Callable[[], Rows], expected: int = 0) -> None:
        """Start to load `key` in a thread of the cache's own, if memory allows; end it with `get` or `settle`."""
        # The gate is never asked under the lock of the cache: it has blocks evicted under its own.
        with self._lock:
            if self._closed or key in self._entries or key in self._reads:
                return
        if not self.gate.reserve(_ahead(key), self.kind(_first_word(key)), expected, self._most_share):
            return
        with self._lock:
            taken = self._closed or key in self._entries or key in self._reads
            if not taken:
                read = self._reads[key] = BlockRead(load)
                self._ahead.submit(read.run, lambda load: self._load(key, load, expected, _ahead(key), wait=False))
        if taken:
            self.gate.let_go(_ahead(key))

    def settle(self, key: Hashable, needed_at: float) -> int:
        """End a read ahead that nobody has asked for yet: keep the rows, until `release`.

        Returns
        -------
        int
            Bytes that were read, 0 where the read had not begun.
        """
        with self._lock:
            read = self._reads.get(key)
            if read is None or read.wanted:
                return 0
            del self._reads[key]
        if not read.give_up():
            self.gate.let_go(_ahead(key))
            return 0
        try:
            loaded = read.result()
        except BaseException:
            self.gate.let_go(_ahead(key))
            return 0  # the step that needs the block will see the error
        with self._lock:
            self._put(key, loaded, needed_at, True)
        self.gate.let_go(_ahead(key))
        return loaded.nbytes

    def discard(self, key: Hashable, rows: Rows) -> None:
        """Drop these very rows, which are no longer what was loaded."""
        with self._lock:
            if key in self._entries and self._entries[key].loaded.rows is rows:
                self._evict(key)

    def has_room(self, nbytes: int) -> bool:
        """Whether rows that are yet to be made would fit, without evicting others."""
        with self._lock:
            return not self._closed and self._resident() + nbytes <= self._allowed

    def put(self, key: Hashable, rows: Rows, needed_at: float) -> bool:
        """Keep rows if there is room for them, or room can be made from blocks that are needed later."""
        loaded = Loaded(rows)
        with self._lock:
            return self._put(key, loaded, needed_at, False)

    def _put(self, key: Hashable, loaded: Loaded, needed_at: float, pin: bool) -> bool:
        if self._closed:
            return False
        if key in self._entries:
            self._entries[key].needed_at = needed_at
            return True
        if not self._make_room(needed_at) and not pin:
            return False
        self._entries[key] = _Entry(loaded, needed_at)
        self.nbytes += loaded.nbytes
        return True

    def _make_room(self, needed_at: float) -> bool:
        """Evict blocks that are needed after `needed_at` while too much is held; whether that was enough."""
        # What the process holds besides the cache; rows at hand are counted in it.
        others = self._resident() - self.nbytes
        while self._entries and others + self.nbytes > self._allowed:
            last = max(self._entries, key=lambda k: self._entries[k].needed_at)
            if self._entries[last].needed_at <= needed_at:
                break
            self._evict(last)
        return others + self.nbytes <= self._allowed

    def _evict(self, key: Hashable) -> None:
        self.nbytes -= self._entries.pop(key).loaded.nbytes

    def close(self) -> None:
        """Drop all blocks and end the thread."""
        with self._lock:
            self._closed = True
            self._ahead.shutdown(wait=False, cancel_futures=True)
            self._entries.clear()
            ahead = list(self._reads)
            self._reads.clear()
            self.nbytes = 0
        for key in ahead:
            self.gate.let_go(_ahead(key))
        self.gate.forget(list(self._kinds))
        self.gate.let_go()  # so that who waits for room sees that the cache is closed


def _first_word(key: Hashable) -> str:
    """What is loaded under a key: training rows, or others."""
    return str(key[0]) if isinstance(key, tuple) else "rows"


def _ahead(key: Hashable) -> Hashable:
    """Who holds rows that were read ahead."""
    return ("ahead", key)
