"""What a face hands to the executor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dhpo.cluster.limits import Limits
from dhpo.driver.prepared_data import DataPlan
from dhpo.journal.carry_over import Earlier
from dhpo.samplers.base import Sampler
from dhpo.schedules.base import Schedule
from dhpo.scoring import Metrics
from dhpo.space.parameter_range import ParameterRange
from dhpo.trainers import PartialFit, Trainer

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """All that a search is, besides its cluster.

    Parameters
    ----------
    estimator : estimator
        Never changed; cloned for each trial.
    schedule : Schedule
    sampler : Sampler
    metrics : Metrics
    data : DataPlan
    fit_kwargs : dict
        Extra arguments of `partial_fit`.
    entropy : int
        Seed of the estimators, the passes and the split.
    config : dict
        scikit-learn's configuration in the thread of the user.
    refit : bool, default True
        Whether the best is trained on all rows at the end, where the others were trained on folds.
    step_seconds : float, default 2.0
        How long a Dask task should last.
    limits : Limits
    speculate : bool, default False
        Whether threads that would idle train the trials on that lead now.
    look_at_values : bool, default False
        Whether the first rows tell if X is what the estimator takes, where its types do not.
    title : str
    ranges : mapping of str to ParameterRange
        See `dhpo.history.events.Planned`.
    earlier : Earlier, optional
        The searches that this one starts from.
    trainer : Trainer
        Says what a unit of resource is.
    """

    estimator: Any
    schedule: Schedule
    sampler: Sampler
    metrics: Metrics
    data: DataPlan
    fit_kwargs: dict[str, Any]
    entropy: int
    config: dict[str, Any]
    refit: bool = True
    step_seconds: float = 2.0
    limits: Limits = field(default_factory=Limits)
    speculate: bool = False
    look_at_values: bool = False
    title: str = ""
    ranges: Mapping[str, ParameterRange] = field(default_factory=dict)
    earlier: Earlier | None = None
    trainer: Trainer = field(default_factory=PartialFit)
