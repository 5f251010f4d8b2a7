"""Finds the models that take the memory of a worker: those that keep the rows they are given, and those too large."""

from __future__ import annotations

import pickle
from collections.abc import Hashable, Iterable
from typing import Any

import cloudpickle

from dhpo.data.memory import SHORT_SHARE, MemoryGate
from dhpo.worker.model_in_step import ModelInStep

__all__ = ["Growth", "model_nbytes"]

# A model that grows by this share of a block at each call keeps the blocks that it sees.
_SHARE_OF_BLOCK = 0.5
_PICKLED_SHARE = 0.9
_GROWN_BYTES = 10_000_000


class _Counter:
    """A file that keeps nothing."""

    def __init__(self) -> None:
        self.nbytes = 0

    def write(self, data: Any) -> int:
        n = memoryview(data).nbytes
        self.nbytes += n
        return n


def model_nbytes(model: Any) -> int:
    """Bytes that a model takes when it is pickled, without the memory for that; 0 where it cannot be."""
    for pickler in (pickle.Pickler, cloudpickle.Pickler):
        counter = _Counter()
        try:
            pickler(counter, protocol=5).dump(model)
        except BaseException:  # of the model's own methods
            continue
        return counter.nbytes
    return 0


class Growth:
    """Watches the models of a step while memory is short.

    Two threads of a worker share its memory, so that what the process holds does not tell who took it; the size of a
    model does.

    Parameters
    ----------
    gate : MemoryGate
    kind : hashable, default "train"
        What the gate knows loads of training rows by.
    """

    def __init__(self, gate: MemoryGate, kind: Hashable = "train") -> None:
        self._gate = gate
        self._kind = kind
        self._known: dict[int, tuple[int, int]] = {}
        self._before: int | None = None
        self._began = gate.resident()
        self._given = 0
        self._block_nbytes = 0

    def started(self, models: Iterable[ModelInStep]) -> None:
        """Note what the process holds before the first rows, and how large models are that were trained before."""
        self._began = self._gate.resident()
        for state in (model.work.state for model in models):
            if state.calls and state.checkpoint is not None:
                self._known[state.model] = (state.calls, state.checkpoint.length)

    def rows_are_here(self, nbytes: int = 0) -> None:
        """Note how large a block is, and what the process holds with the first rows of the step at hand."""
        self._block_nbytes = nbytes
        if self._before is None:
            self._before = self._gate.resident()

    def may_matter(self, nbytes: int) -> bool:
        """Whether models that keep the rows they are given have kept enough to look, with so many bytes more of them.

        To look takes as long as a call with few rows.
        """
        self._given += nbytes
        return self._given > _GROWN_BYTES

    def is_short(self) -> bool:
        """Whether too much is held since models were trained, also without the blocks that nobody uses."""
        self._given = 0
        # A worker that held too much before has no more room for anybody else if this step ends.
        grown = self._gate.resident() - (self._before or 0)
        return grown > _GROWN_BYTES and self._gate.is_short()

    def leaves_no_room(self, nbytes: int) -> bool:
        """Whether another block does not fit since models were trained, now that the rows of the last are given up."""
        if self._gate.resident() - self._began <= _GROWN_BYTES or self._gate.has_room_for_next(self._kind, nbytes):
            return False
        return self._gate.resident() - self._began > _GROWN_BYTES

    def blame(self, model: ModelInStep, block_nbytes: int) -> None:
        """Have a trial fail whose model has grown by a block with each call since it was looked at last."""
        if not model.alive or not block_nbytes:
            return
        calls, size = model.calls, model_nbytes(model.estimator)
        before, size_before = self._known.get(model.number, (calls, size))
        self._known[model.number] = (calls, size)
        grown = size - size_before
        if calls > before and grown >= _SHARE_OF_BLOCK * block_nbytes * (calls - before):
            model.error = (
                f"MemoryError: the model grows by a block at each call: by {grown / 1e6:,.0f} MB in {calls - before} "
                f"call(s) with blocks of {block_nbytes / 1e6:,.0f} MB, to {size / 1e6:,.0f} MB after call {calls}, and "
                f"the worker, which may hold {self._gate.memory_limit / 1e6:,.0f} MB, has no more room. An estimator "
                "must not keep the rows that partial_fit is given."
            )
            model.estimator = None

    def refuse_to_pickle(self, model: ModelInStep) -> None:
        """Have a trial fail whose model cannot be pickled within the memory of the worker.

        Where that would take so much that Dask pauses the worker, a model fails that keeps the rows it is given; one
        that is large by itself does not.
        """
        if self._gate.fits(0, _PICKLED_SHARE / 2):
            return
        size = model_nbytes(model.estimator)
        if size <= _GROWN_BYTES:
            return
        if self._gate.fits(size, SHORT_SHARE) or self._gate.relieve(size) or self._gate.fits(size, SHORT_SHARE):
            return
        if size >= _SHARE_OF_BLOCK * self._block_nbytes * model.calls:  # else it has grown once, and not at each call
            self.blame(model, self._block_nbytes)
        if model.alive:
            held = self._gate.resident()
            if held + size > _PICKLED_SHARE * self._gate.memory_limit:
                model.error = (
                    f"MemoryError: the model takes {size / 1e6:,.0f} MB, which cannot be pickled beside the "
                    f"{held / 1e6:,.0f} MB that the worker holds: it may hold {self._gate.memory_limit / 1e6:,.0f} MB."
                )
                model.estimator = None
