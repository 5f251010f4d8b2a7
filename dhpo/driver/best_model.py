"""The model of the best trial: where it lies, and whether it can be read."""

from __future__ import annotations

import logging
from typing import Any

from dhpo.driver.folds import refit_number
from dhpo.errors import SearchFailed
from dhpo.errors.user_code import said
from dhpo.history.events import Checkpoint, Refitted
from dhpo.history.history import Best
from dhpo.storage.kept_models import KeptModels
from dhpo.storage.model_store import ModelLost, loads_model

__all__ = ["BestModel"]

logger = logging.getLogger(__name__)


class BestModel:
    """Finds the model of the best report, or one like it that was trained on all rows.

    Parameters
    ----------
    models : KeptModels
    trained_on_folds : bool
        Whether the models of trials are none that the user wants: each has left out a fold.

    Attributes
    ----------
    model : estimator or None
        Once it was read.
    """

    def __init__(self, models: KeptModels, trained_on_folds: bool) -> None:
        self.model: Any = None
        self._models = models
        self._trained_on_folds = trained_on_folds
        self._refitted: dict[tuple[int, int], Checkpoint] = {}

    def refitted(self, event: Refitted) -> None:
        """A model like that of a trial was trained on all rows."""
        self._refitted[event.trial, event.checkpoint.calls] = event.checkpoint

    def trained_anew(self, trial: int, time: float) -> Refitted | None:
        """Take up the model of a trial that was just trained on all rows; return what to tell of it."""
        checkpoint = self._models.latest(refit_number(trial))
        if checkpoint is None:
            return None
        event = Refitted(trial, checkpoint, time)
        self.refitted(event)
        return event

    def checkpoint(self, best: Best) -> Checkpoint | None:
        """Where the model of the best lies; None where there is none."""
        refitted = self._refitted.get((best.trial.number, best.report.resource))
        return refitted if refitted is not None or self._trained_on_folds else self._models.scored(best.trial.number)

    def read(self, best: Best | None) -> bool:
        """Read the model of the best, if there is one; whether there is.

        Raises
        ------
        SearchFailed
            If it cannot be unpickled in this process.
        """
        if best is None or self.model is not None:
            return self.model is not None
        number, where = best.trial.number, self.checkpoint(best)
        if where is None:
            if not self._trained_on_folds:  # as where its score was taken over from a search whose model is gone
                logger.info("no model of trial %d, the best, is stored", number)
            return False
        try:
            data = self._models.read(where)
        except ModelLost:
            logger.warning("the model of trial %d, the best, is lost", number, exc_info=True)
            return False
        try:
            self.model = loads_model(data)
        except BaseException as error:
            raise SearchFailed(
                f"the model of trial {number}, the best, cannot be unpickled in this process: {said(error)}"
            ) from error
        return True
