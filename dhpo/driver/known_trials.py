"""What earlier searches have done for the trials of this one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dhpo.driver.folds import Folds
from dhpo.driver.trial_progress import TrialProgress
from dhpo.history.events import ModelState, Reported, Reused
from dhpo.journal import EarlierSearch
from dhpo.journal.carry_over import known_params
from dhpo.storage.kept_models import KeptModels
from dhpo.trial import Trial
from dhpo.worker.model_making import is_seeded_by_trial

__all__ = ["KnownTrials"]


class KnownTrials:
    """Finds scores and models of the same trials, which would be the same bit for bit if they were made again.

    A trial is the same if it has the same parameters, and the same number where its number seeds its model.

    Parameters
    ----------
    estimator : estimator
    folds : Folds
    models : KeptModels
        Of this search.
    """

    def __init__(self, estimator: Any, folds: Folds, models: KeptModels) -> None:
        self._estimator = estimator
        self._folds = folds
        self._models = models
        self._searches: list[_OneSearch] = []

    def add(self, search: EarlierSearch, models: bool, scores: bool) -> None:
        """Know the trials of one more search.

        Parameters
        ----------
        search : EarlierSearch
            With the same estimator, data and seed.
        models, scores : bool
            What of it is the same.
        """
        self._searches.append(_OneSearch(search, models, scores))

    def take_over(self, active: TrialProgress) -> tuple[Reused, Reported | None] | None:
        """Take over what is known of a trial that is to be trained to its target.

        Parameters
        ----------
        active : TrialProgress
            That was begun.

        Returns
        -------
        tuple of Reused and Reported, or None
            The models that were taken over, and the report at the target where that is known; their times are to be
            set. None where nothing of use is known.
        """
        if not active.wanted or active.settled or any(model.under_way for model in active.models):
            return None
        source, reported = self._report(active)
        states = []
        for model in active.models:
            # Beside a score only the model that had it is of use.
            least = active.target if reported is not None else model.calls + 1
            for search, state in self._states(active.trial, model.number, least, active.target):
                if self._take(search, state):
                    states.append(state)
                    source = search.source
                    break
        if reported is None and not states:
            return None
        calls = {state.model: state.calls for state in states}
        reached = min(calls.get(model.number, model.calls) for model in active.models)
        resource = active.target if reported is not None else reached
        return Reused(active.trial.number, resource, source, 0.0, tuple(states)), reported

    def _take(self, search: _OneSearch, state: ModelState) -> bool:
        """Have a model here; whether that was possible."""
        if state.checkpoint is None or search.store is None:
            return False
        try:
            self._models.take_from(search.store, state.checkpoint)
        except OSError:  # it is gone, or cannot be read any more: the model is trained here
            return False
        return True

    def _report(self, active: TrialProgress) -> tuple[str, Reported | None]:
        """The source and the report of a trial at its target, where that is known."""
        trial = active.trial
        for search, number in self._found(trial):
            reported = search.reports.get((number, active.target))
            if reported is not None:
                report = replace(reported.report, trial=trial.number, bracket=trial.bracket, rung=active.rung)
                return search.source, replace(reported, report=report)
        return "", None

    def _states(self, trial: Trial, model: int, least: int, most: int) -> Iterator[tuple[_OneSearch, ModelState]]:
        """How far a model of a trial had come, from `least` to `most` calls; the farthest first of each search."""
        for search, number in self._found(trial):
            there = self._folds.models(number)[model - self._folds.models(trial.number)[0]]
            useful = [state for state in search.states.get(there, []) if least <= state.calls <= most]
            for state in sorted(useful, key=lambda state: -state.calls):
                checkpoint = None if state.checkpoint is None else replace(state.checkpoint, model=model)
                yield search, replace(state, model=model, checkpoint=checkpoint)

    def _found(self, trial: Trial) -> Iterator[tuple[_OneSearch, int]]:
        """The searches that had this trial, and its number there."""
        for search in self._searches:
            same = search.numbers.get(known_params(trial.params), [])
            if trial.number in same:
                yield search, trial.number
            elif same and not is_seeded_by_trial(self._estimator, trial.params):
                yield search, same[0]


class _OneSearch:
    """One earlier search, so that its trials are found by their parameters."""

    def __init__(self, search: EarlierSearch, models: bool, scores: bool) -> None:
        self.source = search.source
        self.store = search.store if models else None
        self.states = search.states() if models else {}
        self.reports = search.reports() if scores else {}
        self.numbers: dict[str, list[int]] = {}
        for trial in search.history.trials:
            self.numbers.setdefault(known_params(trial.params), []).append(trial.number)
