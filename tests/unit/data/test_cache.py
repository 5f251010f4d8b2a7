"""The cache of blocks: within its memory, one read for all who wait, and the block needed last goes first."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhpo.data.cache import BlockCache
from dhpo.data.order import PassOrder
from dhpo.data.rows import Rows

KB = 1000
TIMEOUT = 300  # seconds after which a test gives up; none waits that long


def block(n_bytes=KB, fill=0):
    return Rows(np.full(n_bytes, fill, dtype=np.uint8))


class Memory:
    """Stands for the process: what it holds besides the cache, and the rows at hand."""

    def __init__(self, allowed, besides=0):
        self.besides = besides
        self.at_hand = 0
        self.cache = BlockCache(allowed, share=1.0, resident=lambda: self.besides + self.at_hand + self.cache.nbytes)

    def get(self, key, needed_at, size=KB):
        loads = []

        def load():
            self.at_hand = size
            loads.append(key)
            return block(size, key % 251)

        found = self.cache.get(key, load, needed_at)
        self.at_hand = 0
        assert found.read == bool(loads)
        np.testing.assert_array_equal(found.rows.X, block(size, key % 251).X)
        return found.read


@pytest.fixture
def memory():
    memory = Memory(3 * KB)
    yield memory
    memory.cache.close()


def in_threads(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    return threads


def join(threads):
    for thread in threads:
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def test_a_block_that_is_kept_is_read_once(memory):
    assert memory.get(1, needed_at=10)
    assert not memory.get(1, needed_at=20)
    assert 1 in memory.cache
    assert len(memory.cache) == 1
    assert memory.cache.nbytes == KB


def test_what_rows_take_is_found_out_once(memory, monkeypatch):
    counted = []
    monkeypatch.setattr(Rows, "nbytes", property(lambda rows: counted.append(rows) or KB))
    lookups = [memory.cache.get(1, lambda: block(KB, 1), needed_at) for needed_at in (10, 20, 30)]
    assert [lookup.nbytes for lookup in lookups] == [KB, KB, KB]
    assert len(counted) == 1


def test_the_block_needed_last_is_evicted(memory):
    for key, needed_at in ((1, 30), (2, 50), (3, 40)):
        memory.get(key, needed_at)
    memory.get(4, needed_at=35)
    assert [key for key in range(1, 5) if key in memory.cache] == [1, 3, 4]


def test_a_block_needed_later_than_all_others_is_not_kept(memory):
    for key in (1, 2, 3):
        memory.get(key, needed_at=key)
    memory.get(4, needed_at=4)
    assert [key for key in range(1, 5) if key in memory.cache] == [1, 2, 3]


def test_a_use_says_when_the_next_one_is(memory):
    for key in (1, 2, 3):
        memory.get(key, needed_at=key)
    memory.get(1, needed_at=9)
    memory.get(4, needed_at=5)
    assert [key for key in range(1, 5) if key in memory.cache] == [2, 3, 4]


def test_memory_that_grows_elsewhere_is_taken_from_the_cache(memory):
    for key in (1, 2, 3):
        memory.get(key, needed_at=key)
    memory.besides = 2 * KB
    memory.get(4, needed_at=0)
    assert len(memory.cache) == 1
    assert 4 in memory.cache


def test_a_process_that_is_full_keeps_nothing(memory):
    memory.besides = 4 * KB
    assert memory.get(1, needed_at=1)
    assert len(memory.cache) == 0


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 30), st.integers(0, 4000))), st.integers(0, 10 * KB))
def test_the_cache_never_holds_more_than_it_may(uses, allowed):
    memory = Memory(allowed)
    sizes = {key: 100 * (key + 1) for key in range(9)}
    for key, needed_at, besides in uses:
        memory.besides = besides
        was_there = key in memory.cache
        assert memory.get(key, needed_at, sizes[key]) == (not was_there)
        kept = [k for k in range(9) if k in memory.cache]
        assert memory.cache.nbytes == sum(sizes[k] for k in kept)
        assert len(memory.cache) == len(kept)
        assert was_there or key not in kept or memory.besides + memory.cache.nbytes <= allowed
    memory.cache.close()
    assert len(memory.cache) == memory.cache.nbytes == 0


def reads_of_lru(requests, room):
    held, reads = [], 0
    for key in requests:
        reads += key not in held
        held = ([k for k in held if k != key] + [key])[-room:]
    return reads


def reads_of_belady(requests, room):
    """Belady's rule with the right not to keep, which is optimal."""
    held, reads = set(), 0
    for now, key in enumerate(requests):
        reads += key not in held
        held.add(key)

        def next_use(k, now=now):
            later = requests[now + 1 :]
            return later.index(k) if k in later else len(requests)

        if len(held) > room:
            held.remove(max(held, key=next_use))
    return reads


