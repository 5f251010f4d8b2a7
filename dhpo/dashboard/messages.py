"""What the page is told of a search: small rows of plain values, made of the events of its history."""

from __future__ import annotations

import math
from typing import Any

from dhpo.history.events import (
    DataPrepared,
    Dropped,
    Event,
    Planned,
    Promoted,
    Reported,
    StepDone,
    TrialStarted,
)
from dhpo.history.history import History
from dhpo.history.rungs import Rungs
from dhpo.trial import Params
from dhpo.views.progress import Progress
from dhpo.views.text import duration

__all__ = ["Messages"]

_LONGEST_TEXT = 60
_LONGEST_ERROR = 200

Row = list[Any]


class Messages:
    """Turns what is new in a history into rows for `dhpo.dashboard.search_data.SearchData`.

    Parameters
    ----------
    history : History
        A search may append to it in the same thread, or in another.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._progress = Progress(history)
        self._seen = 0
        self._scales: dict[str, str] = {}
        self._made = self._read = self._cached = 0
        self._n_blocks = 0
        self._none_ahead = history.by_fits  # nor with folds
        self._rungs = Rungs()

    def new_rows(self, now: float) -> list[Row]:
        """The rows of the events that are new, and one that says how the search stands.

        Parameters
        ----------
        now : float
            Seconds since the search began.
        """
        rows: list[Row] = []
        events = self._history.events
        while self._seen < len(events):  # by index: others are appended meanwhile
            rows += self._rows_of(events[self._seen])
            self._seen += 1
        return [*rows, self._state(now)]

    def _state(self, now: float) -> Row:
        progress = self._progress
        progress.update()
        counts = progress.everything
        over = progress.stopped is not None or not progress.alive
        now = progress.time if over else max(now, progress.time)
        left = progress.seconds_left(now)
        state = {
            "status": progress.status if progress.stopped or progress.alive else "its process has died",
            "why": "" if self._history.end is None else self._history.end.why[:_LONGEST_ERROR],
            "over": over,
            "seconds": round(now, 1),
            "time": duration(now) + (f", about {duration(left)} left" if left else ""),
            "calls": counts.calls,
            "all_calls": counts.all_calls,
            "trials": counts.trials,
            "all_trials": counts.all_trials,
            "active": 0 if over else counts.active,
            "failed": len(progress.failed),
            "blocks_read": self._read + self._n_blocks,
            "blocks_cached": self._cached,
            "n_blocks": self._n_blocks,
            "not_used": 0 if self._none_ahead or not counts.scores else max(self._made - counts.calls, 0),
        }
        return ["state", state]

    def _rows_of(self, event: Event) -> list[Row]:
        self._rungs.take(event)
        match event:
            case Planned(plan, title=title, scales=scales):
                self._scales = dict(scales)
                brackets = [[b.bracket, [[rung.n_trials, rung.resource] for rung in b.rungs]] for b in plan.brackets]
                return [["plan", title, f"{self._history.unit}s", brackets, self._scales]]
            case DataPrepared(n_blocks=n_blocks):
                self._n_blocks = n_blocks
            case TrialStarted(trial):
                return [["trial", trial.number, trial.bracket, self._values(trial.params)]]
            case Promoted(train):
                return [["rung", train.trial, train.rung]]
            case Reported(report, splits=splits):
                self._none_ahead |= len(splits) > 1
                score = None if report.failed else float(report.score)
                error = (self._history.failure_of(event) or "")[:_LONGEST_ERROR]
                seconds = report.fit_time + report.score_time
                return [["report", report.trial, report.resource, score, event.time, seconds, error, event.failed]]
            case Dropped(drop):
                return [["drop", drop.trial, drop.reason]]
            case StepDone():
                return [self._step(event)]
        return []

    def _step(self, event: StepDone) -> Row:
        stats = event.stats
        self._made += stats.calls
        self._read += stats.blocks_read
        self._cached += stats.blocks_cached
        step = self._rungs.timed(event)
        times = round(step.begin, 3), round(step.end, 3)
        progress = [[trial, calls] for trial, calls in event.progress.items()]
        return ["step", *times, step.worker, step.bracket, step.rung, step.calls, progress]

    def _values(self, params: Params) -> dict[str, Any]:
        return {name: self._value(name, value) for name, value in params.items()}

    def _value(self, name: str, value: Any) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and self._scales.get(name) != "category" and math.isfinite(value):
            return float(value) if isinstance(value, float) or abs(value) > 2**53 else value
        return str(value)[:_LONGEST_TEXT]
