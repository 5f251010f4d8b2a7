"""In which order trials are trained: the most promising first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from dhpo.driver.trial_progress import TrialProgress
from dhpo.schedules.plan import Plan

__all__ = ["Promise"]


class Promise:
    """What is trained first, where no shared read is worth more.

    Brackets go in the order of the plan; in a bracket, those that were selected most often go first. A rung that holds
    as many trials as the one before selects none: where nobody is dropped, as in an incremental search, all are equal,
    and the one that is behind goes first. Among equals a trial that was begun goes on to its next score, and the best
    scores go first.

    Parameters
    ----------
    plan : Plan
        Of the schedule.
    """

    def __init__(self, plan: Plan) -> None:
        self._of_rung: Mapping[tuple[int, int], tuple[int, int]] = {
            (bracket.bracket, rung): (position, -n_selected)
            for position, bracket in enumerate(plan.brackets)
            for rung, n_selected in enumerate(_selections([rung.n_trials for rung in bracket.rungs]))
        }

    def of(self, trial: TrialProgress, calls: int) -> tuple[float, ...]:
        """The key to sort a model of a trial by that has seen so many calls; the lowest goes first.

        It begins with the place of the bracket in the plan.
        """
        bracket, n_selected = self._of_rung.get((trial.trial.bracket, trial.rung), (0, -trial.rung))
        last = trial.last
        score = last.score if last is not None and math.isfinite(last.score) else -math.inf
        return bracket, n_selected, 0 if last is None else last.resource, -calls, -score


def _selections(n_trials: list[int]) -> list[int]:
    """How often a trial was selected that has come to each rung."""
    selected = [0]
    for before, after in pairwise(n_trials):
        selected.append(selected[-1] + (after < before))
    return selected
