"""A schedule as a stranger would write it: the median rule of Google Vizier, with all trials side by side."""

from __future__ import annotations

from collections import deque
from statistics import median

from dhpo import BracketPlan, Drop, Plan, Report, Rung, Train


class MedianStopping:
    """Score every `step` calls, and drop trials whose best score is below the median of the others' at that time."""

    asynchronous = False

    def __init__(self, n_trials: int, step: int, max_iter: int) -> None:
        self.n_trials, self.step, self.max_iter = n_trials, step, max_iter
        self._decisions: deque[Train | Drop] = deque(Train(n, step) for n in range(n_trials))
        self._training: dict[int, Train] = {}
        self._best: dict[int, float] = {}
        self._reports: list[Report] = []

    @property
    def done(self) -> bool:
        return not self._decisions and not self._training

    def plan(self) -> Plan:
        resources = [*range(self.step, self.max_iter, self.step), self.max_iter]
        return Plan((BracketPlan(0, tuple(Rung(self.n_trials, resource) for resource in resources)),))

    def leading(self) -> tuple[Train, ...]:
        return ()

    def ask(self) -> Train | Drop | None:
        decision = self._decisions.popleft() if self._decisions else None
        if isinstance(decision, Train):
            self._training[decision.trial] = decision
        return decision

    def tell(self, report: Report) -> None:
        asked = self._training.pop(report.trial, None)
        if asked is None or (not report.failed and report.resource != asked.resource):
            raise ValueError(f"{report} was not asked for")
        self._reports.append(report)
        if not report.failed:
            self._best[report.trial] = max(report.score, self._best.get(report.trial, report.score))
        if not self._training and not any(isinstance(decision, Train) for decision in self._decisions):
            reports, self._reports = sorted(self._reports, key=lambda r: r.trial), []
            self._decide(reports, asked)

    def _decide(self, reports: list[Report], asked: Train) -> None:
        middle = median([self._best[r.trial] for r in reports if not r.failed] or [0.0])
        for r in reports:
            if r.failed or asked.resource == self.max_iter:
                self._decisions.append(Drop(r.trial, "failed" if r.failed else "finished"))
            elif self._best[r.trial] < middle:
                self._decisions.append(Drop(r.trial, "not promoted"))
            else:
                self._decisions.append(Train(r.trial, min(r.resource + self.step, self.max_iter), rung=asked.rung + 1))
