"""Scores the models of a step that are due."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager

from dhpo.data.loaded import Lookup
from dhpo.data.reader import BlockSpec
from dhpo.data.row_protection import is_refused_write, sample
from dhpo.scoring import SeveralTallies
from dhpo.worker.breadcrumbs import Deed
from dhpo.worker.model_in_step import ModelInStep
from dhpo.worker.step_run import StepRun
from dhpo.worker.validation_rows import validation_rows

__all__ = ["StepScoring"]

# The first trials of a step are scored together before it is known how long one takes.
_FIRST_SCORED = 8


class StepScoring:
    """Scores models on the validation data, several in one pass over it.

    Parameters
    ----------
    run : StepRun
    """

    def __init__(self, run: StepRun) -> None:
        self._run = run

    def score(self) -> None:
        """Score those that are due, as far as there is time; one at least, if nothing was trained."""
        due = [c for c in self._run.models if c.due]
        size = len(due)
        while due:
            if self._run.time_is_over() and (self._run.meter.calls or len(due) < size):
                return  # trained, and scored in a later step
            remaining = max(self._run.step.seconds - self._run.elapsed(), 0.0)
            seconds_each = self._run.meter.score_seconds / (size - len(due)) if len(due) < size else None
            many = max(1, int(remaining / seconds_each)) if seconds_each else _FIRST_SCORED
            self._score_together(due[:many])
            due = due[many:]

    def _score_together(self, cohort: Sequence[ModelInStep]) -> None:
        """Score some trials in one pass over the validation data."""
        started = time.perf_counter()
        context = self._run.context
        by_fold: dict[int | None, list[tuple[ModelInStep, SeveralTallies]]] = {}
        for model in cohort:
            with self._run.noted(model, Deed.SCORING):
                tally = SeveralTallies(model.estimator, context.scorer, context.other_scorers)
                by_fold.setdefault(model.work.fold, []).append((model, tally))
        for number, group in enumerate(self._run.step.validation):
            for fold, tallies in by_fold.items():
                key, found = self._validation_rows(number, group, fold)
                if not len(found.rows):
                    continue
                for model, tally in tallies:
                    if model.due:
                        with self._scoring(model):
                            tally.add(model.rows(found.rows))
                if sample(found.rows) != found.seal:
                    self._run.take_back(key, found, (model for model, _ in tallies), ModelInStep.score_later)
                del found  # before the next group is loaded
        for model, tally in (pair for tallies in by_fold.values() for pair in tallies):
            if model.due:
                with self._scoring(model):
                    if not tally.n_rows:
                        raise ValueError(f"fold {model.work.fold} has no rows to score on: give cv= a smaller number.")
                    model.score = tally.score()
                    model.others = tally.others()
        self._run.meter.score_seconds += time.perf_counter() - started

    @contextmanager
    def _scoring(self, model: ModelInStep) -> Iterator[None]:
        started, cpu = time.perf_counter(), time.thread_time()
        with self._run.noted(model, Deed.SCORING) as caught:
            yield
        if not model.state.writes and any(map(is_refused_write, caught)):
            model.score_later()
        model.took(score_seconds=time.perf_counter() - started)
        self._run.meter.useful_cpu += time.thread_time() - cpu
        self._run.check_deadline(model)

    def _validation_rows(self, number: int, group: Sequence[BlockSpec], fold: int | None) -> tuple[Hashable, Lookup]:
        run = self._run
        key, found = validation_rows(run.state, run.context.split, run.supplied, number, group, fold)
        if found.read:
            self._run.meter.validation_blocks_read += 1
            self._run.meter.bytes_read += found.nbytes
        return key, found
