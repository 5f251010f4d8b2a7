"""Models that take the memory of a worker are told apart by their own sizes."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from dhpo.data.memory import MemoryGate
from dhpo.history.events import Checkpoint, ModelState
from dhpo.worker.memory_growth import Growth, model_nbytes
from dhpo.worker.messages import Work
from dhpo.worker.model_in_step import ModelInStep

MB = 1_000_000


class Model:
    def __init__(self, megabytes):
        self.weights = np.zeros(int(megabytes * MB), np.uint8)


def candidate(megabytes, calls, start=0, length=0):
    checkpoint = Checkpoint(0, start, "file", 0, length, "") if start else None
    state = ModelState(0, start, checkpoint)
    return ModelInStep(Work(state, {}, 100), Model(megabytes), replace(state, calls=calls))


def growth(held=0, limit=1000):
    return Growth(MemoryGate(limit * MB, lambda: held * MB))


@pytest.mark.parametrize("held", [0, 5])
def test_a_model_is_weighed_as_it_is_pickled(held):
    assert held * MB <= model_nbytes(Model(held)) < held * MB + 1000
    assert model_nbytes(threading.Lock()) == 0


def test_a_model_that_grows_by_a_block_at_each_call_is_blamed():
    watched, leaking = growth(), candidate(30, calls=3, start=1, length=10 * MB)
    watched.started([leaking])
    watched.blame(leaking, 10 * MB)
    assert "grows by a block at each call: by 20 MB in 2 call(s) with blocks of 10 MB" in leaking.error
    assert leaking.estimator is None


def test_a_new_model_is_blamed_when_it_goes_on_to_grow():
    watched, leaking = growth(), candidate(10, calls=1)
    watched.blame(leaking, 10 * MB)
    assert leaking.alive
    leaking.estimator, leaking.state = Model(20), replace(leaking.state, calls=2)
    watched.blame(leaking, 10 * MB)
    assert not leaking.alive


@pytest.mark.parametrize("megabytes", [100, 101])
def test_a_large_model_that_grows_no_more_is_innocent(megabytes):
    watched, large = growth(), candidate(megabytes, calls=2, start=1, length=100 * MB)
    watched.started([large])
    watched.blame(large, 10 * MB)
    assert large.alive


def test_a_model_that_cannot_be_pickled_beside_the_rest_fails():
    refused, fitting = candidate(200, calls=1), candidate(50, calls=1)
    watched = growth(held=800)
    watched.refuse_to_pickle(refused)
    watched.refuse_to_pickle(fitting)
    assert "the model takes 200 MB, which cannot be pickled beside the 800 MB" in refused.error
    assert fitting.alive


@pytest.mark.parametrize(("size_before", "innocent"), [(10, False), (25, True)])
def test_a_model_that_keeps_its_rows_fails_before_it_is_pickled_beyond_what_dask_takes_calmly(size_before, innocent):
    model = candidate(30, calls=3, start=1, length=size_before * MB)
    watched = growth(held=770)
    watched.started([model])
    watched.rows_are_here(10 * MB)
    watched.refuse_to_pickle(model)
    assert model.alive == innocent
    assert innocent or "grows by a block at each call: by 20 MB in 2 call(s)" in model.error


def test_a_model_that_has_grown_once_is_pickled():
    model = candidate(200, calls=50, start=44, length=100 * MB)
    watched = growth(held=650)
    watched.started([model])
    watched.rows_are_here(30 * MB)
    watched.refuse_to_pickle(model)
    assert model.alive


@pytest.mark.parametrize(("before", "after", "short"), [(300, 790, True), (300, 770, False), (900, 905, False)])
def test_memory_is_short_where_it_has_grown_in_this_step_and_beyond_what_loads_may_take(before, after, short):
    held = [before]
    watched = Growth(MemoryGate(1000 * MB, lambda: held[0] * MB))
    watched.rows_are_here()
    held[0] = after
    assert watched.is_short() == short


@pytest.mark.parametrize(
    ("before", "after", "no_room"), [(300, 700, True), (300, 670, False), (695, 700, False), (300, 305, False)]
)
def test_there_is_no_room_where_the_next_block_would_have_the_worker_paused(before, after, no_room):
    held = [before]
    watched = Growth(MemoryGate(1000 * MB, lambda: held[0] * MB))
    watched.started([candidate(1, calls=0)])
    held[0] = after
    assert watched.leaves_no_room(100 * MB) == no_room


def test_a_block_that_waits_for_the_rows_of_another_thread_needs_no_room_beside_them():
    gate = MemoryGate(1000 * MB, lambda: 700 * MB)
    assert not gate.has_room_for_next("train", 100 * MB)
    gate.hold("another thread")
    assert gate.has_room_for_next("train", 100 * MB)


def test_memory_is_looked_at_once_models_were_given_rows_that_matter():
    watched = growth()
    assert [watched.may_matter(4 * MB) for _ in range(4)] == [False, False, True, True]
    watched.is_short()
    assert not watched.may_matter(4 * MB)
