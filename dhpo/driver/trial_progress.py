"""How far a trial and its models have come; what the ledger keeps of each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dhpo.history.events import ModelState, SplitScores
from dhpo.trial import Report, Train, Trial
from dhpo.worker.breadcrumbs import Deed

__all__ = ["ModelProgress", "TrialProgress"]


@dataclass
class ModelProgress:
    """One model of a trial.

    Parameters
    ----------
    state : ModelState
        How far it has come.
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
    reported : ModelState
        How far it had come at its last report; before that, when it was entered.
    scores : SplitScores or None
        What is to be reported of it.
    """

    state: ModelState
    run_end: int = 0
    home: str | None = None
    under_way: bool = False
    died_at: tuple[int, Deed] | None = None
    deaths: int = 0
    failed_steps: int = 0
    lost_steps: int = 0
    reported: ModelState = field(init=False)
    scores: SplitScores | None = None

    def __post_init__(self) -> None:
        self.reported = self.state

    @property
    def number(self) -> int:
        """See `dhpo.driver.folds`."""
        return self.state.model

    @property
    def calls(self) -> int:
        """`partial_fit` calls that it has seen."""
        return self.state.calls

    @property
    def fit_seconds(self) -> float:
        """Spent in `partial_fit` since its last report."""
        return self.state.fit_seconds - self.reported.fit_seconds

    @property
    def score_seconds(self) -> float:
        """Spent in scores since its last report."""
        return self.state.score_seconds - self.reported.score_seconds

    def suspect(self, at: tuple[int, Deed]) -> None:
        """A worker died while something was done with it after so many calls."""
        self.deaths = self.deaths + 1 if self.died_at == at else 1
        self.died_at = at

    def cleared(self) -> None:
        """It is not the cause of the deaths of workers."""
        self.died_at, self.deaths, self.lost_steps = None, 0, 0

    def came_back(self, worker: str, calls: int, scored: bool) -> None:
        """A step with it ended, in which it saw so many calls, also where it was not stored after the last."""
        self.under_way, self.home = False, worker
        self.state = replace(self.state, calls=calls)
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
    def waits_for_its_first_step(self) -> bool:
        """Whether it has parameters, and nothing was done with it."""
        return self.train is None and self.wanted and not any(model.calls or model.under_way for model in self.models)

    @property
    def next_target(self) -> int:
        """Calls at which the trial is scored next: as asked for, or as may be asked for."""
        return self.target if self.wanted or self.ahead is None else self.ahead.resource
