"""What a search has cost so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dhpo.history.events import DataPrepared, Event, Reported, Reused, StepDone

__all__ = ["costs_of", "fit_costs_of"]


def costs_of(events: Sequence[Event], partial_fit_calls: int) -> dict[str, Any]:
    """Totals over all trials that are trained block by block; see `dhpo.History.costs`.

    Parameters
    ----------
    events : sequence of Event
    partial_fit_calls : int
        That the models have seen.
    """
    steps = [e.stats for e in events if isinstance(e, StepDone)]
    prepared = next((event for event in events if isinstance(event, DataPrepared)), None)
    n_blocks = prepared.n_blocks if prepared else 0
    blocks_read = sum(s.blocks_read for s in steps) + n_blocks
    return {
        "partial_fit_calls": partial_fit_calls,
        "wasted_calls": _wasted_calls(events, partial_fit_calls),
        "reused_calls": _reused_calls(events),
        "tasks": len(steps),
        "n_blocks": n_blocks,
        "blocks_read": blocks_read,
        "blocks_cached": sum(s.blocks_cached for s in steps),
        "validation_blocks_read": sum(s.validation_blocks_read for s in steps),
        "bytes_read": sum(s.bytes_read for s in steps) + (prepared.nbytes if prepared else 0),
        "passes": blocks_read / n_blocks if n_blocks else 0.0,
        "partial_fit_seconds": sum(s.fit_seconds for s in steps),
        "score_seconds": sum(s.score_seconds for s in steps),
        "load_seconds": sum(s.load_seconds for s in steps),
        "store_seconds": sum(s.store_seconds for s in steps),
    }


def _wasted_calls(events: Sequence[Event], partial_fit_calls: int) -> int:
    if any(isinstance(e, Reported) and len(e.splits) > 1 for e in events):
        return 0  # folds are not trained ahead
    made = sum(e.stats.calls for e in events if isinstance(e, StepDone) and (e.progress or not e.models))
    return max(made + _reused_calls(events) - partial_fit_calls, 0)


def _reused_calls(events: Sequence[Event]) -> int:
    """That an earlier search has made, by trial."""
    reused: dict[int, int] = {}
    for event in events:
        if isinstance(event, Reused):
            reused[event.trial] = max(event.resource, reused.get(event.trial, 0))
    return sum(reused.values())


def fit_costs_of(events: Sequence[Event], fits: int) -> dict[str, Any]:
    """Totals over all candidates that are fitted whole.

    Parameters
    ----------
    events : sequence of Event
    fits : int
        Fits that are done.
    """
    steps = [e.stats for e in events if isinstance(e, StepDone)]
    return {
        "fits": fits,
        "reused_fits": _reused_calls(events),
        "tasks": len(steps),
        "fit_seconds": sum(s.fit_seconds for s in steps),
        "score_seconds": sum(s.score_seconds for s in steps),
    }
