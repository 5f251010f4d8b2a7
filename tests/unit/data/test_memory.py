"""Loads begin where they fit; where memory is short blocks are evicted, and threads wait for one another."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from dhpo.data.memory import MemoryGate, resident_bytes

MB = 1_000_000
TIMEOUT = 300  # seconds after which a test gives up; none waits that long


class Process:
    """Stands for a process that may hold 1,000 MB, so that loads begin up to 680."""

    def __init__(self, held):
        self.held = held
        self.gate = MemoryGate(1000 * MB, lambda: self.held * MB)

    def load(self, megabytes, kind="train", who=None, **kwargs):
        with self.gate.loading(kind, megabytes * MB, who=who, **kwargs):
            self.held += megabytes


class Cache:
    def __init__(self, process, blocks):
        self.process, self.blocks = process, blocks

    @property
    def nbytes(self):
        return sum(self.blocks) * MB

    def evict_idle(self, enough):
        while self.blocks and not enough():
            self.process.held -= self.blocks.pop()


def begin(function, *args):
    """Run a function in a thread that has begun to wait, or is through."""
    done = threading.Event()

    def run():
        function(*args)
        done.set()

    threading.Thread(target=run, daemon=True).start()
    return done


def test_a_load_that_fits_begins_at_once():
    process = Process(300)
    process.gate.hold("another")
    process.load(100)
    assert process.held == 400


def test_blocks_that_nobody_uses_make_room():
    process = Process(650)
    cache = Cache(process, [100, 100, 100])
    process.gate.add(cache)
    process.gate.hold("another")
    process.load(100)
    assert cache.blocks == [100, 100]
    assert process.held == 650


def test_a_load_that_does_not_fit_waits_until_others_hold_no_rows():
    process = Process(650)
    process.gate.hold("another")
    done = begin(process.load, 100)
    assert not done.wait(0.1)
    process.held -= 100
    process.gate.let_go("another")
    assert done.wait(TIMEOUT)


def test_a_load_that_does_not_fit_waits_for_one_under_way():
    process = Process(500)
    inside, go_on = threading.Event(), threading.Event()

    def slow():
        with process.gate.loading("train", 100 * MB, who="slow"):
            inside.set()
            assert go_on.wait(TIMEOUT)

    first = begin(slow)
    assert inside.wait(TIMEOUT)
    second = begin(process.load, 100)
    assert not second.wait(0.1)
    go_on.set()
    assert first.wait(TIMEOUT)
    process.gate.let_go("slow")
    assert second.wait(TIMEOUT)


def test_a_load_that_never_fits_goes_ahead_when_it_is_alone():
    process = Process(900)
    process.gate.hold()  # this thread itself is nobody to wait for
    process.load(200)
    assert process.held == 1100


def test_threads_that_take_turns_all_get_through():
    process = Process(650)

    def take_turns():
        for _ in range(20):
            process.gate.let_go()
            process.load(200)
            process.held -= 200
        process.gate.let_go()

    assert all(done.wait(TIMEOUT) for done in [begin(take_turns) for _ in range(4)])
    assert process.held == 650


def test_who_gives_up_waits_no_longer():
    process = Process(900)
    process.gate.hold("another")
    over = threading.Event()
    done = begin(lambda: process.load(100, given_up=over.is_set))
    assert not done.wait(0.1)
    over.set()
    process.gate.let_go("nobody")
    assert done.wait(TIMEOUT)


def test_a_load_that_raises_leaves_nothing_behind():
    process = Process(700)
    with pytest.raises(OSError, match="gone"), process.gate.loading("train", 100 * MB):
        raise OSError("gone")
    process.gate.hold("another")
    assert process.gate.fits(50 * MB, 0.75)


def test_what_loads_take_is_learnt_from_their_peaks():
    process = Process(300)
    assert process.gate.need("train") == 0
    with process.gate.loading("train", 10 * MB):
        process.held += 200
        for _ in range(1000):
            if process.gate._watch._peaks and max(process.gate._watch._peaks.values()) >= 500 * MB:
                break
            threading.Event().wait(0.01)
        process.held -= 150
    assert 200 * MB <= process.gate.need("train") < 220 * MB
    assert process.gate.need("valid") == 0
    assert process.gate.need("valid", 100 * MB) == 105 * MB


def test_the_memory_of_this_process_is_known(monkeypatch):
    known = resident_bytes()
    assert 10 * MB < known < 100_000 * MB

    def no_such_file(path, *_):
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "open", no_such_file)
    assert resident_bytes() == pytest.approx(known, abs=20 * MB)


def test_what_runs_on_workers_does_not_import_dask_array():
    looks = "print([m for m in ('dask.array', 'dask.dataframe', 'dhpo.search') if m in sys.modules])"
    code = f"import sys, dhpo.worker.step, dhpo.driver.first_pass; {looks}"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
