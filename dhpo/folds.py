"""The models of a trial: one, or one for each fold of a cross-validation.

Cohorts, steps and the store know models by number. Without folds the number of a model is that of its trial.
"""

from __future__ import annotations

__all__ = ["REFIT", "Folds"]

REFIT = -1
"""The number of the model that is trained on all rows at the end."""


class Folds:
    """Numbers the models.

    Parameters
    ----------
    n_folds : int
        0 without a cross-validation.
    """

    def __init__(self, n_folds: int) -> None:
        self.n_folds = n_folds
        self._n_models = max(n_folds, 1)

    def models(self, trial: int) -> range:
        """The models of a trial."""
        return range(trial * self._n_models, (trial + 1) * self._n_models)

    def trial(self, model: int) -> int:
        """The trial of a model."""
        return model // self._n_models

    def fold(self, model: int) -> int | None:
        """The fold that a model leaves out; None without folds, and for the one that is trained on all rows."""
        return model % self._n_models if self.n_folds and model != REFIT else None
