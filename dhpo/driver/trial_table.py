"""All trials that are not dropped, and their models: what is under way, and what waits for a thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dhpo.driver.folds import Folds
from dhpo.driver.promise import Promise
from dhpo.driver.step_planning import Assignment, Ready
from dhpo.driver.trial_progress import ModelProgress, TrialProgress
from dhpo.trial import Train

__all__ = ["TrialTable"]

# A worker that dies while a trial is trained may die for any reason; a second one at the same call is suspicious. The
# trial then goes on in a process of its own: if that dies, the trial is the cause, and else it is not.
_DEATHS_BEFORE_QUARANTINE = 2
# A trial may also have its workers leave in order, as by SIGINT: they end the step before they are gone, and lose what
# came of it. Its notes tell nothing then, or of another trial. Steps that are lost one after the other are suspicious.
_LOST_BEFORE_ALONE = 2
_LOST_BEFORE_QUARANTINE = 3


class TrialTable:
    """Finds a trial by its number, and by those of its models.

    Parameters
    ----------
    folds : Folds
    promise : Promise
    """

    def __init__(self, folds: Folds, promise: Promise) -> None:
        self._folds = folds
        self._promise = promise
        self._trials: dict[int, TrialProgress] = {}
        self._of_model: dict[int, tuple[TrialProgress, ModelProgress]] = {}

    def __contains__(self, trial: int) -> bool:
        return trial in self._trials

    def __getitem__(self, trial: int) -> TrialProgress:
        return self._trials[trial]

    def __iter__(self) -> Iterator[TrialProgress]:
        yield from self._trials.values()

    def enter(self, number: int, progress: TrialProgress) -> None:
        """Take up a trial, under a number of its own where it is trained anew."""
        self._trials[number] = progress
        self._of_model.update((model.number, (progress, model)) for model in progress.models)

    def remove(self, number: int) -> TrialProgress:
        """Take out a trial that is given up."""
        progress = self._trials.pop(number)
        for model in progress.models:
            del self._of_model[model.number]
        return progress

    def has_model(self, model: int) -> bool:
        """Whether a model is of a trial that is not given up."""
        return model in self._of_model

    def of_model(self, model: int) -> tuple[TrialProgress, ModelProgress]:
        """A model, and the trial that it is of."""
        return self._of_model[model]

    def brackets(self, models: Iterable[int]) -> set[int]:
        """The brackets that some models are of."""
        return {self._of_model[model][0].trial.bracket for model in models}

    def models(self) -> list[ModelProgress]:
        """All models."""
        return [model for _, model in self._of_model.values()]

    def ready(self, ahead: bool = False) -> Iterator[Ready]:
        """The models that wait for a thread.

        Parameters
        ----------
        ahead : bool, default False
            Those instead whose trials may be promoted, to be trained on while there is nothing else to do.
        """
        for t in self:
            if t.wanted == ahead or (ahead and t.ahead is None):
                continue
            for m in t.models:
                if not m.under_way and m.scores is None:
                    yield Ready(
                        m.number,
                        m.calls,
                        t.next_target,
                        -1 if ahead else t.rung,  # nothing else waits for what is done ahead
                        m.home,
                        alone=m.deaths > 0 or m.failed_steps > 0 or m.lost_steps >= _LOST_BEFORE_ALONE,
                        run_end=m.run_end,
                        quarantined=m.deaths >= _DEATHS_BEFORE_QUARANTINE or m.lost_steps >= _LOST_BEFORE_QUARANTINE,
                        candidate=t.trial.number if self._folds.n_folds else None,
                        promise=self._promise.of(t, m.calls),
                    )

    def allow_ahead(self, leading: Sequence[Train]) -> None:
        """Allow these trials, and no others, to be trained before they are promoted."""
        allowed = {train.trial: train for train in leading}
        for number, progress in self._trials.items():
            progress.ahead = allowed.get(number)

    def sent(self, assignment: Assignment) -> None:
        """A step was submitted."""
        for number in assignment.models:
            model = self._of_model[number][1]
            model.under_way = True
            model.run_end = assignment.run_end

    def taken_back(self, assignment: Assignment) -> list[tuple[TrialProgress, ModelProgress]]:
        """Take back a step from which nothing came: its models, but those whose trials were dropped meanwhile."""
        found = [self._of_model[number] for number in assignment.models if number in self._of_model]
        for _, model in found:
            model.under_way = False
        return found
