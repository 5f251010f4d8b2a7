"""What a worker process keeps between the steps of a search; losing it costs time, never an answer."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
from threadpoolctl import ThreadpoolController

from dhpo.data.cache import BlockCache
from dhpo.data.memory import free_heap
from dhpo.worker.ended_searches import is_over, note_end
from dhpo.worker.messages import Context

__all__ = ["WorkerState", "forget_run", "give_back", "single_threaded", "worker_state"]


class WorkerState:
    """The cache and the live models of one search.

    Parameters
    ----------
    memory_limit : int
        Bytes of this worker.

    Attributes
    ----------
    over : bool
        Whether the search is over, and steps that still run should end.
    """

    def __init__(self, memory_limit: int) -> None:
        self.cache = BlockCache(memory_limit)
        self.over = False
        self._context: Context | None = None
        self._in_use: dict[int, dict[Hashable, float]] = {}
        self._models: dict[int, tuple[int, Any, int]] = {}
        self._models_allowed = memory_limit // 10
        self._models_held = 0
        self._lock = threading.Lock()

    def context(self, pickled: bytes) -> Context:
        """What all steps have in common, unpickled at the first step."""
        with self._lock:
            if self._context is None:
                self._context = cloudpickle.loads(pickled)
            return self._context

    def use_block(self, key: Hashable, next_use: float) -> None:
        """Note which training block this thread uses now; the cache may drop those that it used before.

        The last block of a step stays in use until the next step: other trials may have to catch up with it.
        """
        with self._lock:
            before = self._in_use.get(threading.get_ident(), {})
            self._in_use[threading.get_ident()] = {key: next_use}
            in_use = {used for blocks in self._in_use.values() for used in blocks}
        for used, needed_at in before.items():
            if used not in in_use:
                self.cache.release(used, needed_at)

    def rest(self) -> None:
        """Note that this thread uses no rows any more: they are kept, and may be dropped for others."""
        self.cache.rest()

    def use_next(self, key: Hashable, next_use: float) -> None:
        """Note that the next step of this thread will most likely begin with a block that was read ahead."""
        with self._lock:
            self._in_use.setdefault(threading.get_ident(), {})[key] = next_use

    def take_model(self, number: int, calls: int) -> Any | None:
        """The live model, if it is here just as it was after `calls` calls. It is the caller's alone from then on."""
        with self._lock:
            held, model, size = self._models.get(number, (-1, None, 0))
            if held != calls:
                return None
            del self._models[number]
            self._models_held -= size
            return model

    def keep_model(self, number: int, calls: int, model: Any, size: int) -> None:
        """Keep a live model for the next step, in place of the oldest where a tenth of the worker's memory is full."""
        with self._lock:
            self._models_held -= self._models.pop(number, (0, None, 0))[2]
            if size > self._models_allowed:
                return
            while self._models_held + size > self._models_allowed:
                self._models_held -= self._models.pop(next(iter(self._models)))[2]
            self._models[number] = (calls, model, size)
            self._models_held += size

    def give_back(self) -> None:
        """Drop all that is kept for later steps: blocks that nobody uses now, and models, which are stored besides."""
        with self._lock:
            self._models.clear()
            self._models_held = 0
        self.cache.evict_idle(lambda: False)


_states: dict[str, WorkerState] = {}
_states_lock = threading.Lock()


def worker_state(run: str, memory_limit: int) -> WorkerState:
    """The state of this process for a search, made at its first task here.

    Of a search that is over it is one that says so, and that nobody keeps.
    """
    with _states_lock:
        if is_over(run):
            late = WorkerState(memory_limit)
            late.over = True
            return late
        if run not in _states:
            _states[run] = WorkerState(memory_limit)
        return _states[run]


def give_back() -> None:
    """Drop what this process keeps for later steps of any search; asked of a worker that is paused."""
    with _states_lock:
        states = list(_states.values())
    for state in states:
        state.give_back()
    free_heap()


def forget_run(run: str) -> None:
    """Free what this process holds for a search, and end its steps at their next call."""
    with _states_lock:
        note_end(run)
        state = _states.pop(run, None)
    if state is not None:
        state.over = True
        state.cache.close()
    for crumb in Path(tempfile.gettempdir()).glob(f"dhpo-{run}-*.crumb"):  # of steps whose workers died on this machine
        crumb.unlink(missing_ok=True)


class _SingleThreaded:
    """Pins BLAS and OpenMP to one thread while any step runs in this process.

    The bits of a matrix product depend on the number of threads, and a worker's threads are all at work anyway. Several
    steps may run in one process: the first to come pins, the last to go restores.

    threadpoolctl lets one thread of a process change BLAS, the first that tried, and ignores all others; so one thread
    of our own does it for all steps. OpenMP counts per thread: each step pins it for itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limits: Any = None
        self._controller: Any = None
        self._modules_seen = 0
        self._pinner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dhpo-pin-blas")

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0:
                if self._controller is None or self._modules_seen != len(sys.modules):
                    # Modules imported since the last step may have brought libraries along.
                    self._controller, self._modules_seen = ThreadpoolController(), len(sys.modules)
                self._limits = self._pinner.submit(self._controller.limit, limits=1, user_api="blas").result()
            self._inside += 1
            controller = self._controller
        try:
            with controller.limit(limits=1, user_api="openmp"):
                yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._pinner.submit(self._limits.restore_original_limits).result()


single_threaded = _SingleThreaded()
