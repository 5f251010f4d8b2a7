"""Stop trials that no longer improve, under any schedule."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from numbers import Real

from dhpo.errors.checks import checked_int
from dhpo.schedules.base import Schedule, answered
from dhpo.schedules.plan import Plan
from dhpo.trial import Decision, Drop, Report, Train

__all__ = ["Patience"]


class Patience:
    """Train in slices, and stop a trial whose score has reached a plateau.

    A trial is on a plateau when none of its scores of the last `patience` calls is more than `tol` above the oldest of
    them. It is then trained no further: its last score stands for it at all later rungs, so that it may still win, and
    it ends as "plateau".

    Parameters
    ----------
    schedule : Schedule
        Decides everything else.
    patience : int
        Calls without improvement to wait; a trial is scored at least that often.
    tol : float or None, default 1e-3
        The improvement that counts. With None or nan no trial is stopped.
    fits_per_score : int, optional
        Score that often, if it is more often than every `patience` calls. Where the schedule itself asks for scores in
        regular steps, as `Incremental` does, give the same here.

    Notes
    -----
    The window reaches back over as many whole slices as fit into `patience` scores, but not less than one slice: with a
    score after each call, over `patience` scores; with a score every `patience` calls, over two. Until a trial has
    scores that far apart it is not judged, so a rung right after a slice does not end it. (dask-ml also takes the one
    score before, and scores each model after its first call in addition.)

    Examples
    --------
    >>> from dhpo import Report
    >>> from dhpo.schedules import Fixed, Patience
    >>> schedule = Patience(Fixed(n_trials=1, max_iter=100), patience=10)
    >>> for score in (0.5, 0.7, 0.7):
    ...     train = schedule.ask()
    ...     schedule.tell(Report(train.trial, train.resource, score))
    >>> train.resource
    30
    >>> schedule.ask()
    Drop(trial=0, reason='plateau')
    """

    def __init__(
        self, schedule: Schedule, patience: int, tol: float | None = 1e-3, fits_per_score: int | None = None
    ) -> None:
        self._patience = checked_int("patience", patience, minimum=2)  # 1 would find a plateau in any score
        if tol is not None and not isinstance(tol, Real):
            raise ValueError(f"tol={tol!r} is not allowed: give a number or None.")
        self._tol = math.nan if tol is None else float(tol)
        step = self._patience if fits_per_score is None else checked_int("fits_per_score", fits_per_score)
        self._slice = min(self._patience, step)
        self._window = max(self._slice, (self._patience - 1) // self._slice * self._slice)
        self._schedule = schedule
        self._asked: dict[int, Train] = {}  # by the schedule, and not reported to it yet
        self._scores: dict[int, list[tuple[int, float]]] = {}  # resource and score, as far back as the window
        self._next_slices: deque[Train] = deque()
        self._training: dict[int, Train] = {}  # slices handed out
        self._settled: set[int] = set()  # on a plateau, not dropped by the schedule yet
        self._cut_short: set[int] = set()  # of those, the ones that the schedule wanted to train further
        self._held: Decision | None = None

    @property
    def asynchronous(self) -> bool:
        """Whether the schedule inside is."""
        return self._schedule.asynchronous

    @property
    def done(self) -> bool:
        """Whether every trial was dropped and no decision will follow."""
        return self._held is None and self._schedule.done

    def begin(self, n_threads: int) -> None:
        """Tell the schedule inside how many threads there are, if it wants to know."""
        if hasattr(self._schedule, "begin"):
            self._schedule.begin(n_threads)

    def ask(self) -> Decision | None:
        """Return the next decision, slices of trials already in training first, or None."""
        decision = self._next_slices.popleft() if self._next_slices else self._ask_schedule()
        if isinstance(decision, Train):
            self._training[decision.trial] = decision
        return decision

    def tell(self, report: Report) -> None:
        """Take the report of a slice."""
        answered(report, self._training)
        del self._training[report.trial]
        asked = self._asked[report.trial]
        if report.failed:
            self._pass_on(report)
            return
        self._scores.setdefault(report.trial, []).append((report.resource, report.score))
        if self._on_plateau(report.trial):
            self._settled.add(report.trial)
        if report.resource == asked.resource:
            self._pass_on(report)
        elif report.trial in self._settled:
            self._cut_short.add(report.trial)
            self._pass_on(Report(report.trial, asked.resource, report.score))
        else:
            self._next_slices.append(self._sliced(asked))

    def plan(self) -> Plan:
        """Return what will run when nothing fails and no trial reaches a plateau."""
        return self._schedule.plan()

    def leading(self) -> tuple[Train, ...]:
        """Return nothing: what the schedule inside would train next may be cut short."""
        return ()

    def _ask_schedule(self) -> Decision | None:
        decision, self._held = (self._held or self._schedule.ask()), None
        if isinstance(decision, Train):
            self._asked[decision.trial] = decision
            decision = self._sliced(decision)
        elif isinstance(decision, Drop):
            decision = self._forget(decision)
        self._look_ahead()
        return decision

    def _pass_on(self, report: Report) -> None:
        del self._asked[report.trial]
        self._schedule.tell(report)
        self._look_ahead()

    def _look_ahead(self) -> None:
        # Answering for a settled trial changes the schedule, and ask() that returns None must not. So it is done here,
        # after whatever did change something, up to the first decision that is not such a one; that one is held.
        while self._settled and self._held is None:
            decision = self._schedule.ask()
            if isinstance(decision, Train) and decision.trial in self._settled:
                self._cut_short.add(decision.trial)
                _, score = self._scores[decision.trial][-1]
                self._schedule.tell(Report(decision.trial, decision.resource, score))
            elif decision is None:
                return
            else:
                self._held = decision

    def _on_plateau(self, trial: int) -> bool:
        scores = self._scores[trial]
        now, _ = scores[-1]
        far_back = [i for i, (resource, _) in enumerate(scores) if resource <= now - self._window]
        if not far_back:
            return False
        del scores[: far_back[-1]]
        (_, oldest), *later = scores
        return max(score for _, score in later) - oldest <= self._tol

    def _sliced(self, asked: Train) -> Train:
        scores = self._scores.get(asked.trial)
        seen = scores[-1][0] if scores else 0
        return replace(asked, resource=min(seen + self._slice, asked.resource))

    def _forget(self, drop: Drop) -> Drop:
        self._scores.pop(drop.trial, None)
        self._settled.discard(drop.trial)
        if drop.trial in self._cut_short:
            self._cut_short.remove(drop.trial)
            return Drop(drop.trial, "plateau")
        return drop
