"""Trainers as users ask for them: by the name of a resource, or as an object."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from dhpo.errors.checks import check_methods
from dhpo.trainers.base import Trainer
from dhpo.trainers.boosters import is_booster
from dhpo.trainers.parameter import ParameterTrainer
from dhpo.trainers.partial_fit import PartialFit
from dhpo.trainers.rounds_on_blocks import RoundsOnBlocks
from dhpo.trainers.row_samples import RowSamples

__all__ = ["make_trainer"]


def make_trainer(resource: Any, max_resource: int, entropy: int, estimator: Any) -> Trainer:
    """Make the trainer of one search.

    Parameters
    ----------
    resource : str or Trainer
        "auto" for `partial_fit`, or rounds of boosters, on blocks; "n_samples" for rows, the name of a parameter, or an
        object.
    max_resource : int
        The most units of a trial.
    entropy : int
        Seed of what it draws.
    estimator : estimator
        To be trained.

    Raises
    ------
    TypeError
        If it is neither a name nor a trainer.
    """
    if not isinstance(resource, str):
        check_methods(f"resource={resource!r}", resource, ("advance", "check"), "dhpo.Trainer")
        made: Trainer = deepcopy(resource)
        return made
    if resource == "auto":
        return RoundsOnBlocks() if is_booster(estimator) and not hasattr(estimator, "partial_fit") else PartialFit()
    if resource == "n_samples":
        return RowSamples(max_resource, entropy)
    counts_rounds = resource == "n_estimators" and is_booster(estimator)
    return ParameterTrainer(resource, "boosting round" if counts_rounds else None)
