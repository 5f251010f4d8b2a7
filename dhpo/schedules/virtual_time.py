"""Make an asynchronous schedule independent of the order in which reports come."""

from __future__ import annotations

import heapq

from dhpo.errors.checks import checked_int
from dhpo.schedules.base import Schedule, answered
from dhpo.schedules.plan import Plan
from dhpo.trial import Decision, Report, Train

__all__ = ["InVirtualTime"]

# Measured on five tables of learning curves, at 1, 8 and 32 workers: with as many slots as workers, trials whose calls
# cost differently (a lognormal factor with sigma 0.5) take 1.4 to 2.2 times the time of ASHA itself; with half as many
# again, or twice as many, 1.1 to 1.6 times. The calls to a target are at most 1.04 times those of ASHA.
_FEW = 4


class InVirtualTime:
    """Tell an asynchronous schedule its reports in the order in which ideal workers would have come to them.

    It pretends that `slots` workers run the jobs, each for as long as the `partial_fit` calls that the job adds. The
    schedule inside is asked when one of them is free, and told a report when its job ends on them; jobs that end at
    the same time are told in the order of trial numbers. A report that comes early is kept until then, so the decisions
    are the same bit for bit for any number of real workers, slow or lost ones included. A job that failed ends when it
    would have ended otherwise.

    Parameters
    ----------
    schedule : Schedule
        Such as `ASHA`.
    slots : int, optional
        Number of pretended workers, and most jobs at a time. A real worker beyond them is idle; fewer of them, or
        uneven ones, leave the search waiting now and then for a report that is due. Default: what follows from the
        number of threads n that `begin` tells, n for up to four and 2 n - 4 for more: enough that uneven trials leave
        few of them waiting, and few enough that promotions are not late.

    Examples
    --------
    The decisions of `ASHA` are now the same for any number of workers:

    >>> from dhpo.schedules import ASHA, InVirtualTime
    >>> from dhpo.testing import simulate
    >>> few, many = (
    ...     simulate(InVirtualTime(ASHA(27, 1, 27), slots=8), workers=workers, durations=1.0) for workers in (2, 8)
    ... )
    >>> few.decisions == many.decisions
    True
    """

    asynchronous = False

    def __init__(self, schedule: Schedule, slots: int | None = None) -> None:
        self._slots = None if slots is None else checked_int("slots", slots)
        self._schedule = schedule
        self._now = 0
        self._running: dict[int, Train] = {}
        self._ends: list[tuple[int, int]] = []  # virtual time and trial, of those running
        self._calls: dict[int, int] = {}  # seen by each trial at the end of its last job
        self._early: dict[int, Report] = {}

    @property
    def done(self) -> bool:
        """Whether every trial was dropped and no decision will follow."""
        return self._schedule.done

    def begin(self, n_threads: int) -> None:
        """Take the number of threads that there are, before the first decision."""
        if self._slots is None:
            self._slots = max(n_threads, 2 * n_threads - _FEW)

    def ask(self) -> Decision | None:
        """Return the next decision, or None when the report that is due next did not come.

        Raises
        ------
        RuntimeError
            If it was given no slots, and not told the number of threads.
        """
        if self._slots is None:
            raise RuntimeError("the number of slots is not known: give slots=, or call begin(n_threads) first.")
        # Going on to the next report before None is returned changes nothing that follows: the schedule inside hears
        # and says the same, no earlier and no later.
        while True:
            decision = self._schedule.ask() if len(self._running) < self._slots else None
            if isinstance(decision, Train):
                self._begin(decision)
            if decision is not None or not self._end_next():
                return decision

    def tell(self, report: Report) -> None:
        """Take the report of a `Train` handed out before."""
        if report.trial in self._early:
            raise ValueError(
                f"tell() got a report of trial {report.trial}, which is not in training: report each Train once."
            )
        answered(report, self._running)
        self._early[report.trial] = report

    def plan(self) -> Plan:
        """Return what will run when nothing fails."""
        return self._schedule.plan()

    def leading(self) -> tuple[Train, ...]:
        """Return nothing: a report that is due decides what comes next."""
        return ()

    def _begin(self, train: Train) -> None:
        end = self._now + train.resource - self._calls.get(train.trial, 0)
        self._calls[train.trial] = train.resource
        self._running[train.trial] = train
        heapq.heappush(self._ends, (end, train.trial))

    def _end_next(self) -> bool:
        """End the job that is due, if its report has come."""
        if not self._ends or self._ends[0][1] not in self._early:
            return False
        self._now, trial = heapq.heappop(self._ends)
        del self._running[trial]
        self._schedule.tell(self._early.pop(trial))
        return True
