"""Which searches are over, as far as this process knows, and how their last tasks end without a word."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["is_over", "note_end", "silent_after_end"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_ended: deque[str] = deque(maxlen=1000)
_lock = threading.Lock()


def note_end(run: str) -> None:
    """Note that a search is over."""
    with _lock:
        _ended.append(run)


def is_over(run: str) -> bool:
    """Whether the search of this name is over."""
    with _lock:
        return run in _ended


def silent_after_end(nothing: Callable[[], Any]) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Make a task give `nothing()` where its search, its first argument, is over before it ends or begins.

    Such a task was cancelled, and came too late to be stopped, or was under way. Its files may be gone already, and
    nobody waits for it; but Dask shows users whatever tasks raise.
    """

    def decorate(function: Callable[_P, _T]) -> Callable[_P, _T]:
        @wraps(function)
        def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            name = str(args[0])
            if not is_over(name):
                try:
                    return function(*args, **kwargs)
                except BaseException:
                    if not is_over(name):
                        raise
            nobodys: _T = nothing()
            return nobodys

        return run

    return decorate
