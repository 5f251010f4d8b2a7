"""What does not fit is said before any work, with three numbers and the way out."""

from __future__ import annotations

import logging

import pytest

from dhpo.driver.memory_check import Room

MB = 1_000_000


def room(block=64, copied=0.0, n_rows=100_000, limit=512, threads=1):
    return Room(block * MB, copied, n_rows, limit * MB, threads)


@pytest.mark.parametrize("limit_and_block", [(512, 64), (700, 100), (2000, 500)])
def test_two_blocks_besides_what_a_worker_holds_are_enough(limit_and_block, caplog):
    limit, block = limit_and_block
    room(block, limit=limit).check(230 * MB)
    assert not caplog.records


def test_what_does_not_fit_is_refused_with_what_it_takes_and_the_way_out():
    with pytest.raises(ValueError, match="a block of X is too large for its workers") as seen:
        room(640, copied=0.25).check(212 * MB)
    said = str(seen.value)
    for words in (
        "it takes 640 MB with y and sample_weight",
        "(and 160 MB more while it is split)",
        "a worker holds 212 MB",
        "its memory limit is 512 MB",
        # (0.8 x 512 - 212) / 1.25 / 2 of 640 MB
        "Rechunk X to 12,000 rows a block or fewer",
        "at least 1,265 MB",
        "fewer workers on a machine",
    ):
        assert words in said


def test_blocks_of_unknown_rows_are_told_in_bytes():
    with pytest.raises(ValueError, match="Rechunk or repartition X to blocks of 99 MB or less, or give"):
        room(640, n_rows=None).check(212 * MB)


def test_a_worker_that_holds_too_much_by_itself_needs_more_memory():
    with pytest.raises(ValueError, match="No block fits beside that: give each worker at least 468 MB"):
        room(64, limit=300).check(310 * MB)


def test_a_tight_fit_is_said_and_not_refused(caplog):
    with caplog.at_level(logging.WARNING):
        room(100, threads=2).check(230 * MB)
    assert "memory is tight: a block takes 100 MB, a worker of 2 thread(s) holds 230 MB" in caplog.text


def test_workers_with_plenty_are_not_asked():
    assert room(64, limit=2000).is_ample
    assert not room(64, limit=512).is_ample
    assert not room(64, limit=1000, threads=4).is_ample
