"""The models of a trial: one, or one for each fold of a cross-validation.

Cohorts, steps and the store know models by number. Without folds the number of a model is that of its trial. Models
that are trained on all rows at the end, as the best of their search, have numbers below 0.
"""

from __future__ import annotations

__all__ = ["Folds", "is_refit", "refit_number"]


def refit_number(trial: int) -> int:
    """The number of the model with the parameters of a trial that is trained on all rows."""
    return -1 - trial


def is_refit(model: int) -> bool:
    """Whether this is the number of a model that is trained on all rows."""
    return model < 0


class Folds:
    """Numbers the models.

    Parameters
    ----------
    n_folds : int
        0 without a cross-validation.

    Attributes
    ----------
    n_models : int
        Models of each trial.
    """

    def __init__(self, n_folds: int) -> None:
        self.n_folds = n_folds
        self.n_models = max(n_folds, 1)

    def models(self, trial: int) -> range:
        """The models of a trial."""
        return range(trial * self.n_models, (trial + 1) * self.n_models)

    def trial(self, model: int) -> int:
        """The trial of a model."""
        return -1 - model if is_refit(model) else model // self.n_models

    def fold(self, model: int) -> int | None:
        """The fold that a model leaves out; None without folds, and for those trained on all rows."""
        return model % self.n_models if self.n_folds and not is_refit(model) else None
