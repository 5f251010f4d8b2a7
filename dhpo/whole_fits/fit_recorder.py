"""The record of a search by whole fits."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import cloudpickle
import joblib

from dhpo.errors.user_code import in_thread
from dhpo.history.events import DataPrepared, FitDone, Refitted, Reported, TrialStarted
from dhpo.journal.description import check_same_data, check_same_params
from dhpo.observers.recorder import Recorder
from dhpo.storage.model_store import ModelLost
from dhpo.whole_fits.candidates import Candidates
from dhpo.whole_fits.fit_job import FitData
from dhpo.whole_fits.fits import FitOutcome
from dhpo.whole_fits.outcomes import Outcomes
from dhpo.whole_fits.row_selection import n_samples

__all__ = ["FitRecorder"]

logger = logging.getLogger(__name__)


class FitRecorder(Recorder):
    """Writes the events of a search by whole fits down, and takes those in that an earlier process has written."""

    def replay(self, outcomes: Outcomes, candidates: Candidates) -> None:
        """Take in what an earlier process has done.

        Raises
        ------
        JournalError
            If a sampler that learns gives a candidate other parameters now.
        """
        for event in self.earlier:
            self.repeat(event)
            match event:
                case TrialStarted(trial):
                    if candidates.sampler is not None:  # those that are listed are a part of the journal's identity
                        check_same_params(trial, candidates[trial.number])
                    outcomes.begins(trial.number)
                case Reported(report):
                    outcomes.reported(report.trial)
                    candidates.tell(report)
                case FitDone():
                    failures = list(event.failures)
                    outcomes.take(FitOutcome(event.candidate, event.split, event.scores, event.several, failures))

    async def check_data(self, data: FitData) -> None:
        """Record what the data is, or compare it with what an earlier process has recorded.

        Raises
        ------
        JournalError
            If data or splits are others.
        """
        if self._journal is None:
            return
        n_rows = n_samples(data.X)
        now = DataPrepared(1, n_rows, n_rows, 0, 0, self.now(), await in_thread(joblib.hash, data))
        before = next((event for event in self.earlier if isinstance(event, DataPrepared)), None)
        if before is None:
            self.append(now)
        else:
            check_same_data(before, now, "data, or on other splits of it (give a random splitter a seed)")

    async def keep_model(self, candidate: int, n_splits: int, model: bytes, seconds: float) -> None:
        """Store the model of the best candidate, fitted on all rows."""
        if self._journal is not None:
            written = await asyncio.to_thread(self._journal.models.write, {(candidate, n_splits): model})
            self.append(Refitted(candidate, written[candidate], self.now(), seconds))

    def kept_model(self, candidate: int) -> tuple[Any, float] | None:
        """The model that an earlier process has fitted on all rows, and the seconds that took."""
        for event in self.earlier:
            if isinstance(event, Refitted) and event.trial == candidate and self._journal is not None:
                try:
                    return cloudpickle.loads(self._journal.models.read(event.checkpoint)), event.seconds
                except ModelLost:
                    logger.warning("the model of candidate %d, the best, is lost", candidate, exc_info=True)
        return None
