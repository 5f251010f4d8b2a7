"""Events of searches that never ran, and plans for them."""

from __future__ import annotations

from typing import Any

from dhpo.history.events import Dropped, Event, PhaseReached, Reported, StepDone, StepStats, TrialStarted
from dhpo.history.history import History
from dhpo.schedules.plan import BracketPlan, Plan, Rung
from dhpo.trial import Drop, DropReason, Report, Trial

LINK = "http://127.0.0.1:8787/status"


def plan_of(*brackets: list[tuple[int, int]]) -> Plan:
    """Of brackets that are numbered down to 0, each a list of rungs: trials and calls."""
    return Plan(
        tuple(
            BracketPlan(number, tuple(Rung(*rung) for rung in rungs))
            for number, rungs in zip(reversed(range(len(brackets))), brackets, strict=True)
        )
    )


TWO_BRACKETS = plan_of([(3, 1), (1, 3)], [(2, 3)])


def started(trial: int, bracket: int = 0, **params: Any) -> Event:
    return TrialStarted(Trial(trial, params, bracket), 0.0)


def reported(trial: int, resource: int, score: float) -> Event:
    return Reported(Report(trial, resource, score), 0.0)


def dropped(trial: int, reason: DropReason = "not promoted") -> Event:
    return Dropped(Drop(trial, reason), 0.0)


def stepped(time: float = 0.0, **progress: int) -> Event:
    return StepDone({int(name[1:]): calls for name, calls in progress.items()}, StepStats(), time)


def training(time: float = 0.0) -> Event:
    return PhaseReached("training", time)


def history_of(*events: Event) -> History:
    history = History()
    for event in events:
        history.append(event)
    return history


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now
