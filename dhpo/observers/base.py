"""How a search tells others what happens in it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dhpo.history.events import Event
from dhpo.history.history import History

if TYPE_CHECKING:
    from dhpo.schedules.plan import Plan

__all__ = ["Observer", "Observers"]

logger = logging.getLogger(__name__)


@runtime_checkable
class Observer(Protocol):
    """What is told of a search while it runs.

    All three are called by the thread that runs the search, one at a time and in this order: `start` once, `event` for
    each event after it was appended to the history, `stop` once, also when the search fails. The search waits for them,
    so they return at once. What they raise is logged and costs the search nothing.
    """

    def start(self, plan: Plan, history: History, dashboard_link: str | None) -> None:
        """Begin.

        Parameters
        ----------
        plan : Plan
            The brackets, and the work that they will make.
        history : History
            Grows while the search runs. A resumed search starts with the events of before.
        dashboard_link : str or None
            Address of the dashboard of Dask, if there is one.
        """

    def event(self, event: Event) -> None:
        """One more thing happened."""

    def stop(self) -> None:
        """End; no call follows."""


class Observers:
    """Many observers as one, none of which can fail a search or silence another.

    The first failure of an observer is logged with its traceback, later ones at debug level only. One that failed in
    `start` is left alone afterwards.

    Parameters
    ----------
    observers : iterable of Observer
        Called in this order.
    """

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = list(observers)
        self._failed: set[int] = set()

    def start(self, plan: Plan, history: History, dashboard_link: str | None) -> None:
        """Start all."""
        self._observers = [
            observer
            for observer in self._observers
            if self._call(observer, lambda o: o.start(plan, history, dashboard_link))
        ]

    def event(self, event: Event) -> None:
        """Pass an event on to all."""
        for observer in self._observers:
            self._call(observer, lambda o: o.event(event))

    def stop(self) -> None:
        """Stop all that were started."""
        for observer in self._observers:
            self._call(observer, lambda o: o.stop())

    def _call(self, observer: Observer, method: Callable[[Observer], None]) -> bool:
        try:
            method(observer)
        except Exception:
            first = id(observer) not in self._failed
            self._failed.add(id(observer))
            logger.log(
                logging.ERROR if first else logging.DEBUG, "%r failed; the search goes on", observer, exc_info=True
            )
            return False
        return True
