"""How far a trial and its models have come; what the ledger keeps of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from dhpo.history.events import SplitScores
from dhpo.trial import Report, Train, Trial
from dhpo.worker.breadcrumbs import Deed

__all__ = ["ModelProgress", "TrialProgress"]


@dataclass
class ModelProgress:
    """One model of a trial.

    Parameters
    ----------
    number : int
        See `dhpo.driver.folds`.
    calls : int
        `partial_fit` calls that it has seen.
    run_end : int
        See `dhpo.driver.step_planning.Assignment`.
    home : str or None
        The worker that trained it last.
    under_way : bool
        Whether it is in a step.
    died_at : tuple of (int, Deed) or None
        The calls that it had seen when a worker died while something was done with it, and what that was.
    deaths : int
        Workers that died just there.
    failed_steps, lost_steps : int
        Of its steps, one after the other: those that failed for no fault of a model, and those whose workers were gone
        before the end.
    spent : float
        Seconds in `partial_fit` and scores, in all.
    fit_seconds, score_seconds : float
        The same since its last report.
    scores : SplitScores or None
        What is to be reported of it.
    writes : bool
        Whether it writes into the rows that it is given.
    """

    number: int
    calls: int = 0
    run_end: int = 0
    home: str | None = None
    under_way: bool = False
    died_at: tuple[int, Deed] | None = None
    deaths: int = 0
    failed_steps: int = 0
    lost_steps: int = 0
    spent: float = 0.0
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    scores: SplitScores | None = None
    writes: bool = False

    def suspect(self, at: tuple[int, Deed]) -> None:
        """A worker died while something was done with it after so many calls."""
        self.deaths = self.deaths + 1 if self.died_at == at else 1
        self.died_at = at

    def cleared(self) -> None:
        """It is not the cause of the deaths of workers."""
        self.died_at, self.deaths, self.lost_steps = None, 0, 0

    def came_back(self, worker: str, calls: int, scored: bool) -> None:
        """A step with it ended."""
        self.under_way, self.home, self.calls = False, worker, calls
        self.failed_steps = self.lost_steps = 0
        if self.died_at is not None and (calls > self.died_at[0] or scored):
            self.cleared()


@dataclass
class TrialProgress:
    """A trial that the schedule has not dropped.

    Parameters
    ----------
    trial : Trial
        Without parameters until it is begun.
    models : list of ModelProgress
    target, rung : int
        What the schedule asked for last.
    wanted : bool
        Whether its report is awaited.
    ahead : Train or None
        What the schedule may ask for next, where the trial is trained ahead meanwhile.
    scored : bool
        Whether its models are scored at the target.
    last : Report or None
    train : Train or None
        What the schedule asked for first, until the trial is begun: its parameters are drawn when a thread is free.
    """

    trial: Trial
    models: list[ModelProgress]
    target: int = 0
    rung: int = 0
    wanted: bool = False
    ahead: Train | None = None
    scored: bool = True
    last: Report | None = field(default=None)
    train: Train | None = None

    @property
    def settled(self) -> bool:
        """Whether the trial can be reported: each of its models was scored or failed.

        The folds besides one that fails go on: what is reported must not depend on which came back first.
        """
        return all(model.scores is not None for model in self.models)

    @property
    def next_target(self) -> int:
        """Calls at which the trial is scored next: as asked for, or as may be asked for."""
        return self.target if self.wanted or self.ahead is None else self.ahead.resource
