"""What runs on the workers: train a cohort of trials over a run of blocks, score those that are due, keep their models.

A step is a pure function of the models at its start, the block numbers and the parameters, so Dask may run it again,
anywhere. It gives back the processor after about `seconds`, wherever it has come to: what is left is for a later step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import cloudpickle
from dask.typing import Key
from sklearn import config_context
from sklearn.base import clone

from dhpo.data.cache import Lookup
from dhpo.data.lending import is_refused_write, lent_value, sample
from dhpo.data.memory import free_heap, held_besides_blocks
from dhpo.data.reader import BlockSpec, FoldedRows, load_fold, load_training, load_validation
from dhpo.data.rows import Rows, concatenate
from dhpo.history.events import StepStats
from dhpo.scoring import SeveralTallies
from dhpo.seeds import seed_for
from dhpo.storage.model_store import ModelLost, dumps_model, loads_model
from dhpo.user_code import guarded
from dhpo.worker.breadcrumbs import CrumbTrail, Deed, read_crumb
from dhpo.worker.memory_growth import Growth
from dhpo.worker.messages import Context, Outcome, Step, StepResult, Work
from dhpo.worker.model_in_step import Meter, ModelInStep, failures_of
from dhpo.worker.state import WorkerState, single_threaded, worker_state
from dhpo.wrappers import unwrap

__all__ = ["held_before_blocks", "is_timeout", "new_model", "run_step", "timeout_error"]

# The first trials of a step are scored together before it is known how long one takes.
_FIRST_SCORED = 8
# Models of a step are written together up to this size, and then one by one.
_WRITTEN_TOGETHER_BYTES = 32_000_000
# Models that are smaller than this are taken up without a look at the memory.
_SMALL_BYTES = 1_000_000
_TIMEOUT = "TrialTimeout"


def new_model(estimator: Any, params: Mapping[str, Any], entropy: int, trial: int) -> Any:
    """An unfitted model with the parameters of a trial, and a seed of its own wherever its `random_state` is None."""
    model = clone(estimator, safe=False).set_params(**{name: clone(v, safe=False) for name, v in params.items()})
    seeds = {
        name: seed_for(entropy, trial, name)
        for name, value in model.get_params(deep=True).items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    }
    return unwrap(model.set_params(**seeds) if seeds else model)


def timeout_error(deadline: float, what: str) -> str:
    """What is reported of a trial that takes too long."""
    return f"{_TIMEOUT}: trial_timeout={deadline:g} s is over, and {what}"


def is_timeout(error: str | None) -> bool:
    """Whether this is what `timeout_error` returns."""
    return error is not None and error.startswith(_TIMEOUT)


@guarded
def held_before_blocks(estimator: bytes) -> int:
    """Bytes that a process holds with all that a step imports, and without any block.

    Parameters
    ----------
    estimator : bytes
        The pickled estimator.
    """
    with suppress(Exception):  # whatever is wrong with it shows in its trials
        cloudpickle.loads(estimator)
    free_heap()  # what is left of the first rows that were looked at
    return held_besides_blocks()


@guarded
def run_step(run: str, context: bytes, step: Step, names: Sequence[Key] = (), values: Sequence[Any] = ()) -> StepResult:
    """Train and score a cohort; the function of every `train-` and `score-` task.

    Parameters
    ----------
    run : str
        Name of the search.
    context : bytes
        The pickled `Context`.
    step : Step
    names, values : sequence
        Keys of the blocks' graphs that are data on the cluster, and that data.
    """
    state = worker_state(run, step.memory_limit)
    shared = state.context(context)
    try:
        trail = CrumbTrail(step.crumb)
    except FileExistsError:  # Dask runs it again: the worker that ran it before is dead
        return StepResult([], StepStats(), died=read_crumb(step.crumb))
    try:
        with single_threaded(), config_context(**shared.config):
            return _StepRun(state, shared, step, dict(zip(names, values, strict=True)), trail).result()
    finally:
        trail.remove()


class _StepRun:
    """One run of one step."""

    def __init__(
        self, state: WorkerState, context: Context, step: Step, supplied: Mapping[Key, Any], trail: CrumbTrail
    ) -> None:
        self._state = state
        self._trail = trail
        self._context = context
        self._step = step
        self._supplied = supplied
        self._meter = Meter()
        self._began = time.perf_counter()
        self._models: list[ModelInStep] = []
        self._growth = Growth(state.cache.gate)

    def result(self) -> StepResult:
        for work in self._step.works:
            self._models.append(self._taken_up(work) if self._has_room(work) else self._left_for_later(work))
        try:
            self._train()
            self._score()
        finally:
            self._state.rest()
        self._write()
        meter = self._meter
        stats = StepStats(**vars(meter), seconds=self._elapsed())
        return StepResult([model.outcome for model in self._models], stats)

    def _has_room(self, work: Work) -> bool:
        """Whether a model can be held beside those that were taken up; one always can."""
        nbytes = _size(work)
        if nbytes < _SMALL_BYTES or not any(model.estimator is not None for model in self._models):
            return True
        return self._state.cache.gate.relieve(2 * nbytes)  # as bytes and as a model

    def _left_for_later(self, work: Work) -> ModelInStep:
        outcome = Outcome(work.model, work.start, checkpoint=work.checkpoint, writes=work.writes)
        return ModelInStep(work, None, outcome, put_off=True)

    def _elapsed(self) -> float:
        return time.perf_counter() - self._began

    def _time_is_over(self) -> bool:
        return self._state.over or self._elapsed() > self._step.seconds

    def _far_too_slow(self) -> bool:
        # Without the time that blocks take to load: the next step would have to load them again.
        return self._state.over or self._elapsed() - self._meter.load_seconds > 2 * self._step.seconds

    def _taken_up(self, work: Work) -> ModelInStep:
        outcome = Outcome(work.model, work.start, checkpoint=work.checkpoint, writes=work.writes)
        model = ModelInStep(work, None, outcome)
        if work.start == 0:
            self._make_model(model)
            return model
        model.estimator = self._state.take_model(work.model, work.start)
        if model.estimator is None:
            data = work.pickled
            if data is None:
                if self._context.store is None or work.checkpoint is None:
                    raise ValueError(f"model {work.model} came without its bytes")
                try:
                    data = self._context.store.read(work.checkpoint)
                except ModelLost:
                    outcome.calls, outcome.checkpoint, outcome.lost = 0, None, True
                    return model
            with self._noted(model, Deed.UNPICKLING):
                model.estimator = loads_model(data)
        return model

    @contextmanager
    def _noted(self, model: ModelInStep, deed: Deed) -> Iterator[list[BaseException]]:
        """Do something with a model that can raise anything, and can end the process: see `failures_of`."""
        self._trail.note(model.work.model, model.outcome.calls, deed)
        with failures_of(model.outcome) as caught:
            yield caught
        self._trail.nobody()

    def _make_model(self, model: ModelInStep) -> None:
        work = model.work
        with self._noted(model, Deed.MAKING):
            seed = work.model if work.trial is None else work.trial
            model.estimator = new_model(self._context.estimator, work.params, self._context.entropy, seed)

    def _train(self) -> None:
        first = min((c.work.start for c in self._models), default=0)
        ahead: int | None = None
        blocks_done, short = 0, False
        self._growth.started(self._models)
        for call in range(first, self._step.until):
            cohort = [c for c in self._models if c.alive and c.outcome.calls == call < c.work.target]
            if not cohort:
                self._settle(ahead)  # those who wanted it have failed
                ahead = None
                continue
            found = self._training_rows(call)
            block = self._context.order.block_at(call)
            ahead = call + 1 if self._goes_on(call + 1, blocks_done) else None
            if ahead is not None:
                block_ahead = self._context.order.block_at(ahead)
                expected = self._step.blocks[block_ahead].nbytes
                self._state.cache.read_ahead(("train", block_ahead), self._loader(block_ahead), expected)
            parts = FoldedRows(self._context.split, found.rows, block, found.seal)
            self._growth.rows_are_here()
            # Fold by fold: one part of the rows is held at a time.
            for model in sorted(cohort, key=lambda c: -1 if c.work.fold is None else c.work.fold):
                self._trail.note(model.work.model, call)
                self._advance(model, parts.without(model.work.fold))
                if self._far_too_slow():
                    break  # in the midst of a block, for a cohort that is far slower than was thought
                begins = call == model.work.start  # it may take more by itself than all rows
                if (self._growth.may_matter(found.nbytes) or begins) and self._growth.is_short():
                    short = True  # what is left is for a later step, once the models of this one are stored
                    self._blame(cohort, found.nbytes)
                    break
            if not parts.intact:
                self._take_back(("train", block), found, cohort, ModelInStep.begin_anew)
            self._trail.nobody()
            nbytes = found.nbytes
            del found, parts  # before the next block is loaded
            self._state.rest()
            if nbytes > _SMALL_BYTES and not short and self._growth.leaves_no_room(nbytes):
                short = True
                self._blame(cohort, nbytes)
            blocks_done += 1
            if short or self._time_is_over():
                break
        self._settle(ahead)

    def _blame(self, cohort: Iterable[ModelInStep], nbytes: int) -> None:
        for model in cohort:
            with self._noted(model, Deed.PICKLING):  # that tells how large it is
                self._growth.blame(model, nbytes)

    def _goes_on(self, call: int, blocks_done: int) -> bool:
        """Whether this step will come to the block of `call`, as far as can be told."""
        wanted = (c.alive and c.outcome.calls <= call < c.work.target for c in self._models)
        if call >= self._step.until or not any(wanted):
            return False
        return not blocks_done or self._elapsed() * (blocks_done + 1) / blocks_done < self._step.seconds

    def _settle(self, call: int | None) -> None:
        """End a read ahead that the step did not come to."""
        if call is None:
            return
        order, block = self._context.order, self._context.order.block_at(call)
        nbytes = self._state.cache.settle(("train", block), needed_at=call)
        if nbytes:
            self._state.use_next(("train", block), order.next_use(block, call))
            self._meter.blocks_read += 1
            self._meter.bytes_read += nbytes

    def _advance(self, model: ModelInStep, rows: Rows) -> None:
        started, cpu = time.perf_counter(), time.thread_time()
        outcome = model.outcome
        with failures_of(outcome) as caught:
            if len(rows):
                _partial_fit(model.estimator, model.rows(rows), self._fit_kwargs(model.estimator))
            outcome.calls += 1
        seconds = time.perf_counter() - started
        self._meter.useful_cpu += time.thread_time() - cpu
        self._meter.calls += 1
        self._meter.fit_seconds += seconds
        outcome.fit_seconds += seconds
        if not outcome.writes and any(map(is_refused_write, caught)):
            self._let_write(model, rows)
        self._check_deadline(model)

    def _let_write(self, model: ModelInStep, rows: Rows) -> None:
        """Train a trial, which was kept from writing into the rows that all share, on its own copies from now on."""
        first = model.outcome.calls == 0
        model.begin_anew()  # the failed call may have left its model half trained
        if first:
            model.put_off = False
            self._make_model(model)
            if model.alive:
                self._trail.note(model.work.model, 0)
                self._advance(model, rows)

    def _take_back(
        self, key: Hashable, found: Lookup, cohort: Iterable[ModelInStep], undo: Callable[[ModelInStep], None]
    ) -> None:
        """Undo what was done on rows that were written to, by one of a cohort or by another thread, despite all locks.

        Nobody can tell which of them it was; all of them get their own copies from now on.
        """
        self._state.cache.discard(key, found.rows)
        for model in cohort:
            if not model.work.writes:  # those had their own copies
                undo(model)

    def _check_deadline(self, model: ModelInStep) -> None:
        deadline, outcome = self._context.trial_timeout, model.outcome
        spent = model.work.spent + outcome.fit_seconds + outcome.score_seconds
        if deadline is not None and spent > deadline and outcome.error is None:
            outcome.error = timeout_error(deadline, f"it had taken {spent:.3g} s after call {outcome.calls}")

    def _training_rows(self, call: int) -> Lookup:
        started = time.perf_counter()
        order, block = self._context.order, self._context.order.block_at(call)
        self._state.use_block(("train", block), order.next_use(block, call + 1))
        expected = self._step.blocks[block].nbytes
        found = self._state.cache.get(
            ("train", block), self._loader(block), needed_at=call, pin=True, expected=expected
        )
        self._meter.load_seconds += time.perf_counter() - started
        if found.read:
            self._meter.blocks_read += 1
            self._meter.bytes_read += found.nbytes
        else:
            self._meter.blocks_cached += 1
        return found

    def _fit_kwargs(self, estimator: Any) -> dict[str, Any]:
        once = self._context.classes_once and hasattr(estimator, "classes_")
        kwargs = self._context.fit_kwargs
        return {name: lent_value(v) for name, v in kwargs.items() if not (once and name == "classes")}

    def _loader(self, block: int) -> Callable[[], Rows]:
        return partial(self._load, load_training, self._step.blocks[block], self._context.split, self._supplied)

    def _load(self, load: Callable[..., Rows], *arguments: Any) -> Rows:
        started = time.perf_counter()
        rows = load(*arguments)
        self._meter.read_seconds += time.perf_counter() - started
        return rows

    def _score(self) -> None:
        due = [c for c in self._models if c.due]
        size = len(due)
        while due:
            if self._time_is_over() and (self._meter.calls or len(due) < size):
                return  # trained, and scored in a later step
            remaining = max(self._step.seconds - self._elapsed(), 0.0)
            seconds_each = self._meter.score_seconds / (size - len(due)) if len(due) < size else None
            many = max(1, int(remaining / seconds_each)) if seconds_each else _FIRST_SCORED
            self._score_together(due[:many])
            due = due[many:]

    def _score_together(self, cohort: Sequence[ModelInStep]) -> None:
        """Score some trials in one pass over the validation data."""
        started = time.perf_counter()
        context = self._context
        by_fold: dict[int | None, list[tuple[ModelInStep, SeveralTallies]]] = {}
        for model in cohort:
            with self._noted(model, Deed.SCORING):
                tally = SeveralTallies(model.estimator, context.scorer, context.other_scorers)
                by_fold.setdefault(model.work.fold, []).append((model, tally))
        for number, group in enumerate(self._step.validation):
            for fold, tallies in by_fold.items():
                key, found = self._validation_rows(number, group, fold)
                if not len(found.rows):
                    continue
                for model, tally in tallies:
                    if model.due:
                        with self._scoring(model):
                            tally.add(model.rows(found.rows))
                if sample(found.rows) != found.seal:
                    self._take_back(key, found, (model for model, _ in tallies), ModelInStep.score_later)
                del found  # before the next group is loaded
        for model, tally in (pair for tallies in by_fold.values() for pair in tallies):
            if model.due:
                with self._scoring(model):
                    if not tally.n_rows:
                        raise ValueError(f"there are no rows to score on in fold {model.work.fold}: use fewer.")
                    model.outcome.score = tally.score()
                    model.outcome.others = tally.others()
        self._meter.score_seconds += time.perf_counter() - started

    @contextmanager
    def _scoring(self, model: ModelInStep) -> Iterator[None]:
        started, cpu = time.perf_counter(), time.thread_time()
        with self._noted(model, Deed.SCORING) as caught:
            yield
        if not model.outcome.writes and any(map(is_refused_write, caught)):
            model.score_later()
        model.outcome.score_seconds += time.perf_counter() - started
        self._meter.useful_cpu += time.thread_time() - cpu
        self._check_deadline(model)

    def _validation_rows(self, number: int, group: Sequence[BlockSpec], fold: int | None) -> tuple[Hashable, Lookup]:
        split = self._context.split

        def load() -> Rows:
            if fold is None:
                return _together(load_validation(group, split, self._supplied))
            return _together(load_fold(group, split, fold, self._supplied))

        # Needed by every score: kept before any training block.
        key = ("valid", number, fold)
        found = self._state.cache.get(key, load, needed_at=-1.0)
        if found.read:
            self._meter.validation_blocks_read += 1
            self._meter.bytes_read += found.nbytes
        return key, found

    def _write(self) -> None:
        started = time.perf_counter()
        pickled: dict[int, bytes] = {}
        for model in self._models:
            if model.alive and model.outcome.calls > model.work.start:
                with self._noted(model, Deed.PICKLING):
                    self._growth.refuse_to_pickle(model)
                    if model.alive:
                        pickled[model.outcome.model] = dumps_model(model.estimator)
                if sum(map(len, pickled.values())) > _WRITTEN_TOGETHER_BYTES:
                    self._store(pickled)  # so that the bytes of one large model are there at a time
                    pickled = {}
        self._store(pickled)
        for model in self._models:
            outcome = model.outcome
            if model.alive and outcome.calls == model.work.start > 0:
                self._state.keep_model(outcome.model, outcome.calls, model.estimator, _size(model.work))
        self._meter.store_seconds += time.perf_counter() - started

    def _store(self, pickled: Mapping[int, bytes]) -> None:
        """Write some models, and keep them for the next step as far as there is room."""
        moved = {c.outcome.model: c for c in self._models if c.outcome.model in pickled and c.alive}
        if self._context.store is None:
            for number, model in moved.items():
                model.outcome.pickled = pickled[number]
        elif moved:
            written = self._context.store.write({(n, c.outcome.calls): pickled[n] for n, c in moved.items()})
            for number, model in moved.items():
                model.outcome.checkpoint = written[number]
        for number, model in moved.items():
            self._state.keep_model(number, model.outcome.calls, model.estimator, len(pickled[number]))
            model.estimator = None


def _partial_fit(estimator: Any, rows: Rows, fit_kwargs: Mapping[str, Any]) -> None:
    kwargs = dict(fit_kwargs)
    if rows.sample_weight is not None:
        kwargs["sample_weight"] = rows.sample_weight
    if rows.y is None:
        estimator.partial_fit(rows.X, **kwargs)
    else:
        estimator.partial_fit(rows.X, rows.y, **kwargs)


def _together(parts: Sequence[Rows]) -> Rows:
    parts = [rows for rows in parts if len(rows)] or list(parts[:1])
    columns = zip(*parts, strict=True)
    return Rows(*(None if column[0] is None else concatenate(column) for column in columns))


def _size(work: Work) -> int:
    if work.checkpoint is not None:
        return work.checkpoint.length
    return len(work.pickled or b"")
