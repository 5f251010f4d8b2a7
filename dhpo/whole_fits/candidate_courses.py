"""How candidates that are fitted whole come to their fits, and to their reports."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from dhpo.history.events import Dropped, Reported, Reused, TrialStarted
from dhpo.trial import Drop, Trial
from dhpo.whole_fits.candidates import Candidates
from dhpo.whole_fits.fit_job import CandidateSplit
from dhpo.whole_fits.fit_recorder import FitRecorder
from dhpo.whole_fits.fits import FitOutcome
from dhpo.whole_fits.known_fits import KnownFits
from dhpo.whole_fits.outcomes import Outcomes

__all__ = ["CandidateCourses"]


class CandidateCourses:
    """Queues candidates for their fits, begins them, and reports those that are complete.

    Parameters
    ----------
    candidates : Candidates
    outcomes : Outcomes
    recorder : FitRecorder

    Attributes
    ----------
    n_queued : int
        Candidates that wait for their fits, or had them.
    known : KnownFits or None
        What earlier searches have done.
    """

    def __init__(self, candidates: Candidates, outcomes: Outcomes, recorder: FitRecorder) -> None:
        self.n_queued = 0
        self.known: KnownFits | None = None
        self._candidates = candidates
        self._outcomes = outcomes
        self._recorder = recorder

    def begin(self, number: int) -> None:
        """Record a candidate, where that was not done yet.

        One that a sampler gives is recorded before that is told of another report: the journal has their order.
        """
        params = self._candidates[number]
        if self._outcomes.begins(number):
            self._recorder.append(TrialStarted(Trial(number, params), self._recorder.now()))

    def take_asked(self) -> None:
        """Take up the candidate that was drawn in a thread, if there is one."""
        if (number := self._candidates.take_asked()) is not None:
            self.begin(number)

    def queue(self, waiting: deque[CandidateSplit]) -> bool:
        """See to it that something waits, and return whether it does: a sampler that learns is asked when needed."""
        candidates = self._candidates
        while self.n_queued < len(candidates) and not (waiting and candidates.sampler):
            number = self.n_queued
            # The sampler is not asked for two at a time, nor told meanwhile of what an earlier search has scored.
            if candidates.task is not None and (number >= candidates.n_known or self.known is not None):
                break
            if candidates.sampler:
                self.begin(number)
            self._take_over(number)
            waiting.extend(
                CandidateSplit(number, split, candidates[number])
                for split in range(self._outcomes.n_splits)
                if not self._outcomes.is_done(number, split)
            )
            self.n_queued += 1
        return bool(waiting)

    def _take_over(self, number: int) -> None:
        """Take the fits of a candidate over that an earlier search has done."""
        known = {} if self.known is None else self.known.fits(number, self._candidates[number])
        source, fits = "", []
        for split in range(self._outcomes.n_splits):
            if split in known and not self._outcomes.is_done(number, split):
                source, done = known[split]
                fits.append(done)
        if not fits:
            return
        self.begin(number)
        # Before the fits: an earlier process may have taken over a part of them, and has counted all.
        if not any(isinstance(event, Reused) and event.trial == number for event in self._recorder.earlier):
            self._recorder.append(Reused(number, len(fits), source, self._recorder.now()))
        for done in fits:
            self._outcomes.take(FitOutcome(number, done.split, done.scores, done.several, []))
            self._recorder.append(replace(done, time=self._recorder.now()))
        self.report_complete()

    def report_complete(self) -> None:
        """Report the candidates that were fitted on all splits."""
        for candidate in self._outcomes.unreported():
            report, splits = self._outcomes.report(candidate)
            self._recorder.append(Reported(report, self._recorder.now(), splits))
            self._candidates.tell(report)
            self._recorder.append(
                Dropped(Drop(candidate, "failed" if report.failed else "finished"), self._recorder.now())
            )
