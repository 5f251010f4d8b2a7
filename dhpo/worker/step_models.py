"""The models of a step: made or read at its start, and stored at its end."""

from __future__ import annotations

import time
from collections.abc import Mapping

from dhpo.storage.model_store import ModelLost, dumps_model, loads_model
from dhpo.worker.breadcrumbs import Deed
from dhpo.worker.messages import Work
from dhpo.worker.model_in_step import ModelInStep
from dhpo.worker.model_making import new_model
from dhpo.worker.step_run import StepRun

__all__ = ["StepModels"]

# Models of a step are written together up to this size, and then one by one.
_WRITTEN_TOGETHER_BYTES = 32_000_000
# Models that are smaller than this are taken up without a look at the memory.
_SMALL_BYTES = 1_000_000


class StepModels:
    """Takes models up for a step, and writes them.

    Parameters
    ----------
    run : StepRun
    """

    def __init__(self, run: StepRun) -> None:
        self._run = run

    def take_up(self) -> None:
        """Make or read the models of the step, as far as there is room for them."""
        for work in self._run.step.works:
            self._run.models.append(self._taken_up(work) if self._has_room(work) else self._left_for_later(work))

    def _has_room(self, work: Work) -> bool:
        """Whether a model can be held beside those that were taken up; one always can."""
        nbytes = _size(work)
        if nbytes < _SMALL_BYTES or not any(model.estimator is not None for model in self._run.models):
            return True
        return self._run.state.cache.gate.relieve(2 * nbytes)  # as bytes and as a model

    def _left_for_later(self, work: Work) -> ModelInStep:
        return ModelInStep(work, None, work.state, put_off=True)

    def _taken_up(self, work: Work) -> ModelInStep:
        model = ModelInStep(work, None, work.state)
        if work.start == 0:
            self.make(model)
            return model
        model.estimator = self._run.state.take_model(work.model, work.start)
        if model.estimator is None:
            data = work.pickled
            if data is None:
                if self._run.context.store is None or work.state.checkpoint is None:
                    raise ValueError(f"model {work.model} came without its bytes")
                try:
                    data = self._run.context.store.read(work.state.checkpoint)
                except ModelLost:
                    model.was_lost()
                    return model
            with self._run.noted(model, Deed.UNPICKLING):
                model.estimator = loads_model(data)
        return model

    def make(self, model: ModelInStep) -> None:
        """Make a new model."""
        work = model.work
        with self._run.noted(model, Deed.MAKING):
            seed = work.model if work.trial is None else work.trial
            model.estimator = new_model(self._run.context.estimator, work.params, self._run.context.entropy, seed)

    def write(self) -> None:
        """Store the models that were trained, and keep all for the next step as far as there is room."""
        started = time.perf_counter()
        pickled: dict[int, bytes] = {}
        for model in self._run.models:
            if model.alive and model.calls > model.work.start:
                with self._run.noted(model, Deed.PICKLING):
                    self._run.growth.refuse_to_pickle(model)
                    if model.alive:
                        pickled[model.number] = dumps_model(model.estimator)
                if sum(map(len, pickled.values())) > _WRITTEN_TOGETHER_BYTES:
                    self._store(pickled)  # so that the bytes of one large model are there at a time
                    pickled = {}
        self._store(pickled)
        for model in self._run.models:
            if model.alive and model.calls == model.work.start > 0:
                self._run.state.keep_model(model.number, model.calls, model.estimator, _size(model.work))
        self._run.meter.store_seconds += time.perf_counter() - started

    def _store(self, pickled: Mapping[int, bytes]) -> None:
        """Write some models, and keep them for the next step as far as there is room."""
        moved = {model.number: model for model in self._run.models if model.number in pickled and model.alive}
        if self._run.context.store is None:
            for number, model in moved.items():
                model.pickled = pickled[number]
        elif moved:
            written = self._run.context.store.write({(n, m.calls): pickled[n] for n, m in moved.items()})
            for number, model in moved.items():
                model.stored(written[number])
        for number, model in moved.items():
            self._run.state.keep_model(number, model.calls, model.estimator, len(pickled[number]))
            model.estimator = None


def _size(work: Work) -> int:
    if work.state.checkpoint is not None:
        return work.state.checkpoint.length
    return len(work.pickled or b"")
