"""What a face hands to the executor."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

from dhpo.errors import SearchFailed
from dhpo.history import History
from dhpo.preparation import DataPlan
from dhpo.samplers.base import Sampler
from dhpo.schedules.base import Schedule
from dhpo.scoring import Metrics
from dhpo.wrapped import unwrap

__all__ = ["Job", "Limits", "has_optional_classes", "takes_classes"]


@dataclass(frozen=True)
class Limits:
    """What ends a trial or the search early.

    Parameters
    ----------
    trial_timeout : float, optional
        Seconds that a model may spend in `partial_fit` and scores.
    time_budget : float, optional
        Seconds that the search may take.
    max_failures : int, optional
        Trials that may fail.
    workers_timeout : float, default 60.0
        Seconds without any worker after which the search gives up.
    """

    trial_timeout: float | None = None
    time_budget: float | None = None
    max_failures: int | None = None
    workers_timeout: float = 60.0

    def check_failures(self, history: History, what: str) -> None:
        """Raise SearchFailed if more have failed than may.

        Parameters
        ----------
        history : History
        what : str
            Who failed, for the message: "trials", for instance.
        """
        if self.max_failures is None:
            return
        failed = history.n_failed
        if failed > self.max_failures:
            raise SearchFailed(
                f"{failed} {what} failed, and max_failures={self.max_failures} allows no more. The first failure:\n"
                f"{history.first_error or 'the score was nan or infinite'}"
            )


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


def takes_classes(estimator: Any) -> bool:
    """Whether `partial_fit` has an argument `classes`."""
    return _classes_argument(estimator) is not None


def has_optional_classes(estimator: Any) -> bool:
    """Whether `partial_fit` can be called without `classes`."""
    argument = _classes_argument(estimator)
    return argument is not None and argument.default is not inspect.Parameter.empty


def _classes_argument(estimator: Any) -> inspect.Parameter | None:
    try:
        return inspect.signature(unwrap(estimator).partial_fit).parameters.get("classes")
    except (TypeError, ValueError):  # compiled, and without a signature
        return None
