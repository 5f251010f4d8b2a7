"""What runs on the workers: train a cohort of models over a run of blocks, score those that are due, keep them.

A step is a pure function of the models at its start, the block numbers and the parameters, so the driver may send it
again, to any worker. It gives back the processor after about `seconds`, wherever it has come to: what is left is for a
later step.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import cloudpickle
from dask.typing import Key
from sklearn import config_context

from dhpo.data.memory import free_heap, held_besides_blocks
from dhpo.errors.user_code import guarded
from dhpo.history.events import StepStats
from dhpo.worker.breadcrumbs import CrumbTrail, read_crumb
from dhpo.worker.ended_searches import silent_after_end
from dhpo.worker.messages import Step, StepResult
from dhpo.worker.state import single_threaded, worker_state
from dhpo.worker.step_models import StepModels
from dhpo.worker.step_run import StepRun
from dhpo.worker.step_scoring import StepScoring
from dhpo.worker.step_training import StepTraining

__all__ = ["held_before_blocks", "run_step"]


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
@silent_after_end(lambda: StepResult([], StepStats()))
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
            return _done(StepRun(state, shared, step, dict(zip(names, values, strict=True)), trail))
    finally:
        trail.remove()


def _done(run: StepRun) -> StepResult:
    models = StepModels(run)
    models.take_up()
    try:
        StepTraining(run, models).train()
        StepScoring(run).score()
    finally:
        run.state.rest()
    models.write()
    stats = StepStats(**vars(run.meter), seconds=run.elapsed())
    return StepResult([model.outcome() for model in run.models], stats)
