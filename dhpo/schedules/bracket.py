"""The engine of all synchronous schedules, and the schedule that runs several of them at once."""

from __future__ import annotations

import heapq
from bisect import bisect_right, insort
from itertools import accumulate, chain, groupby, zip_longest
from operator import is_

from dhpo.schedules.base import answered
from dhpo.schedules.plan import BracketPlan, Plan
from dhpo.trial import Decision, Drop, DropReason, Report, Train

__all__ = ["Bracket", "BracketSchedule"]

Urgency = tuple[bool, int, int]


class Bracket:
    """Train to a rung, keep the best, train those to the next.

    Successive halving over any table of rungs (Jamieson and Talwalkar, 2016): when all trials of a rung have
    reported, the best of them go on, as many as the next rung holds. Ties go to the lower trial number. A trial that
    failed is never promoted; where too few are left, fewer go on. Where the next rung holds as many as this one, nobody
    has to wait for the others.

    Parameters
    ----------
    plan : BracketPlan
        The table.
    first_trial : int, default 0
        Number of the first trial; the others follow it.

    Examples
    --------
    >>> from dhpo import BracketPlan, Report, Rung
    >>> from dhpo.schedules import Bracket
    >>> bracket = Bracket(BracketPlan(0, (Rung(2, 1), Rung(1, 3))))
    >>> [bracket.ask() for _ in range(3)]
    [Train(trial=0, resource=1, bracket=0, rung=0), Train(trial=1, resource=1, bracket=0, rung=0), None]
    >>> bracket.tell(Report(trial=0, resource=1, score=0.5))
    >>> bracket.tell(Report(trial=1, resource=1, score=0.7))
    >>> [bracket.ask() for _ in range(2)]
    [Drop(trial=0, reason='not promoted'), Train(trial=1, resource=3, bracket=0, rung=1)]
    """

    def __init__(self, plan: BracketPlan, first_trial: int = 0) -> None:
        self._number = plan.bracket
        self._rungs = plan.rungs
        self._next_start = first_trial
        self._end_start = first_trial + plan.n_trials
        self._ready: list[tuple[Urgency, Decision]] = []
        self._training: dict[int, Train] = {}
        self._gate = self._next_gate(0)
        self._waiting: list[tuple[float, int, Train]] = []  # at the gate, best first, with what comes above it
        self._leading: tuple[Train, ...] | None = ()
        self._on_the_way = plan.n_trials  # trials that are neither at the gate nor dropped

    @property
    def done(self) -> bool:
        """Whether every trial was dropped and no decision will follow."""
        return self._on_the_way == 0 and not self._ready

    @property
    def urgency(self) -> Urgency | None:
        """Sort key of the decision that `ask` would return: drops, then later rungs, then lower trial numbers."""
        if self._ready:
            return self._ready[0][0]
        return _urgency(self._start()) if self._next_start < self._end_start else None

    @property
    def gate(self) -> int:
        """The rung on which trials wait for each other now."""
        return self._gate

    def ask(self) -> Decision | None:
        """Return the next decision, or None when a report has to come first."""
        if self._ready:
            _, decision = heapq.heappop(self._ready)
        elif self._next_start < self._end_start:
            decision = self._start()
            self._next_start += 1
        else:
            return None
        if isinstance(decision, Train):
            self._training[decision.trial] = decision
        return decision

    def tell(self, report: Report) -> None:
        """Take the report of a `Train` handed out before."""
        trial = report.trial
        asked = answered(report, self._training)
        del self._training[trial]
        if report.failed:
            self._drop(trial, "failed")
        elif asked.rung == len(self._rungs) - 1:
            self._drop(trial, "finished")
        elif asked.rung < self._gate:
            self._push(self._promotion(trial, asked.rung + 1))
            return
        else:
            # The trial number is unique, so the decisions themselves are never compared.
            insort(self._waiting, (-report.score, trial, self._promotion(trial, asked.rung + 1)))
            self._leading = None
        self._on_the_way -= 1
        if self._on_the_way == 0:
            self._open_gate()

    def leading(self) -> tuple[Train, ...]:
        """Return what would be trained next if the trials still to come to the gate all did worse.

        The same object until that changes.
        """
        if self._leading is None:
            n_promoted = self._rungs[self._gate + 1].n_trials
            self._leading = tuple([train for _, _, train in self._waiting[:n_promoted]])
        return self._leading

    def _open_gate(self) -> None:
        if not self._waiting:
            return
        promoted = self.leading()
        for train in promoted:
            self._push(train)
        for _, trial, _ in self._waiting[len(promoted) :]:
            self._drop(trial, "not promoted")
        self._on_the_way = len(promoted)
        self._gate = self._next_gate(self._gate + 1)
        self._waiting = []
        self._leading = ()

    def _next_gate(self, rung: int) -> int:
        """Return the first rung from `rung` on above which there is less room: where trials have to wait."""
        while rung < len(self._rungs) - 1 and self._rungs[rung + 1].n_trials == self._rungs[rung].n_trials:
            rung += 1
        return rung

    def _start(self) -> Train:
        return Train(self._next_start, self._rungs[0].resource, self._number, 0)

    def _promotion(self, trial: int, rung: int) -> Train:
        return Train(trial, self._rungs[rung].resource, self._number, rung)

    def _drop(self, trial: int, reason: DropReason) -> None:
        self._push(Drop(trial, reason))

    def _push(self, decision: Decision) -> None:
        heapq.heappush(self._ready, (_urgency(decision), decision))