@pytest.mark.parametrize(("n_blocks", "room"), [(6, 2), (8, 5), (10, 9)])
def test_repeated_passes_that_do_not_fit_are_read_as_rarely_as_can_be(n_blocks, room):
    order = PassOrder(range(n_blocks), 0)
    n_calls = 8 * n_blocks
    requests = [order.block_at(call) for call in range(n_calls)]
    memory = Memory((room + 1) * KB)  # with the block at hand
    reads = sum(memory.get(block, order.next_use(block, call + 1)) for call, block in enumerate(requests))
    memory.cache.close()
    # The cache sees beyond the last request; that makes less of a difference than one pass.
    assert reads <= reads_of_belady(requests, room) + n_blocks
    assert reads < 0.9 * reads_of_lru(requests, room)


def test_what_load_raises_is_raised_and_not_remembered(memory):
    def fail():
        raise OSError("disk on fire")

    for _ in range(2):
        with pytest.raises(OSError, match="disk on fire"):
            memory.cache.get(1, fail, 0)
    assert memory.get(1, needed_at=0)


def test_threads_that_want_one_block_wait_for_one_read(memory):
    started, finish = threading.Event(), threading.Event()
    loads, found = [], []

    def load():
        loads.append(threading.get_ident())
        started.set()
        assert finish.wait(TIMEOUT)
        return block()

    def use():
        found.append(memory.cache.get(1, load, 0))

    first = in_threads(use)
    assert started.wait(TIMEOUT)
    others = in_threads(use, use, use)
    finish.set()
    join(first + others)
    assert len(loads) == 1
    assert sorted(lookup.read for lookup in found) == [False, False, False, True]


def test_a_thread_that_comes_when_a_read_ends_does_not_read_again():
    cache = BlockCache(KB, share=1.0, resident=lambda: 0)
    latecomers, loads = [], []

    class Weighed(Rows):
        @property
        def nbytes(self):
            # The block is being kept just now; who asks for it now has to wait until it is.
            if not latecomers:
                latecomers.extend(in_threads(lambda: cache.get(1, load, 0)))
                latecomers[0].join(0.2)  # time to go wrong; it is the lock that holds it back
            return 10

    def load():
        loads.append(1)
        return Weighed(np.zeros((1, 1)))

    cache.get(1, load, 0)
    join(latecomers)
    assert len(latecomers) == len(loads) == 1
    cache.close()


def test_all_who_wait_for_a_failed_read_see_the_failure(memory):
    started, finish, go = threading.Event(), threading.Event(), threading.Barrier(3)
    errors = []

    def load():
        started.set()
        assert finish.wait(TIMEOUT)
        raise OSError("gone")

    def use():
        go.wait(TIMEOUT)
        with pytest.raises(OSError, match="gone"):
            memory.cache.get(1, load, 0)
        errors.append(1)

    threads = in_threads(use, use)
    go.wait(TIMEOUT)
    assert started.wait(TIMEOUT)
    finish.set()
    join(threads)
    assert len(errors) == 2
    assert memory.get(1, needed_at=0)


def test_a_block_read_ahead_is_found_and_counted_as_read(memory):
    loaded, by = threading.Event(), []

    def load():
        by.append(threading.current_thread().name)
        loaded.set()
        return block()

    memory.cache.read_ahead(1, load)
    assert loaded.wait(TIMEOUT)
    assert memory.cache.get(1, load, 0).read
    assert not memory.cache.get(1, load, 0).read
    assert len(by) == 1
    assert by[0].startswith("dhpo-read-ahead")


