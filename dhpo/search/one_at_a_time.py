"""One search runs once at a time, whatever threads start it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dhpo.search.run import Run

__all__ = ["RunsOnce"]

# Of all searches: held for as long as it takes to see whether one of them is running.
_STARTING = threading.Lock()


class RunsOnce:
    """The part of a search that refuses to be started where it is running."""

    _run: weakref.ref[Run]
    _starting_thread: int | None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep all other threads from starting this search, or raise RuntimeError where it is running."""
        thread = threading.get_ident()
        with _STARTING:
            starting = getattr(self, "_starting_thread", None)
            before: Run | None = self._run() if hasattr(self, "_run") else None
            if starting not in (None, thread) or (before is not None and not before.done):
                raise RuntimeError("this search is running: stop() its run first, or start a clone of the search.")
            self._starting_thread = thread
        try:
            yield
        finally:
            with _STARTING:
                self._starting_thread = starting

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("_run", "_starting_thread")}
