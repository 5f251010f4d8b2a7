"""How far a trial and its models have come; what the ledger keeps of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from dhpo.events import SplitScores
from dhpo.trial import Report, Train, Trial

__all__ = ["ModelStanding", "TrialStanding"]


@dataclass
class ModelStanding:
    """One model of a trial."""

    number: int
    calls: int = 0
    run_end: int = 0
    home: str | None = None
    under_way: bool = False
    died_at: tuple[int, bool] | None = None
    deaths: int = 0
    failed_steps: int = 0
    spent: float = 0.0
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    scores: SplitScores | None = None


@dataclass
class TrialStanding:
    """A trial that the schedule has not dropped.

    Parameters
    ----------
    trial : Trial
    models : list of ModelStanding
    target, rung : int
        What the schedule asked for last.
    wanted : bool
        Whether its report is awaited.
    ahead : Train or None
        What the schedule may ask for next, where the trial is trained ahead meanwhile.
    scored : bool
        Whether its models are scored at the target.
    last : Report or None
    """

    trial: Trial
    models: list[ModelStanding]
    target: int = 0
    rung: int = 0
    wanted: bool = False
    ahead: Train | None = None
    scored: bool = True
    last: Report | None = field(default=None)

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
