"""Sends steps to free threads: the most promising trials first, copies for silent workers, and what may be ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dhpo.cluster.workers import Workers
from dhpo.driver.folds import is_refit
from dhpo.driver.in_flight import InFlight
from dhpo.driver.job import Job
from dhpo.driver.ledger import Ledger
from dhpo.driver.startup import Opened
from dhpo.driver.step_length import Pace
from dhpo.driver.step_name import step_name
from dhpo.driver.step_planning import Assignment, Ready, plan_steps
from dhpo.storage.workspace import Workspace

__all__ = ["StepSubmission"]

# Trials of an asynchronous schedule that wait for a thread to share the reads of blocks.
_MOST_TOGETHER = 8
# For each thread: trials that are trained before they are promoted, and how long such a step lasts.
_MOST_AHEAD = 8
_AHEAD_SECONDS = 0.5
# Seconds without a sign of life of a worker, after which what it does goes before the work of others.
_SILENT_TOO_LONG = 20.0


class StepSubmission:
    """Decides what free threads do now, and has it sent.

    Parameters
    ----------
    job : Job
    opened : Opened
    workspace : Workspace
    workers : Workers
    ledger : Ledger
    steps : InFlight
    pace : Pace
    """

    def __init__(
        self,
        job: Job,
        opened: Opened,
        workspace: Workspace,
        workers: Workers,
        ledger: Ledger,
        steps: InFlight,
        pace: Pace,
    ) -> None:
        self._job = job
        self._opened = opened
        self._workspace = workspace
        self._workers = workers
        self._ledger = ledger
        self._steps = steps
        self._pace = pace
        self._reads_again = not workers.cache_holds(opened.data.nbytes)

    @property
    def together(self) -> float:
        """How many seconds a step of trials should last that could be trained one after the other."""
        if not self._gather:
            soon = self._job.schedule.asynchronous or self._ledger.starts.wait_for_reports
            return self._pace.together(self._workers.n_threads, soon)
        return min(self._pace.step_seconds, _MOST_TOGETHER * (self._ledger.costs.mean_call or self._pace.step_seconds))

    @property
    def _gather(self) -> bool:
        """Whether it is worth more to share the reads of blocks than to train the most promising first."""
        return self._reads_again and not self._ledger.costs.reading_is_cheap

    def submit(self, idle_since: float, refitting: bool) -> None:
        """Give free threads something to do, as far as there is something.

        Parameters
        ----------
        idle_since : float
            Since when they may have had nothing to do, by the clock of the search.
        refitting : bool
            Whether nothing is wanted but the best model, trained on all rows.
        """
        # Before all others where the schedule never runs out of work; else by threads that would idle.
        self._steps.copy_silent(_SILENT_TOO_LONG, self._crumb)
        if self._workers.free:
            ready = [waiting for waiting in self._ledger.trials.ready() if is_refit(waiting.model) or not refitting]
            if self._ledger.starts.asking.under_way:  # the sampler is not asked for two trials at a time
                ready = [waiting for waiting in ready if self._ledger.starts.is_begun(waiting.model)]
            # An asynchronous schedule was asked for what the free threads can do; else the busy ones have a share.
            for_all = self._gather or not self._job.schedule.asynchronous
            for some in self._in_turn(ready):
                self._submit_some(some, self._pace.step_seconds, for_all, idle_since)
        self._steps.copy_silent(0.0, self._crumb)
        # Not where the data is read again and again: those promoted later would not share the reads of these.
        ahead = self._job.speculate and not self._gather and not refitting
        if ahead and self._workers.free and not any(True for _ in self._ledger.trials.ready()):
            # In short steps: what is decided meanwhile goes before.
            self._ledger.look_ahead(_MOST_AHEAD * self._workers.n_threads)
            seconds = min(self._pace.step_seconds, _AHEAD_SECONDS)
            self._submit_some(list(self._ledger.trials.ready(ahead=True)), seconds, False, idle_since)

    def _in_turn(self, ready: Sequence[Ready]) -> Iterator[Sequence[Ready]]:
        """All at once; but trials of a later bracket only for threads that would idle, if a sampler learns for them."""
        if not self._ledger.starts.wait_for_reports:
            yield ready
            return
        first = min((waiting.promise[0] for waiting in ready), default=0.0)
        early = {w.model for w in ready if w.promise[0] > first and not self._ledger.starts.is_begun(w.model)}
        yield [waiting for waiting in ready if waiting.model not in early]
        yield [waiting for waiting in ready if waiting.model in early]

    def _submit_some(self, ready: Sequence[Ready], seconds: float, for_all: bool, idle_since: float) -> None:
        free = self._workers.free
        if not free or not ready:
            return
        n_threads, under_way = self._workers.n_threads, self._steps.under_way
        if not for_all:
            n_threads, under_way = len(free), []
        together = min(self.together, seconds)
        costs, gather = self._ledger.costs, self._gather
        for assignment in plan_steps(
            ready, free, n_threads, under_way, costs, seconds=seconds, together=together, gather=gather
        ):
            self._submit_one(assignment, seconds, idle_since)

    def _submit_one(self, assignment: Assignment, seconds: float, idle_since: float) -> None:
        opened = self._opened
        if self._job.trainer.needs_all_rows:  # each model goes to its target at once
            models = (self._ledger.trials.of_model(number)[0] for number in assignment.models)
            assignment = replace(assignment, until=max(active.next_target for active in models))
        self._ledger.starts.begin(assignment.models)
        works = [self._ledger.work(number, with_model=not opened.store_shared) for number in assignment.models]
        memory_limit = self._workers.memory_limit(assignment.worker)
        step, futures = opened.data.step(
            works, assignment.until, seconds, memory_limit, self._crumb(self._steps.n_sent)
        )
        name = step_name(step, self._ledger.trials.brackets(assignment.models), assignment.rung)
        self._steps.submit(name, assignment, step, futures, idle_since)
        self._ledger.trials.sent(assignment)

    def _crumb(self, number: int) -> str:
        return self._workspace.crumb(number, self._opened.shared)
