"""What training, scoring and storing have in common in one run of a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dask.typing import Key

from dhpo.data.loaded import Lookup
from dhpo.worker.breadcrumbs import CrumbTrail, Deed
from dhpo.worker.memory_growth import Growth
from dhpo.worker.messages import Context, Step
from dhpo.worker.model_in_step import Meter, ModelInStep, failures_of
from dhpo.worker.state import WorkerState
from dhpo.worker.timeouts import timeout_error

__all__ = ["StepRun"]


class StepRun:
    """One run of one step: what it was given, its models, its time and its costs.

    Parameters
    ----------
    state : WorkerState
    context : Context
    step : Step
    supplied : mapping
        Data on the cluster that the graphs of some blocks need.
    trail : CrumbTrail

    Attributes
    ----------
    models : list of ModelInStep
    meter : Meter
    growth : Growth
    """

    def __init__(
        self, state: WorkerState, context: Context, step: Step, supplied: Mapping[Key, Any], trail: CrumbTrail
    ) -> None:
        self.state = state
        self.context = context
        self.step = step
        self.supplied = supplied
        self.trail = trail
        self.models: list[ModelInStep] = []
        self.meter = Meter()
        self.growth = Growth(state.cache.gate, state.cache.kind("train"))
        self._began = time.perf_counter()

    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.perf_counter() - self._began

    def time_is_over(self) -> bool:
        """Whether the step is to give back the processor."""
        return self.state.over or self.elapsed() > self.step.seconds

    def far_too_slow(self) -> bool:
        """Whether it is to do so in the midst of a block."""
        # Without the time that blocks take to load: the next step would have to load them again.
        return self.state.over or self.elapsed() - self.meter.load_seconds > 2 * self.step.seconds

    @contextmanager
    def noted(self, model: ModelInStep, deed: Deed) -> Iterator[list[BaseException]]:
        """Do something with a model that can raise anything, and can end the process: see `failures_of`."""
        self.trail.note(model.number, model.calls, deed)
        with failures_of(model) as caught:
            yield caught
        self.trail.nobody()

    def take_back(
        self, key: Hashable, found: Lookup, cohort: Iterable[ModelInStep], undo: Callable[[ModelInStep], None]
    ) -> None:
        """Undo what was done on rows that were written to, by one of a cohort or by another thread, despite all locks.

        Nobody can tell which of them it was; all of them get their own copies from now on.
        """
        self.state.cache.discard(key, found.rows)
        for model in cohort:
            if not model.work.state.writes:  # those had their own copies
                undo(model)

    def check_deadline(self, model: ModelInStep) -> None:
        """Have a trial fail that has taken longer than it may."""
        deadline, spent = self.context.trial_timeout, model.state.spent
        if deadline is not None and spent > deadline and model.error is None:
            model.error = timeout_error(deadline, f"it had taken {spent:.3g} s after call {model.calls}")
