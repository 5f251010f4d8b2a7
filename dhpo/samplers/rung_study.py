"""What one sampler of Optuna knows: the trials that were scored at one resource."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

__all__ = ["Point", "RungStudy"]


@dataclass(frozen=True, slots=True)
class Point:
    """The parameters of a trial as Optuna has them.

    Parameters
    ----------
    values : dict of str to object
    distributions : dict of str to optuna distribution
    """

    values: dict[str, Any]
    distributions: dict[str, BaseDistribution]


class RungStudy:
    """A study of Optuna in memory, whose trials are known by their numbers in the search.

    Parameters
    ----------
    sampler : optuna.samplers.BaseSampler
    n_objectives : int, default 1
        Numbers that a score has.

    Attributes
    ----------
    scores : dict of int to sequence of float
        Of the trials that have one.
    """

    def __init__(self, sampler: BaseSampler, n_objectives: int = 1) -> None:
        import optuna

        told = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # it tells of each new study
        try:
            self._study = optuna.create_study(directions=["maximize"] * n_objectives, sampler=sampler)
        finally:
            optuna.logging.set_verbosity(told)
        self.scores: dict[int, Sequence[float]] = {}
        self._n_trials = 0
        self._running: dict[int, int] = {}  # our number and the study's

    def ask(self, number: int, suggest: Callable[[Trial], dict[str, Any]]) -> tuple[dict[str, Any], Point]:
        """Begin a trial; return its parameters, and what tells other studies of it.

        Parameters
        ----------
        number : int
        suggest : callable
            Has Optuna suggest the parameters.
        """
        trial = self._study.ask()
        self._n_trials += 1
        params = suggest(trial)
        self._running[number] = trial.number
        return params, Point(trial.params, trial.distributions)

    def begin(self, number: int, point: Point) -> None:
        """Know of a trial that is under way, if it does not yet."""
        if number not in self._running:
            from optuna.trial import TrialState, create_trial

            running = create_trial(state=TrialState.RUNNING, params=point.values, distributions=point.distributions)
            self._study.add_trial(running)
            self._running[number] = self._n_trials
            self._n_trials += 1

    def score(self, number: int, point: Point, score: Sequence[float]) -> None:
        """A trial was scored."""
        self.begin(number, point)
        self._study.tell(self._running.pop(number), score)
        self.scores[number] = score

    def fail(self, number: int, point: Point) -> None:
        """A trial failed: it is worse than those that have a score here, of which there is one.

        One that has a score itself failed later; that is for those to know that it did not come to.
        """
        if number in self.scores:
            return
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        self.begin(number, point)
        told = self._running.pop(number)
        if isinstance(self._study.sampler, TPESampler):
            self._study.tell(told, state=TrialState.PRUNED)
        else:  # to them a trial without a value is as if it had not been
            self._study.tell(told, [min(values) for values in zip(*self.scores.values(), strict=True)])

    def forget(self, number: int) -> None:
        """A trial is no longer under way, and has no score here."""
        if number in self._running:
            from optuna.trial import TrialState

            self._study.tell(self._running.pop(number), state=TrialState.FAIL)
