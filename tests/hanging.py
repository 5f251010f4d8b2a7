"""Ends a test session that hangs, and says where in a few lines: where its output is kept in part, it is at the end."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections import Counter
from collections.abc import Generator, Iterable
from types import FrameType
from typing import Any

import pytest

__all__ = ["pytest_configure", "pytest_runtest_protocol", "where_all_are"]

# Several times what the longest test takes on a machine at a third of its speed.
_HANGS_SECONDS = 900.0
_MOST_FRAMES = 8

_stderr = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep where errors go, before tests are captured."""
    config.stash[_stderr] = os.dup(2)
    config.add_cleanup(lambda: os.close(config.stash[_stderr]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Limit the time of a test."""

    def give_up() -> None:
        text = f"\n{item.nodeid} hangs after {_HANGS_SECONDS:g} s:\n{where_all_are()}\n"
        os.write(item.config.stash[_stderr], text.encode())
        os._exit(1)

    timer = threading.Timer(_HANGS_SECONDS, give_up)
    timer.daemon = True
    timer.start()
    try:
        return (yield)
    finally:
        timer.cancel()


def where_all_are() -> str:
    """One line for each thread and each coroutine: the innermost calls, and how many are there."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    lines = [f"{names.get(ident, ident)}: {_calls(_outward(frame))}" for ident, frame in sys._current_frames().items()]
    tasks = [found for found in gc.get_objects() if isinstance(found, asyncio.Task) and not found.done()]
    lines += [f"coroutine: {_calls(_inward(task.get_coro())[::-1])}" for task in tasks]
    return "\n".join(f"{count} x {line}" for line, count in Counter(lines).items())


def _outward(frame: FrameType | None) -> list[FrameType]:
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def _inward(coroutine: Any) -> list[FrameType]:
    frames = []
    while getattr(coroutine, "cr_frame", None) is not None:
        frames.append(coroutine.cr_frame)
        coroutine = coroutine.cr_await
    return frames


def _calls(innermost_first: Iterable[FrameType]) -> str:
    each = [f"{os.path.basename(f.f_code.co_filename)}:{f.f_lineno} {f.f_code.co_name}" for f in innermost_first]
    return " < ".join(each[:_MOST_FRAMES])