def _urgency(decision: Decision) -> Urgency:
    # Unique, since a trial has one decision at a time: a heap never compares the decisions themselves.
    if isinstance(decision, Train):
        return (True, -decision.rung, decision.trial)
    return (False, 0, decision.trial)


class BracketSchedule:
    """A synchronous schedule: the brackets of a plan, all open at once.

    Trials are numbered through the brackets in the order of the plan. The decisions are the same for any order of
    reports.

    Parameters
    ----------
    plan : Plan
        The rung tables.

    Examples
    --------
    A synchronous schedule of one's own is a table of rungs:

    >>> from dhpo import BracketPlan, Plan, Rung
    >>> from dhpo.schedules import BracketSchedule
    >>> from dhpo.testing import check_schedule
    >>> class KeepHalf(BracketSchedule):
    ...     def __init__(self, n_trials, max_iter):
    ...         rungs = (Rung(n_trials, max_iter // 2), Rung(n_trials // 2, max_iter))
    ...         super().__init__(Plan((BracketPlan(0, rungs),)))
    >>> check_schedule(lambda: KeepHalf(n_trials=8, max_iter=10))
    >>> KeepHalf(n_trials=8, max_iter=10).plan().partial_fit_calls
    60
    """

    asynchronous = False

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._first_trials = list(accumulate((b.n_trials for b in plan.brackets[:-1]), initial=0))
        self._brackets = [Bracket(b, first) for b, first in zip(plan.brackets, self._first_trials, strict=True)]
        self._leading: tuple[Train, ...] = ()
        self._leading_of_each: list[tuple[Train, ...]] = []

    @property
    def done(self) -> bool:
        """Whether every trial was dropped and no decision will follow."""
        return all(bracket.done for bracket in self._brackets)

    def ask(self) -> Decision | None:
        """Return the next decision, later rungs first, or None when a report has to come first."""
        waiting = [(urgency, bracket) for bracket in self._brackets if (urgency := bracket.urgency) is not None]
        if not waiting:
            return None
        return min(waiting, key=lambda pair: pair[0])[1].ask()

    def tell(self, report: Report) -> None:
        """Take the report of a `Train` handed out before."""
        self._brackets[bisect_right(self._first_trials, report.trial) - 1].tell(report)

    def plan(self) -> Plan:
        """Return what will run when nothing fails."""
        return self._plan

    def leading(self) -> tuple[Train, ...]:
        """Return what would be trained next if the trials still to come all did worse: later rungs first, then rank.

        The same object until that changes.
        """
        of_each = [bracket.leading() for bracket in self._brackets]
        if not (len(self._leading_of_each) == len(of_each) and all(map(is_, of_each, self._leading_of_each))):
            self._leading_of_each = of_each
            by_gate = groupby(sorted(self._brackets, key=_gate, reverse=True), _gate)
            in_turns = (chain.from_iterable(zip_longest(*(b.leading() for b in brackets))) for _, brackets in by_gate)
            self._leading = tuple(filter(None, chain.from_iterable(in_turns)))
        return self._leading


def _gate(bracket: Bracket) -> int:
    return bracket.gate
