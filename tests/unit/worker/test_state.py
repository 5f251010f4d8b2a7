"""What a worker keeps between steps: live models within their share of memory, one context, and pinned threads."""

from __future__ import annotations

import threading
import uuid

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from dhpo.data.rows import Rows
from dhpo.worker.state import WorkerState, forget_run, give_back, single_threaded, worker_state

TIMEOUT = 300  # seconds after which a test gives up; none waits that long


@pytest.fixture
def state():
    state = WorkerState(1000)  # so live models may hold 100 bytes
    yield state
    state.cache.close()


@pytest.fixture
def run():
    run = uuid.uuid4().hex
    yield run
    forget_run(run)


def test_a_live_model_is_given_once_and_only_as_it_was(state):
    model = object()
    state.keep_model(7, 3, model, 10)
    assert state.take_model(7, 2) is None
    assert state.take_model(8, 3) is None
    assert state.take_model(7, 3) is model
    assert state.take_model(7, 3) is None


def test_a_later_model_takes_the_place_of_an_earlier_one(state):
    state.keep_model(7, 3, "early", 80)
    state.keep_model(7, 4, "late", 80)
    assert state.take_model(7, 3) is None
    assert state.take_model(7, 4) == "late"


def test_a_model_larger_than_the_share_is_not_kept(state):
    state.keep_model(1, 1, "large", 101)
    assert state.take_model(1, 1) is None
    state.keep_model(1, 1, "fits", 100)
    assert state.take_model(1, 1) == "fits"


def test_a_model_that_grew_too_large_leaves_nothing_stale(state):
    state.keep_model(1, 1, "small", 10)
    state.keep_model(1, 2, "large", 101)
    assert state.take_model(1, 1) is None
    assert state.take_model(1, 2) is None
    state.keep_model(2, 1, "fits", 100)
    assert state.take_model(2, 1) == "fits"


moves = st.lists(
    st.tuples(st.sampled_from(["keep", "take"]), st.integers(0, 4), st.integers(0, 3), st.integers(0, 60)), max_size=40
)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(moves)
def test_live_models_never_hold_more_than_their_share(moves):
    state = WorkerState(1000)
    latest = {}
    for what, trial, calls, size in moves:
        if what == "keep":
            state.keep_model(trial, calls, (trial, calls), size)
            latest[trial] = (calls, size)
        else:
            model = state.take_model(trial, calls)
            assert model in (None, (trial, calls))
            if model is not None:
                assert latest.pop(trial)[0] == calls
    held = [size for trial, (calls, size) in latest.items() if state.take_model(trial, calls) is not None]
    assert sum(held) <= 100
    state.keep_model(9, 1, "all of it", 100)  # what was taken is free again
    assert state.take_model(9, 1) == "all of it" or len(held) < len(latest)
    state.cache.close()


def test_a_context_is_unpickled_once(state):
    first = state.context(cloudpickle.dumps(["context"]))
    assert first == ["context"]
    assert state.context(b"not even looked at") is first


def test_a_search_has_one_state_in_a_process(run):
    state = worker_state(run, 10**9)
    assert worker_state(run, 5) is state
    other = uuid.uuid4().hex
    assert worker_state(other, 10**9) is not state
    forget_run(other)


def test_threads_that_come_together_find_one_state(run):
    barrier, found = threading.Barrier(8), []

    def look():
        barrier.wait(TIMEOUT)
        found.append(worker_state(run, 10**9))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_a_search_that_is_over_holds_nothing_and_its_steps_know(run):
    state = worker_state(run, 10**15)
    state.cache.put(1, Rows(np.zeros(10)), 0)
    assert (len(state.cache), state.over) == (1, False)
    forget_run(run)
    assert (len(state.cache), state.over) == (0, True)
    forget_run(run)  # nor is it an error to forget it twice
    late = worker_state(run, 10**9)  # of a task that comes late, which finds nothing to do and keeps nothing
    assert late.over
    assert late is not worker_state(run, 10**9)


def threads_of_blas():
    np.eye(2) @ np.eye(2)
    return [pool["num_threads"] for pool in threadpool_info()]


def test_blas_has_one_thread_inside_and_its_own_number_again_outside():
    before = threads_of_blas()
    with single_threaded():
        assert set(threads_of_blas()) == {1}
        with single_threaded():
            assert set(threads_of_blas()) == {1}
        assert set(threads_of_blas()) == {1}
    assert threads_of_blas() == before


def test_blas_is_freed_after_a_step_that_raised():
    before = threads_of_blas()
    with pytest.raises(ValueError, match="in the step"), single_threaded():
        raise ValueError("in the step")
    assert threads_of_blas() == before


def in_a_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(TIMEOUT)
    assert not thread.is_alive()


def test_blas_stays_pinned_until_the_last_step_ends():
    before = threads_of_blas()
    inside, leave = threading.Event(), threading.Event()

    def step():
        with single_threaded():
            inside.set()
            assert leave.wait(TIMEOUT)

    thread = threading.Thread(target=step)
    with single_threaded():
        thread.start()
        assert inside.wait(TIMEOUT)
    blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert set(blas) == {1}  # the first is gone, the second is not
    leave.set()
    thread.join(TIMEOUT)
    assert threads_of_blas() == before


def test_every_thread_of_a_worker_can_pin_and_is_pinned():
    before, seen = threads_of_blas(), []

    def step():
        with single_threaded():
            seen.append(set(threads_of_blas()))
        seen.append(threads_of_blas())

    in_a_thread(step)
    in_a_thread(step)  # another thread than the one that pinned first, which threadpoolctl listens to
    with single_threaded():
        in_a_thread(step)
    assert seen[:4] == [{1}, before, {1}, before]
    assert seen[4] == {1}
    assert threads_of_blas() == before


def test_what_is_given_back_is_all_that_nobody_uses(run):
    state = worker_state(run, 10_000_000_000)
    rows = Rows(np.zeros((10, 2)))
    state.keep_model(7, 3, "model", 10)
    for block in (0, 1):
        state.cache.get(("train", block), lambda: rows, needed_at=1.0, pin=block == 1)
    give_back()
    assert state.take_model(7, 3) is None
    assert len(state.cache) == 1
    assert not state.cache.get(("train", 1), lambda: rows, needed_at=1.0).read
    state.rest()
