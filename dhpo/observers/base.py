"""How a search tells others what happens in it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dhpo.errors.checks import check_methods
from dhpo.history.events import Event
from dhpo.history.history import History

if TYPE_CHECKING:
    from distributed import Client

    from dhpo.schedules.plan import Plan

__all__ = ["ObservedSearch", "Observer", "Observers", "checked_observers"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObservedSearch:
    """The search that an observer is told of.

    Parameters
    ----------
    plan : Plan
        The brackets, and the work that they will make.
    history : History
        Grows while the search runs. In a resumed search it first receives the events from before.
    client : distributed.Client
        Of the cluster that the search runs on.
    stop : callable
        ``stop()`` ends the search soon, and ``stop(at_once=True)`` also leaves out the last training of the best on all
        rows, as those of `dhpo.Run` do; from any thread.
    now : callable
        ``now()`` tells the seconds since the search began, in whatever process: the clock of the events.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import HyperbandSearchCV, Observer
    >>> class Announcer(Observer):
    ...     def start(self, search):
    ...         print(f"{search.plan.n_trials} trials, {search.plan.partial_fit_calls} calls of partial_fit")
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> space = {"alpha": [1e-4, 1e-2, 1, 100]}
    >>> search = HyperbandSearchCV(
    ...     SGDClassifier(), space, max_iter=3, callbacks=[Announcer()], random_state=0, verbose=0
    ... )
    >>> search = search.fit(X, y)
    5 trials, 11 calls of partial_fit
    """

    plan: Plan
    history: History
    client: Client
    stop: Callable[..., None]
    now: Callable[[], float]


class Observer:
    """What is told of a search while it runs; inherit from it, and override what you need.

    All three methods are called by the thread that runs the search, one at a time and in this order: `start` once,
    `event` for each event after it was appended to the history, `stop` once, also when the search fails. The search
    waits for them, so they return at once. What they raise is logged and costs the search nothing.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import HyperbandSearchCV, Observer
    >>> from dhpo.history.events import Reported
    >>> class BestSoFar(Observer):
    ...     score = 0.0
    ...
    ...     def event(self, event):
    ...         if isinstance(event, Reported) and not event.report.failed:
    ...             self.score = max(self.score, event.report.score)
    >>> observer = BestSoFar()
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> space = {"alpha": [1e-4, 1e-2, 1, 100]}
    >>> search = HyperbandSearchCV(
    ...     SGDClassifier(), space, max_iter=3, callbacks=[observer], random_state=0, verbose=0
    ... )
    >>> search.fit(X, y).best_score_ > 0.9
    True
    >>> observer.score >= search.best_score_
    True
    """

    def start(self, search: ObservedSearch) -> None:
        """Begin.

        Parameters
        ----------
        search : ObservedSearch
        """

    def event(self, event: Event) -> None:
        """One more thing happened: one of `dhpo.history.events`."""

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
        self._held: list[Event] | None = []  # until they are started

    def start(self, search: ObservedSearch) -> None:
        """Start all, and pass on what happened before."""
        self._observers = [observer for observer in self._observers if self._call(observer, lambda o: o.start(search))]
        held, self._held = self._held or [], None
        for event in held:
            self.event(event)

    def event(self, event: Event) -> None:
        """Pass an event on to all."""
        if self._held is not None:
            self._held.append(event)
            return
        for observer in self._observers:
            self._call(observer, lambda o: o.event(event))

    def stop(self) -> None:
        """Stop all, if they were started."""
        if self._held is not None:
            return
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


def checked_observers(callbacks: Any) -> list[Observer]:
    """Return the observers that the user gives, or say what is wrong with them.

    Raises
    ------
    TypeError
        If they are no sequence, or one of them has not the methods of an `Observer`, or is a class.
    """
    if callbacks is None:
        return []
    if isinstance(callbacks, str | bytes) or not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks={callbacks!r} is not allowed: give a list of observers, see dhpo.Observer.")
    observers = list(callbacks)
    for observer in observers:
        check_methods(f"callbacks: {observer!r}", observer, ("start", "event", "stop"), "dhpo.Observer")
    return observers
