from __future__ import annotations

import asyncio
import time

import pandas as pd
import pytest

from dhpo.views.summary_stream import SummaryStream


class Search:
    """Is over after it was looked at so many times; each summary has a row more."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.rows = 0

    def summary(self) -> pd.DataFrame:
        self.rows += 1
        return pd.DataFrame({"score": [0.5] * self.rows})

    def over(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_summaries_come_until_the_search_is_over_and_once_more_then() -> None:
    search = Search(looks=5)
    lengths = [len(frame) for frame in SummaryStream(search.summary, search.over, every=0.001)]
    assert lengths == list(range(1, len(lengths) + 1))
    assert len(lengths) >= 2


def test_they_can_be_awaited() -> None:
    search = Search(looks=5)

    async def lengths() -> list[int]:
        return [len(frame) async for frame in SummaryStream(search.summary, search.over, every=0.001)]

    assert asyncio.run(lengths())[-1] == search.rows >= 2


def test_a_loop_that_runs_the_search_is_not_kept_waiting() -> None:
    with pytest.raises(RuntimeError, match="write `async for`"):
        list(SummaryStream(pd.DataFrame, lambda: False, every=2.0, blocking=False))


def test_a_search_that_is_over_has_one() -> None:
    assert len(list(SummaryStream(pd.DataFrame, lambda: True, every=2.0))) == 1


def test_the_end_is_not_waited_for_by_the_period() -> None:
    search = Search(looks=3)
    before = time.monotonic()
    assert len(list(SummaryStream(search.summary, search.over, every=3600.0))) == 2
    assert time.monotonic() - before < 600


@pytest.mark.parametrize(
    ("every", "error"),
    [(0, ValueError), (-1.0, ValueError), (float("nan"), ValueError), ("2", TypeError), (True, TypeError)],
)
def test_the_period_is_checked(every: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="every="):
        SummaryStream(pd.DataFrame, lambda: True, every=every)  # type: ignore[arg-type]
