"""What user code raises is told, and brings nothing down."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from dhpo.errors import SearchFailed
from dhpo.errors.user_code import guarded, in_short, in_thread, said, told


class Unshowable(BaseException):
    def __str__(self) -> str:
        raise SystemExit(1)

    __repr__ = __str__


class Unpicklable(Exception):
    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


def raises(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "last"),
    [
        (ValueError("no"), "ValueError: no"),
        (SystemExit(), "SystemExit"),
        (Unshowable(), "tests.unit.errors.test_user_code.Unshowable: <exception str() failed>"),
        (BaseExceptionGroup("all", [SystemExit(1)]), "BaseExceptionGroup: all (1 sub-exception)"),
    ],
)
def test_any_exception_is_told_and_its_last_line_says_what_it_was(error, last):
    try:
        raises(error)
    except BaseException as caught:
        text = told(caught)
    assert "in raises" in text
    assert text.splitlines()[-1] == said(error) == last


@pytest.mark.parametrize(
    "error",
    [SystemExit(2), KeyboardInterrupt(), asyncio.CancelledError(), StopIteration(), Unshowable(), Unpicklable()],
)
def test_a_task_raises_nothing_that_ends_a_worker_or_gets_lost(error):
    with pytest.raises(RuntimeError, match=type(error).__name__) as caught:
        guarded(raises)(error)
    assert "in raises" in str(caught.value)
    assert caught.value.__context__ is None
    assert repr(pickle.loads(pickle.dumps(caught.value))) == repr(caught.value)


def test_a_task_raises_other_exceptions_as_they_are():
    error = OSError(5, "cannot be read")
    with pytest.raises(OSError, match="cannot be read") as caught:
        guarded(raises)(error)
    assert caught.value is error


@pytest.mark.parametrize("error", [SystemExit(2), KeyboardInterrupt(), StopIteration(3), asyncio.CancelledError()])
def test_what_a_thread_raises_can_be_awaited(error):
    async def run() -> None:
        with pytest.raises(RuntimeError, match=type(error).__name__) as caught:
            await asyncio.wait_for(in_thread(raises, error), 300)
        assert caught.value.__cause__ is error

    asyncio.run(run())


def test_long_messages_keep_both_ends_and_half_characters_can_be_written() -> None:
    short = in_short(SearchFailed("first:\n" + "x" * 20_000 + "\nlast"))
    assert short.startswith("SearchFailed: first:")
    assert short.endswith("xxx\nlast")
    assert len(short) < 11_000
    assert told(ValueError("\udcff")).endswith("ValueError: \\udcff\n")
