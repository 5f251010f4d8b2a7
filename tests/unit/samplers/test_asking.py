"""A sampler that is asked while threads are busy."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from dhpo.samplers.asking import Asking


class Slow:
    """Takes some time, and fails for trial 13."""

    n_trials = None

    def __init__(self, learns=True, seconds=0.02):
        self.learns, self.seconds = learns, seconds
        self.threads = []

    def ask(self, number):
        time.sleep(self.seconds)
        self.threads.append(threading.current_thread())
        if number == 13:
            raise ArithmeticError("thirteen")
        return {"x": number}

    def tell(self, report):
        pass


def test_in_a_thread_of_its_own():
    async def run():
        sampler = Slow()
        asking = Asking(sampler)
        asking.begin(7)
        assert asking.under_way
        assert asking.taken() is None  # not yet
        await asyncio.wait([asking.task])
        assert asking.under_way  # until it is taken
        assert asking.taken() == (7, {"x": 7})
        assert not asking.under_way
        assert asking.taken() is None
        assert sampler.threads != [threading.current_thread()]
        await asking.finish()  # there is nothing to wait for
        asking.begin(8)
        await asking.finish()
        assert asking.taken() == (8, {"x": 8})

    asyncio.run(run())


def test_what_the_sampler_raises_comes_to_who_takes_it():
    async def run():
        asking = Asking(Slow())
        asking.begin(13)
        await asking.finish()
        with pytest.raises(ArithmeticError, match="thirteen"):
            asking.taken()
        assert not asking.under_way

    asyncio.run(run())


def test_only_where_threads_would_wait():
    asking = Asking(Slow())
    assert asking.n_ahead(8, 1.0) == 0  # not known yet
    for number in range(5):
        asking.ask(number)
    assert asking.n_ahead(8, 0.1) == 2
    assert asking.n_ahead(2, 0.1) == 1
    assert asking.n_ahead(1, 0.1) == 0
    assert asking.n_ahead(8, 100.0) == 0
    deaf = Asking(Slow(learns=False))
    deaf.ask(0)
    assert deaf.n_ahead(8, 0.01) == 0


class Odd(Slow):
    def __init__(self, raises):
        super().__init__()
        self.raises = raises

    def ask(self, number):
        raise self.raises


@pytest.mark.parametrize("raises", [StopIteration(), KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()])
def test_what_an_event_loop_would_not_survive_is_said_by_another_exception(raises):
    async def run():
        asking = Asking(Odd(raises))
        asking.begin(0)
        await asyncio.wait([asking.task])
        with pytest.raises(RuntimeError, match=f"the sampler raised .*{type(raises).__name__}"):
            asking.taken()

    asyncio.run(run())


def test_a_sampler_that_does_not_answer_is_given_up(monkeypatch, caplog):
    monkeypatch.setattr("dhpo.samplers.asking._LAST_SECONDS", 0.01)
    answers = threading.Event()

    class Silent(Slow):
        def ask(self, number):
            answers.wait()
            return super().ask(number)

    async def run():
        sampler = Silent()
        asking = Asking(sampler)
        asking.begin(5)
        await asking.finish()
        assert asking.given_up
        assert not asking.under_way
        assert asking.taken() is None
        answers.set()
        while not sampler.threads:
            await asyncio.sleep(0.001)
        (thread,) = sampler.threads
        assert thread.daemon  # else Python would wait for it at its end
        await asyncio.to_thread(thread.join)
        assert asking.taken() is None

    asyncio.run(run())
    assert "did not answer for trial 5" in caplog.text
