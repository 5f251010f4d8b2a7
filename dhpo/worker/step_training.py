"""Trains the models of a step over a run of blocks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from dhpo.data.folded_rows import FoldedRows
from dhpo.data.loaded import Loaded, Lookup
from dhpo.data.reader import load_training
from dhpo.data.row_protection import is_refused_write, lent_value
from dhpo.data.rows import Rows
from dhpo.worker.breadcrumbs import Deed
from dhpo.worker.model_in_step import ModelInStep, failures_of
from dhpo.worker.spared_checks import spared_checks
from dhpo.worker.step_models import StepModels
from dhpo.worker.step_run import StepRun

__all__ = ["StepTraining"]

# Blocks that are smaller than this are trained on without a look at the memory.
_SMALL_BYTES = 1_000_000


class StepTraining:
    """Trains the models of a step.

    Parameters
    ----------
    run : StepRun
    models : StepModels
        Makes a model anew that has written into the rows that it was given.
    """

    def __init__(self, run: StepRun, models: StepModels) -> None:
        self._run = run
        self._models = models

    def train(self) -> None:
        """Train block by block, until all are at their targets, or the time of the step is over."""
        first = min((c.work.start for c in self._run.models), default=0)
        ahead: int | None = None
        blocks_done, short = 0, False
        self._run.growth.started(self._run.models)
        for call in range(first, self._run.step.until):
            cohort = [c for c in self._run.models if c.alive and c.calls == call < c.work.target]
            if not cohort:
                self._settle(ahead)  # those who wanted it have failed
                ahead = None
                continue
            found = self._training_rows(call)
            block = self._run.context.order.block_at(call)
            ahead = call + 1 if self._goes_on(call + 1, blocks_done) else None
            if ahead is not None:
                block_ahead = self._run.context.order.block_at(ahead)
                expected = self._run.step.blocks[block_ahead].nbytes
                self._run.state.cache.read_ahead(("train", block_ahead), self._loader(block_ahead), expected)
            parts = FoldedRows(self._run.context.split, found.rows, block, found.seal)
            self._run.growth.rows_are_here(found.nbytes)
            # Fold by fold: one part of the rows is held at a time.
            for model in sorted(cohort, key=lambda c: -1 if c.work.fold is None else c.work.fold):
                self._run.trail.note(model.number, call, self._deed)
                self._advance(model, parts.without(model.work.fold), found.loaded)
                if self._run.far_too_slow():
                    break  # in the midst of a block, for a cohort that is far slower than was thought
                begins = call == model.work.start  # it may take more by itself than all rows
                if (self._run.growth.may_matter(found.nbytes) or begins) and self._run.growth.is_short():
                    short = True  # what is left is for a later step, once the models of this one are stored
                    self._blame(cohort, found.nbytes)
                    break
            if not parts.intact:
                self._run.take_back(("train", block), found, cohort, ModelInStep.begin_anew)
            self._run.trail.nobody()
            nbytes = found.nbytes
            del found, parts  # before the next block is loaded
            self._run.state.rest()
            if nbytes > _SMALL_BYTES and not short and self._run.growth.leaves_no_room(nbytes):
                short = True
                self._blame(cohort, nbytes)
            blocks_done += 1
            if short or self._run.time_is_over():
                break
        self._settle(ahead)

    @property
    def _deed(self) -> Deed:
        return Deed.FITTING if self._run.context.trainer.needs_all_rows else Deed.TRAINING

    def _blame(self, cohort: Iterable[ModelInStep], nbytes: int) -> None:
        for model in cohort:
            with self._run.noted(model, Deed.PICKLING):  # that tells how large it is
                self._run.growth.blame(model, nbytes)

    def _goes_on(self, call: int, blocks_done: int) -> bool:
        """Whether this step will come to the block of `call`, as far as can be told."""
        wanted = (c.alive and c.calls <= call < c.work.target for c in self._run.models)
        if call >= self._run.step.until or not any(wanted):
            return False
        return not blocks_done or self._run.elapsed() * (blocks_done + 1) / blocks_done < self._run.step.seconds

    def _settle(self, call: int | None) -> None:
        """End a read ahead that the step did not come to."""
        if call is None:
            return
        order, block = self._run.context.order, self._run.context.order.block_at(call)
        nbytes = self._run.state.cache.settle(("train", block), needed_at=call)
        if nbytes:
            self._run.state.use_next(("train", block), order.next_use(block, call))
            self._run.meter.blocks_read += 1
            self._run.meter.bytes_read += nbytes

    def _advance(self, model: ModelInStep, rows: Rows, block: Loaded) -> None:
        started, cpu = time.perf_counter(), time.thread_time()
        before = model.calls
        trainer = self._run.context.trainer
        # On all rows at once it takes as long to come to the target in two parts, or longer.
        after = model.work.target if trainer.needs_all_rows else before + 1
        with failures_of(model) as caught:
            if len(rows):
                with spared_checks(model.estimator, before, lambda: block.finite):
                    lent_rows, fit_kwargs = model.rows(rows), self._fit_kwargs(model.estimator)
                    model.estimator = trainer.advance(model.estimator, lent_rows, fit_kwargs, before, after)
            model.called(after - before)
        seconds = time.perf_counter() - started
        self._run.meter.useful_cpu += time.thread_time() - cpu
        self._run.meter.calls += after - before
        self._run.meter.fit_seconds += seconds
        model.took(fit_seconds=seconds)
        if not model.state.writes and any(map(is_refused_write, caught)):
            self._let_write(model, rows, block)
        self._run.check_deadline(model)

    def _let_write(self, model: ModelInStep, rows: Rows, block: Loaded) -> None:
        """Train a trial, which was kept from writing into the rows that all share, on its own copies from now on."""
        first = model.calls == 0
        model.begin_anew()  # the failed call may have left its model half trained
        if first:
            model.put_off = False
            self._models.make(model)
            if model.alive:
                self._run.trail.note(model.number, 0, self._deed)
                self._advance(model, rows, block)

    def _training_rows(self, call: int) -> Lookup:
        started = time.perf_counter()
        order, block = self._run.context.order, self._run.context.order.block_at(call)
        self._run.state.use_block(("train", block), order.next_use(block, call + 1))
        expected = self._run.step.blocks[block].nbytes
        found = self._run.state.cache.get(
            ("train", block), self._loader(block), needed_at=call, pin=True, expected=expected
        )
        self._run.meter.load_seconds += time.perf_counter() - started
        if found.read:
            self._run.meter.blocks_read += 1
            self._run.meter.bytes_read += found.nbytes
        else:
            self._run.meter.blocks_cached += 1
        return found

    def _fit_kwargs(self, estimator: Any) -> dict[str, Any]:
        once = self._run.context.classes_once and hasattr(estimator, "classes_")
        without = once or self._run.context.trainer.needs_all_rows
        kwargs = self._run.context.fit_kwargs
        return {name: lent_value(v) for name, v in kwargs.items() if not (without and name == "classes")}

    def _loader(self, block: int) -> Callable[[], Rows]:
        return partial(
            self._load, load_training, self._run.step.blocks[block], self._run.context.split, self._run.supplied
        )

    def _load(self, load: Callable[..., Rows], *arguments: Any) -> Rows:
        started = time.perf_counter()
        rows = load(*arguments)
        self._run.meter.read_seconds += time.perf_counter() - started
        return rows
