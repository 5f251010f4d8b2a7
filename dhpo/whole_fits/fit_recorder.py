"""The record of a search by whole fits."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import cloudpickle
import joblib

from dhpo.errors.user_code import in_thread
from dhpo.history.events import DataPrepared, FitDone, Refitted, Reported, StartedFrom, TrialStarted
from dhpo.journal.carry_over import Earlier
from dhpo.journal.description import check_same_data, check_same_params
from dhpo.observers.recorder import Recorder
from dhpo.storage.model_store import ModelLost
from dhpo.views.text import started_from_line
from dhpo.whole_fits.candidates import Candidates
from dhpo.whole_fits.fit_job import FitData
from dhpo.whole_fits.fits import FitOutcome
from dhpo.whole_fits.known_fits import KnownFits
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
                case StartedFrom():
                    candidates.start_from(event)
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

    async def check_data(self, data: FitData, with_digest: bool) -> str:
        """Record what the data is, or compare it with what an earlier process has recorded.

        Parameters
        ----------
        data : FitData
        with_digest : bool
            Whether the data has to be known without a journal, too.

        Returns
        -------
        str
            Hash of the data; empty where nobody needs it.

        Raises
        ------
        JournalError
            If data or splits are others.
        """
        if self._journal is None and not with_digest:
            return ""
        n_rows = n_samples(data.X)
        now = DataPrepared(1, n_rows, n_rows, 0, 0, self.now(), await in_thread(joblib.hash, data))
        before = next((event for event in self.earlier if isinstance(event, DataPrepared)), None)
        if before is None:
            self.append(now)
        else:
            check_same_data(before, now, "data, or on other splits of it (give a random splitter a seed)")
        return now.digest

    def start_from(self, earlier: Earlier, candidates: Candidates, digest: str) -> KnownFits:
        """Decide what is taken over from earlier searches, if an earlier process has not; return what they have done.

        Parameters
        ----------
        earlier : Earlier
        candidates : Candidates
            Get points from them.
        digest : str
            Hash of the data.
        """
        if not any(isinstance(event, StartedFrom) for event in self.earlier):
            for event in earlier.decided(digest, self.now()):
                logger.info("%s", started_from_line(event))
                self.append(event)
                candidates.start_from(event)
        return KnownFits([search for search, _, scores in earlier.same(digest) if scores])

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
