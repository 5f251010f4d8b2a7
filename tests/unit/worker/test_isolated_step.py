"""A step in a process of its own gives the same result, and its death is told."""

from __future__ import annotations

import _thread
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from dhpo.data.blocks import align
from dhpo.data.collections import as_chunks
from dhpo.data.holdout import Split
from dhpo.data.order import PassOrder
from dhpo.data.reader import BlockSpec
from dhpo.history.events import ModelState
from dhpo.scoring import make_block_scorer
from dhpo.storage.model_store import ModelStore, loads_model
from dhpo.worker.isolated_step import run_quarantined
from dhpo.worker.messages import Context, Step, Work
from dhpo.worker.state import forget_run
from dhpo.worker.step import run_step


class Doing(ClassifierMixin, BaseEstimator):
    def __init__(self, deed="none"):
        self.deed = deed

    def partial_fit(self, X, y, classes=None):
        self.sum_ = getattr(self, "sum_", 0.0) + float(X.sum())
        self.pid_ = os.getpid()
        match self.deed:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(3)
            case "interrupt":
                _thread.interrupt_main()
            case "leave":
                sys.exit(4)
            case "lives on":
                threading.Thread(target=time.sleep, args=(3600,)).start()
            case "memory":
                self.hoard_ = np.ones(6 * 10**8 // 8)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


@pytest.fixture
def arguments(tmp_path):
    X, y = np.arange(20.0).reshape(10, 2), np.zeros(10, dtype=int)
    (block,) = align(as_chunks("X", X), as_chunks("y", y), None)
    store = ModelStore(str(tmp_path / "models"))
    store.create()
    run = uuid.uuid4().hex
    order = PassOrder([0], 0)
    scorer = make_block_scorer(Doing(), "accuracy", [0])
    context = Context(run, Doing(), {}, False, scorer, order, Split(None, 0), 0, store)
    spec = BlockSpec(0, data=block.dumps())

    def make(deed, memory_limit=10**9):
        work = Work(ModelState(0), {"deed": deed}, 3)
        crumb = str(tmp_path / f"crumb-{uuid.uuid4().hex}")
        step = Step([work], 3, {0: spec}, [(spec,)], 60.0, memory_limit, crumb)
        return run, cloudpickle.dumps(context), step

    yield make
    forget_run(run)


def test_the_result_is_that_of_a_step(arguments, tmp_path):
    inside, outside = run_quarantined(*arguments("none")), run_step(*arguments("none"))
    assert [(o.model, o.state.calls, o.score, o.error) for o in inside.outcomes] == [(0, 3, 1.0, None)]
    store = ModelStore(str(tmp_path / "models"))
    models = [loads_model(store.read(result.outcomes[0].state.checkpoint)) for result in (inside, outside)]
    assert models[0].sum_ == models[1].sum_
    assert models[0].pid_ != models[1].pid_ == os.getpid()


@pytest.mark.parametrize(
    ("deed", "memory_limit", "message"),
    [
        ("kill", 10**9, "was ended by SIGKILL"),
        ("exit", 10**9, "ended with exit code 3"),
        ("interrupt", 10**9, "was ended by SIGINT"),
        ("memory", 5 * 10**8, "was killed because it took"),
    ],
)
def test_a_death_is_a_failure_of_the_trial(arguments, deed, memory_limit, message):
    run, context, step = arguments(deed, memory_limit)
    (outcome,) = run_quarantined(run, context, step).outcomes
    assert outcome.state.calls == 0
    assert outcome.error.startswith("WorkerKilled: workers died in ")
    assert message in outcome.error
    assert not os.path.exists(step.crumb)


def test_an_exception_that_ends_processes_fails_the_trial_and_no_more(arguments):
    (outcome,) = run_quarantined(*arguments("leave")).outcomes
    assert outcome.error.endswith("SystemExit: 4\n")
    assert "in partial_fit" in outcome.error


def test_a_process_that_a_thread_of_the_trial_keeps_alive_is_ended(arguments):
    (outcome,) = run_quarantined(*arguments("lives on")).outcomes
    assert (outcome.state.calls, outcome.error) == (3, None)


def test_data_that_cannot_be_read_is_no_failure_of_the_trial(arguments):
    run, context, step = arguments("none")
    broken = {0: replace(step.blocks[0], data=b"no block")}
    with pytest.raises(RuntimeError, match=r"(?s)UnpicklingError.*in the process of its own"):
        run_quarantined(run, context, replace(step, blocks=broken))


def test_a_process_whose_worker_has_died_ends_before_it_imports_anything(tmp_path):
    command = [sys.executable, "-X", "importtime", "-m", "dhpo.worker.isolated_process"]
    not_its_parent = os.getppid()
    ended = subprocess.run(
        [*command, tmp_path / "step", tmp_path / "result", str(not_its_parent)], capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "dhpo.worker" in ended.stderr
    assert not re.search(r"\| +(numpy|dask|sklearn)\n", ended.stderr)