def test_a_read_ahead_that_has_not_begun_is_done_by_who_needs_it(memory):
    blocked, finish, loads = threading.Event(), threading.Event(), []

    def slow():
        blocked.set()
        assert finish.wait(TIMEOUT)
        return block()

    def load():
        loads.append(threading.current_thread())
        return block()

    memory.cache.read_ahead(1, slow)
    assert blocked.wait(TIMEOUT)
    memory.cache.read_ahead(2, load)  # its thread is busy with the first
    assert memory.cache.get(2, load, 0).read
    assert loads == [threading.current_thread()]
    finish.set()
    assert memory.cache.get(1, slow, 0).read


def test_a_block_that_is_here_or_on_its_way_is_not_read_ahead(memory):
    memory.get(1, needed_at=0)
    memory.cache.read_ahead(1, pytest.fail)
    assert not memory.cache.get(1, pytest.fail, 0).read
    memory.cache.read_ahead(2, block)
    memory.cache.read_ahead(2, pytest.fail)
    assert memory.cache.get(2, pytest.fail, 0).read


def test_what_a_read_ahead_raises_is_raised_where_the_block_is_used(memory):
    def fail():
        raise OSError("gone")

    memory.cache.read_ahead(1, fail)
    with pytest.raises(OSError, match="gone"):
        memory.cache.get(1, pytest.fail, 0)
    assert memory.get(1, needed_at=0)


def test_a_read_ahead_that_is_given_up_is_counted_and_kept_where_there_is_room(memory):
    loaded = threading.Event()

    def load():
        loaded.set()
        return block()

    memory.cache.read_ahead(1, load)
    assert loaded.wait(TIMEOUT)
    assert memory.cache.settle(1, needed_at=0) == KB
    assert not memory.cache.get(1, pytest.fail, 0).read
    assert memory.cache.settle(1, needed_at=0) == 0  # no harm to what is kept
    assert memory.cache.settle(2, needed_at=0) == 0
    assert not memory.cache.get(1, pytest.fail, 0).read


def test_a_read_ahead_that_is_given_up_is_kept_until_it_is_released(memory):
    loaded = threading.Event()

    def load():
        loaded.set()
        return block()

    memory.cache.read_ahead(1, load)
    assert loaded.wait(TIMEOUT)
    memory.besides = 9 * KB
    assert memory.cache.settle(1, needed_at=0) == KB
    assert 1 in memory.cache
    memory.cache.release(1, needed_at=7)
    assert (len(memory.cache), memory.cache.nbytes) == (0, 0)
    memory.cache.read_ahead(2, pytest.fail)  # no room to read ahead at all
    assert memory.get(2, needed_at=0)


def test_a_pinned_block_stays_until_it_is_released(memory):
    memory.besides = 9 * KB
    found = memory.cache.get(1, block, 0, pin=True)
    assert found.read
    assert not memory.cache.get(1, pytest.fail, 0, pin=True).read
    memory.cache.release(1, needed_at=7)
    assert len(memory.cache) == 0
    memory.besides = 0
    memory.cache.get(1, block, 0, pin=True)
    memory.cache.release(1, needed_at=7)
    assert 1 in memory.cache


def test_a_closed_cache_still_serves_the_step_that_runs_but_keeps_nothing(memory):
    memory.get(1, needed_at=0)
    memory.cache.close()
    memory.cache.read_ahead(2, block)
    assert memory.get(2, needed_at=0)
    assert not memory.cache.put(3, block(), 0)
    assert (len(memory.cache), memory.cache.nbytes) == (0, 0)
    memory.cache.close()


def test_the_limit_is_a_share_of_the_memory_of_the_process():
    tight = BlockCache(10**6)  # this process holds more than that
    assert not tight.put(1, block(), 0)
    roomy = BlockCache(10**15)
    assert roomy.put(1, block(), 0)
    for cache in (tight, roomy):
        cache.close()


def test_what_loads_of_another_search_in_this_process_take_tells_nothing_of_these():
    one, other = BlockCache(10**15), BlockCache(10**15)
    gate = one.gate
    assert gate is other.gate
    with gate.loading(one.kind("look")):
        rows = block(20_000 * KB, fill=1)
    gate.let_go()
    assert gate.need(one.kind("look")) >= rows.nbytes / 2
    assert gate.need(other.kind("look")) == 0
    one.close()
    assert gate.need(one.kind("look")) == 0
    other.close()
