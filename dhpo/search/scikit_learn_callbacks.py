"""scikit-learn's callbacks on a search: `search.set_callbacks(ProgressBar())`.

scikit-learn calls its callbacks experimental. Nothing else in dhpo touches them, but for `dhpo.journal.description`,
which leaves them out of what a search is; and where they are gone, or have become others, a search runs without.
"""

from __future__ import annotations

import warnings
from typing import Any

from dhpo.history.events import Dropped, Event, Reported, Stopped, TrialStarted
from dhpo.observers.base import ObservedSearch, Observer
from dhpo.schedules.plan import Plan
from dhpo.trial import Report, Trial

try:
    from sklearn.callback import CallbackSupportMixin, ProgressBar, with_callbacks
except ImportError:
    CallbackSupportMixin = object
    ProgressBar = with_callbacks = None

__all__ = ["TakesCallbacks", "callback_observers", "draws_progress", "without_callbacks"]

_CALLBACKS = "_skl_callbacks"
_OF_ONE_FIT = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


class TakesCallbacks(CallbackSupportMixin):
    """The part of a search that takes scikit-learn's callbacks, by `set_callbacks`."""

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name not in _OF_ONE_FIT}


def callback_observers(search: Any) -> list[Observer]:
    """Those who tell the callbacks of a search what happens in it: none where it has no callbacks."""
    return [_Callbacks(search)] if getattr(search, _CALLBACKS, None) else []


def draws_progress(search: Any) -> bool:
    """Whether scikit-learn's progress bar will be drawn; two live displays in one terminal spoil each other."""
    return ProgressBar is not None and any(isinstance(c, ProgressBar) for c in getattr(search, _CALLBACKS, []))


def without_callbacks(estimator: Any) -> Any:
    """Take the callbacks from a clone of the user's estimator and from those in it, and warn that they are not called.

    They belong to the process that made them: some cannot be sent to workers, and none is told anything there.

    Parameters
    ----------
    estimator : estimator
        Is changed. A clone shares its callbacks with the original, which keeps them.

    Returns
    -------
    The same estimator.
    """
    parts = [estimator, *estimator.get_params(deep=True).values()] if hasattr(estimator, "get_params") else [estimator]
    dropped: list[Any] = []
    for part in parts:
        dropped += vars(part).pop(_CALLBACKS, []) if hasattr(part, "__dict__") and not isinstance(part, type) else []
    if dropped:
        names = ", ".join(dict.fromkeys(type(callback).__name__ for callback in dropped))
        warnings.warn(
            f"the callbacks of the estimator ({names}) are not called, because its models are trained by workers: give "
            "callbacks to the search itself, by its set_callbacks.",
            UserWarning,
            stacklevel=2,
        )
    return estimator


class _Callbacks(Observer):
    """Tells scikit-learn's callbacks of a search: its root task is the fit, the leaves are the trials.

    Between them is a task for each bracket, where there are several.

    Parameters
    ----------
    search : estimator
        That holds the callbacks.
    """

    def __init__(self, search: Any) -> None:
        self._search = search
        self._root: Any = None

    def start(self, search: ObservedSearch) -> None:
        """Set the callbacks up, and begin the tasks."""
        self._stop = search.stop
        self._tasks: dict[int, Any] = {}
        self._trials: dict[int, Trial] = {}
        self._reports: dict[int, Report] = {}
        self._reason = ""
        try:
            self._begin(search.plan)
        except BaseException:
            self._tear_down()  # no call follows
            raise

    def _begin(self, plan: Plan) -> None:
        several = len(plan.brackets) > 1
        n_tasks = len(plan.brackets) if several else plan.n_trials
        self._root = self._search._init_callback_context(max_subtasks=n_tasks, sequential_subtasks=False)
        self._root.call_on_fit_task_begin(estimator=self._search)
        self._parents: dict[int, Any] = {}
        self._left = {bracket.bracket: bracket.n_trials for bracket in plan.brackets}
        for bracket in plan.brackets:
            self._parents[bracket.bracket] = self._root
            if several:
                task = self._root.subcontext("bracket", bracket.bracket, bracket.n_trials, sequential_subtasks=False)
                self._parents[bracket.bracket] = task.call_on_fit_task_begin(estimator=self._search)

    def event(self, event: Event) -> None:
        """Begin and end the tasks of trials."""
        match event:
            # A task takes no more tasks than it was made for; a schedule of the user's own may start more trials.
            case TrialStarted(trial) if self._left.get(trial.bracket, 0):
                self._left[trial.bracket] -= 1
                self._trials[trial.number] = trial
                task = self._parents[trial.bracket].subcontext("trial", trial.number)
                self._tasks[trial.number] = task.call_on_fit_task_begin(
                    estimator=self._search, metadata={"trial": trial.number, "params": dict(trial.params)}
                )
            case Reported(report):
                self._reports[report.trial] = report
            case Dropped(drop) if drop.trial in self._tasks:
                self._end(drop.trial, drop.reason)
            case Stopped(reason):
                self._reason = reason

    def _end(self, number: int, reason: str) -> None:
        trial, report = self._trials[number], self._reports.get(number)
        metadata = {
            "trial": number,
            "params": dict(trial.params),
            "score": None if report is None or report.failed else report.score,
            "resource": 0 if report is None else report.resource,
            "status": reason,
        }
        if self._tasks.pop(number).call_on_fit_task_end(estimator=self._search, metadata=metadata):
            self._stop()

    def stop(self) -> None:
        """End the tasks, unless the search failed, and tear the callbacks down."""
        if self._root is None:
            return
        try:
            if self._reason != "failed":
                for task in self._parents.values():
                    if task is not self._root:
                        task.call_on_fit_task_end(estimator=self._search)
                self._root.call_on_fit_task_end(estimator=self._search)
        finally:
            self._tear_down()

    def _tear_down(self) -> None:
        self._root = None
        with_callbacks(lambda search: None)(self._search)  # which tears down after what it decorates
