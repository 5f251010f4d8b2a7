"""A search that never ran, for observers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from dhpo.history.events import Stopped
from dhpo.observers.base import ObservedSearch, Observer
from tests.unit.views.events import LINK, history_of, plan_of, started, stepped, training

__all__ = ["drive", "observed"]


def observed(n_calls: int) -> ObservedSearch:
    """A search of one trial that is to be called so many times, and has begun to train."""
    client: Any = SimpleNamespace(dashboard_link=LINK)
    history = history_of(training(), started(0))
    return ObservedSearch(plan_of([(1, n_calls)]), history, client, lambda at_once=False: None, lambda: 0.0)


def drive(observer: Observer, n_calls: int) -> None:
    """Call an observer as the executor does."""
    search = observed(n_calls)
    observer.start(search)
    for calls in range(n_calls):
        event = stepped(t0=calls + 1)
        search.history.append(event)
        observer.event(event)
    search.history.append(Stopped("done", 1.0))
    observer.stop()
