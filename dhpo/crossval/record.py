"""What a search by whole fits tells of itself: to its history, to observers, and to its journal if it has one."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import cloudpickle
import joblib

from dhpo.crossval.fitting import FitOutcome
from dhpo.crossval.job import FitData
from dhpo.crossval.outcomes import Outcomes
from dhpo.crossval.rows import n_samples
from dhpo.events import DataPrepared, Event, FitDone, Refitted, TrialStarted
from dhpo.history import History
from dhpo.journal import Journal
from dhpo.observers.base import Observers
from dhpo.opening import check_same_data
from dhpo.store import ModelLost

__all__ = ["Record"]

logger = logging.getLogger(__name__)


class Record:
    """Writes the events of a search down, and takes those in that an earlier process has written.

    Parameters
    ----------
    history : History
    observers : Observers
    journal : Journal, optional
        Open, and of this very search.
    """

    def __init__(self, history: History, observers: Observers, journal: Journal | None) -> None:
        self._history = history
        self._observers = observers
        self._journal = journal
        before = journal.events[-1].time if journal is not None and journal.events else 0.0
        self._began = time.perf_counter() - before

    def now(self) -> float:
        """Seconds since the search began, in whatever process."""
        return time.perf_counter() - self._began

    def append(self, event: Event) -> None:
        """Tell of one more event."""
        self._history.append(event)
        if self._journal is not None:
            self._journal.append(event)
        self._observers.event(event)

    async def commit(self) -> None:
        """What was told is safe from here on."""
        if self._journal is not None:
            await asyncio.to_thread(self._journal.commit)

    def close(self) -> None:
        """Let other processes use the journal."""
        if self._journal is not None:
            self._journal.close()

    async def replay(self, data: FitData, outcomes: Outcomes) -> None:
        """Take in what an earlier process has done, on the same data and the same splits.

        Raises
        ------
        JournalError
            If data or splits are others.
        """
        if self._journal is None:
            return
        n_rows = n_samples(data.X)
        now = DataPrepared(1, n_rows, n_rows, 0, 0, self.now(), await asyncio.to_thread(joblib.hash, data))
        if not self._journal.events:
            self.append(now)
        for event in self._journal.events:
            self._history.append(event)
            self._observers.event(event)
            match event:
                case DataPrepared():
                    check_same_data(event, now, "data, or on other splits of it (give a random splitter a seed)")
                case TrialStarted(trial):
                    outcomes.begins(trial.number)
                case FitDone():
                    failures = list(event.failures)
                    outcomes.take(FitOutcome(event.candidate, event.split, event.scores, event.several, failures))

    async def keep_model(self, candidate: int, n_splits: int, model: bytes, seconds: float) -> None:
        """Store the model of the best candidate, fitted on all rows."""
        if self._journal is not None:
            written = await asyncio.to_thread(self._journal.models.write, {(candidate, n_splits): model})
            self.append(Refitted(candidate, written[candidate], self.now(), seconds))

    def kept_model(self, candidate: int) -> tuple[Any, float] | None:
        """The model that an earlier process has fitted on all rows, and the seconds that took."""
        for event in [] if self._journal is None else self._journal.events:
            if isinstance(event, Refitted) and event.trial == candidate and self._journal is not None:
                try:
                    return cloudpickle.loads(self._journal.models.read(event.checkpoint)), event.seconds
                except ModelLost:
                    logger.warning("the model of candidate %d, the best, is lost", candidate, exc_info=True)
        return None
