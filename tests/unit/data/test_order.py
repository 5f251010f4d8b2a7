"""Every pass is a permutation of the blocks, seeded, and the next use of a block is known."""

from __future__ import annotations

import itertools
import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from dhpo.data.order import PassOrder

sizes = st.integers(1, 12)
entropies = st.integers(0, 2**64)


@settings(derandomize=True, deadline=None)
@given(sizes, entropies, st.integers(0, 50))
def test_each_pass_sees_each_block_once(n_blocks, entropy, number):
    order = PassOrder(range(n_blocks), entropy)
    calls = range(number * n_blocks, (number + 1) * n_blocks)
    assert sorted(order.block_at(call) for call in calls) == list(range(n_blocks))


@settings(derandomize=True, deadline=None)
@given(sizes, entropies, st.integers(0, 60))
def test_the_next_use_is_the_first_call_from_there_on(n_blocks, entropy, call):
    order = PassOrder(range(n_blocks), entropy)
    for block in range(n_blocks):
        assert order.next_use(block, call) == next(c for c in itertools.count(call) if order.block_at(c) == block)


def test_the_order_comes_from_the_seed_alone():
    def calls(entropy):
        return [PassOrder(range(10), entropy).block_at(call) for call in range(100)]

    assert calls(1) == calls(1)
    assert calls(1) != calls(2)


def test_passes_differ():
    order = PassOrder(range(10), 0)
    passes = {tuple(order.block_at(10 * number + i) for i in range(10)) for number in range(20)}
    assert len(passes) == 20


def test_the_order_is_the_same_in_another_process_and_for_calls_out_of_order():
    order = PassOrder(range(7), 3)
    expected = [order.block_at(call) for call in range(1000)]  # more passes than are remembered
    copy = pickle.loads(pickle.dumps(order))
    assert [copy.block_at(call) for call in reversed(range(1000))] == expected[::-1]


def test_blocks_are_numbers_that_json_and_pickle_keep_small():
    assert type(PassOrder(range(3), 0).block_at(0)) is int
    assert type(PassOrder(range(3), 0).next_use(1, 2)) is int


def test_blocks_without_rows_are_left_out():
    order = PassOrder([1, 4, 6], 0)
    assert sorted(order.block_at(call) for call in range(3)) == [1, 4, 6]
    assert order.next_use(4, 0) == next(call for call in range(3) if order.block_at(call) == 4)
    assert order.next_use(0, 0) == float("inf")
