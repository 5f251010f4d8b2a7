"""What the user's code raises, kept from harm: it may be any exception, and may be raised in any thread.

`SystemExit` and `KeyboardInterrupt` end an event loop of asyncio, and with it a worker of Dask, or the driver;
`asyncio.CancelledError` looks as if the task was cancelled; `StopIteration` cannot be given to a future, which then is
never done; and an exception that cannot be shown or pickled ends the process that tries.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import cloudpickle

__all__ = ["guarded", "in_short", "in_thread", "is_harmless", "said", "told"]

# Of the beginning and of the end of a long message.
_LONGEST_PART = 5_000

_P = ParamSpec("_P")
_T = TypeVar("_T")


def told(error: BaseException) -> str:
    """The traceback of an exception; of one that cannot be shown, what it is."""
    try:
        lines = traceback.format_exception(error)
        # The traceback of a group ends with a rule; the last line of a traceback is what summaries show.
        return _writable("".join([*lines, said(error), "\n"] if isinstance(error, BaseExceptionGroup) else lines))
    except BaseException:  # of the exception's own methods, or for want of memory
        return f"{type(error).__name__}: <it cannot be shown>\n"


def said(error: BaseException) -> str:
    """The last line of the traceback: the type of an exception, and its message."""
    try:
        return _writable("".join(traceback.format_exception_only(error)).strip())
    except BaseException:
        return f"{type(error).__name__}: <it cannot be shown>"


def _writable(text: str) -> str:
    """Without half characters, which neither files nor messages take."""
    return text.encode("utf-8", "backslashreplace").decode()


def in_short(error: BaseException) -> str:
    """The type of an exception, without its module, and its message, without the middle of a long one."""
    text = said(error).removeprefix(f"{type(error).__module__}.")
    return text if len(text) <= 2 * _LONGEST_PART else f"{text[:_LONGEST_PART]}\n...\n{text[-_LONGEST_PART:]}"


def is_harmless(error: BaseException) -> bool:
    """Whether an exception can be raised in a coroutine and mean no more there than that something failed."""
    return isinstance(error, Exception) and not isinstance(error, StopIteration)


def guarded(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """A function for a task on the cluster, whose exceptions neither end the worker nor get lost on their way.

    What would do so is raised as a RuntimeError that has the traceback in its message.
    """

    @wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            if is_harmless(error) and _can_travel(error):
                raise
            replaced = RuntimeError(f"{said(error)}\nThe traceback on the worker:\n{told(error)}")
        raise replaced  # here, where it has no context that would travel along

    return run


def _can_travel(error: BaseException) -> bool:
    try:
        repr(cloudpickle.loads(cloudpickle.dumps(error)))
    except BaseException:
        return False
    return True


async def in_thread(function: Callable[..., _T], *args: Any) -> _T:
    """Call a function in a thread of its own, and await it; see `guarded` for what it raises."""

    def run() -> _T:
        try:
            return function(*args)
        except BaseException as error:
            if is_harmless(error):
                raise
            replaced = RuntimeError(said(error))
            replaced.__cause__ = error
        raise replaced

    return await asyncio.to_thread(run)
