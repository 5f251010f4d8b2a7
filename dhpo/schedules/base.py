"""The contract of schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from dhpo.schedules.plan import Plan
from dhpo.trial import Decision, Report, Train
from dhpo.wording import counted

__all__ = ["Schedule", "answered"]


def answered(report: Report, training: Mapping[int, Train]) -> Train:
    """Find what a report answers.

    Parameters
    ----------
    report : Report
    training : mapping of int to Train
        What was asked for and not reported yet, by trial.

    Raises
    ------
    ValueError
        If that trial is not in training, or did not fail and is at another resource than was asked for.
    """
    asked = training.get(report.trial)
    if asked is None:
        raise ValueError(
            f"tell() got a report of trial {report.trial}, which is not in training: report each Train once."
        )
    if not report.failed and report.resource != asked.resource:
        raise ValueError(
            f"tell() got a report of trial {report.trial} at {counted(report.resource, 'call')}; the Train asked for "
            f"{asked.resource}. Report that resource, or a failure."
        )
    return asked


class Schedule(Protocol):
    """Decides how long trials are trained.

    A conversation: `ask` until it returns None, run what it said, `tell` what came of it, `ask` again; until `done`.
    The same conversation gives the same decisions, so a search is resumed by telling its reports again.
    `dhpo.testing.check_schedule` checks all of it. One that has a method ``begin(n_threads)``, too, is told before the
    first `ask` how many threads the cluster has then; a journal keeps that number.

    Examples
    --------
    A schedule that trains all its trials to the end, checked by `dhpo.testing.check_schedule`:

    >>> from dhpo import BracketPlan, Drop, Plan, Rung, Train
    >>> from dhpo.testing import check_schedule
    >>> class ToTheEnd:
    ...     asynchronous = False
    ...
    ...     def __init__(self, n_trials, max_iter):
    ...         self._plan = Plan((BracketPlan(0, (Rung(n_trials, max_iter),)),))
    ...         self._decisions = [Train(number, max_iter) for number in range(n_trials)]
    ...         self._training = {}
    ...
    ...     @property
    ...     def done(self):
    ...         return not self._decisions and not self._training
    ...
    ...     def ask(self):
    ...         decision = self._decisions.pop(0) if self._decisions else None
    ...         if isinstance(decision, Train):
    ...             self._training[decision.trial] = decision
    ...         return decision
    ...
    ...     def tell(self, report):
    ...         asked = self._training.get(report.trial)
    ...         if asked is None or not (report.failed or report.resource == asked.resource):
    ...             raise ValueError(f"{report} was not asked for")
    ...         del self._training[report.trial]
    ...         self._decisions.append(Drop(report.trial, "failed" if report.failed else "finished"))
    ...
    ...     def plan(self):
    ...         return self._plan
    ...
    ...     def leading(self):
    ...         return ()
    >>> check_schedule(lambda: ToTheEnd(n_trials=4, max_iter=10))
    """

    @property
    def asynchronous(self) -> bool:
        """Whether what `ask` says depends on when it is asked; may be a class attribute.

        An executor asks an asynchronous schedule only when it has a free worker, once for each, so that every decision
        rests on all reports there are. All other schedules it asks until they return None.
        """

    @property
    def done(self) -> bool:
        """Whether every trial was dropped and no decision will follow."""

    def ask(self) -> Decision | None:
        """Return the next decision, or None when a report has to come first; None changes nothing.

        A trial has one `Train` at a time, and ends with one `Drop`.
        """

    def tell(self, report: Report) -> None:
        """Take the report of a `Train` handed out before.

        Raises
        ------
        ValueError
            If that trial is not in training, or did not fail and is at another resource than was asked for.
        """

    def plan(self) -> Plan:
        """Return what will run when nothing fails and nothing stops early."""

    def leading(self) -> tuple[Train, ...]:
        """Return what would be trained next if the trials still to come all did worse; changes nothing.

        Best first. An executor with idle workers may train these ahead, at lowest priority. What `ask` then promotes
        is there already, what it does not is thrown away, and the decisions stay the same bit for bit. A trial that was
        in here, and is no longer though it still waits, will not be promoted. Schedules that let no trial wait return
        an empty tuple, and so may any other.
        """
