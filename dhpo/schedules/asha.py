"""Asynchronous successive halving."""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass, field

from dhpo.errors.checks import checked_int
from dhpo.schedules.base import answered
from dhpo.schedules.halving import halving_rungs
from dhpo.schedules.plan import BracketPlan, Plan
from dhpo.trial import Decision, Drop, DropReason, Report, Train

__all__ = ["ASHA"]


class ASHA:
    """Successive halving in which no worker waits: promote what is among the best so far, else start a new trial.

    Rung k is at n_initial_iter * aggressiveness**k calls, the last one at `max_iter` if that comes first. Whenever it
    is asked, the schedule promotes the best trial that can be promoted, from the highest rung that has one; if there is
    none it starts a new trial, up to `n_initial_parameters`. A trial can be promoted if it is among the best
    n // aggressiveness of the n trials that have reported on its rung so far. Ties go to the lower trial number.

    What it decides depends on the order in which reports come; `InVirtualTime` fixes that.

    Parameters
    ----------
    n_initial_parameters : int
        Number of trials.
    n_initial_iter : int
        `partial_fit` calls before a trial can be promoted; r in the paper.
    max_iter : int
        Most calls of one trial; R in the paper.
    aggressiveness : int, default 3
        The reduction factor, eta.

    Notes
    -----
    As in the paper, a trial promoted early may turn out not to belong to the best. The paper then promotes those that
    outrank it in addition; here never more than n // aggressiveness of the n trials of a rung go on. So what runs is
    what `plan` says, for any order of reports, unless a trial fails.

    A trial that failed counts as the worst of its rung: it is one of the n, and is never promoted.

    References
    ----------
    .. [1] Li, L., Jamieson, K., Rostamizadeh, A., Gonina, E., Ben-tzur, J., Hardt, M., Recht, B. and Talwalkar, A.
       (2020). A system for massively parallel hyperparameter tuning. MLSys, algorithm 2.
       https://arxiv.org/abs/1810.05934

    Examples
    --------
    Of three trials the best goes on, before the other six were started:

    >>> from dhpo import Report
    >>> from dhpo.schedules import ASHA
    >>> schedule = ASHA(n_initial_parameters=9, n_initial_iter=1, max_iter=9)
    >>> for trial, score in enumerate([0.7, 0.9, 0.8]):
    ...     train = schedule.ask()
    ...     schedule.tell(Report(trial, train.resource, score))
    >>> schedule.ask()
    Train(trial=1, resource=3, bracket=0, rung=1)
    >>> schedule.ask()
    Train(trial=3, resource=1, bracket=0, rung=0)
    """

    asynchronous = True

    def __init__(self, n_initial_parameters: int, n_initial_iter: int, max_iter: int, aggressiveness: int = 3) -> None:
        n = checked_int("n_initial_parameters", n_initial_parameters)
        r = checked_int("n_initial_iter", n_initial_iter)
        max_iter = checked_int("max_iter", max_iter)
        self._eta = checked_int("aggressiveness", aggressiveness, minimum=2)
        if max_iter < r:
            raise ValueError(f"max_iter={max_iter} is not allowed: give an int >= n_initial_iter={r}.")
        self._rungs = halving_rungs(n, r, self._eta, max_iter)
        self._n_trials = n
        self._n_started = 0
        self._on_rung = [_OnRung() for _ in self._rungs]
        self._training: dict[int, Train] = {}
        self._drops: deque[Drop] = deque()

    @property
    def done(self) -> bool:
        """Whether every trial was dropped and no decision will follow."""
        return (
            self._n_started == self._n_trials
            and not self._training
            and not self._drops
            and not any(rung.waiting for rung in self._on_rung)
        )

    def ask(self) -> Decision | None:
        """Return a drop, else a promotion, else a new trial, or None when a report has to come first."""
        if self._drops:
            return self._drops.popleft()
        train = self._promotion() or self._start()
        if train is not None:
            self._training[train.trial] = train
        return train

    def tell(self, report: Report) -> None:
        """Take the report of a `Train` handed out before."""
        trial = report.trial
        asked = answered(report, self._training)
        del self._training[trial]
        rung = self._on_rung[asked.rung]
        rung.n_reported += 1
        if report.failed:
            self._drop(trial, "failed")
        elif asked.rung == len(self._rungs) - 1:
            self._drop(trial, "finished")
        else:
            insort(rung.waiting, (report.score, -trial))
        self._drop_hopeless()

    def plan(self) -> Plan:
        """Return what will run when nothing fails."""
        return Plan((BracketPlan(0, self._rungs),))

    def leading(self) -> tuple[Train, ...]:
        """Return nothing: no trial waits that could be promoted."""
        return ()

    def _promotion(self) -> Train | None:
        # The loop of get_job in algorithm 2. As long as fewer than n // eta were promoted, the best of those that were
        # not is among the best n // eta: only promoted ones are before it.
        for above in range(len(self._rungs) - 1, 0, -1):
            rung = self._on_rung[above - 1]
            if rung.waiting and rung.n_promoted < rung.n_reported // self._eta:
                _, minus_trial = rung.waiting.pop()
                rung.n_promoted += 1
                return Train(-minus_trial, self._rungs[above].resource, rung=above)
        return None

    def _start(self) -> Train | None:
        # The end of get_job: a new trial on the bottom rung.
        if self._n_started == self._n_trials:
            return None
        self._n_started += 1
        return Train(self._n_started - 1, self._rungs[0].resource)

    def _drop_hopeless(self) -> None:
        # A trial that has more before it than will ever be promoted waits for nothing. This ends the search, too: once
        # no report can come, nobody waits but those that are promoted next.
        most = self._n_trials  # that may still come to report on the rung, or have
        for rung in self._on_rung[:-1]:
            room = most // self._eta
            n_hopeless = max(0, rung.n_promoted + len(rung.waiting) - room)
            for _, minus_trial in rung.waiting[:n_hopeless]:
                self._drop(-minus_trial, "not promoted")
            del rung.waiting[:n_hopeless]
            most = min(room, rung.n_promoted + len(rung.waiting) + most - rung.n_reported)

    def _drop(self, trial: int, reason: DropReason) -> None:
        self._drops.append(Drop(trial, reason))


@dataclass(slots=True)
class _OnRung:
    n_reported: int = 0
    n_promoted: int = 0
    waiting: list[tuple[float, int]] = field(default_factory=list)  # score and minus the trial number, best last
