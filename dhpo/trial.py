"""The four words that the parts of a search exchange: Trial, Train, Drop, Report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

__all__ = ["Decision", "Drop", "DropReason", "Params", "Report", "Train", "Trial", "plain"]

Params = Mapping[str, Any]

DropReason = Literal["finished", "not promoted", "plateau", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the search space, and the bracket that trains it.

    Parameters
    ----------
    number : int
        Position in the search, from 0. Ties between scores go to the lower number.
    params : mapping of str to object
        What `set_params` of the estimator receives. NumPy's numbers, booleans and strings become those of Python.
    bracket : int, default 0
        The bracket of the schedule that the trial belongs to.

    Examples
    --------
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import Trial
    >>> trial = Trial(number=0, params={"alpha": 0.01})
    >>> SGDClassifier().set_params(**trial.params)
    SGDClassifier(alpha=0.01)
    """

    number: int
    params: Params
    bracket: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", plain(self.params))


def plain(params: Params) -> dict[str, Any]:
    """The same parameters with Python's own numbers, booleans and strings for NumPy's, which do not read well.

    Parameters
    ----------
    params : mapping of str to object
        Values that are tuples are looked into; all others stay as they are.
    """
    return {name: _plain_value(value) for name, value in params.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, np.bool | np.str_ | np.integer | np.floating) and not isinstance(value, np.longdouble):
        return value.item()  # a long double has no equal in Python
    return tuple(map(_plain_value, value)) if type(value) is tuple else value


@dataclass(frozen=True, slots=True)
class Train:
    """Decision of a schedule: train a trial up to `resource`, score it, and report.

    Parameters
    ----------
    trial : int
        Number of the trial; a number never seen before starts a new trial.
    resource : int
        Cumulative `partial_fit` calls at which the trial is scored.
    bracket : int, default 0
        The bracket that the trial belongs to.
    rung : int, default 0
        Position in the rung table; later rungs are run first.

    Examples
    --------
    >>> from dhpo.schedules import SuccessiveHalving
    >>> schedule = SuccessiveHalving(n_initial_parameters=9, n_initial_iter=2)
    >>> schedule.ask()
    Train(trial=0, resource=2, bracket=0, rung=0)
    >>> schedule.ask()
    Train(trial=1, resource=2, bracket=0, rung=0)
    """

    trial: int
    resource: int
    bracket: int = 0
    rung: int = 0


@dataclass(frozen=True, slots=True)
class Drop:
    """Decision of a schedule: the trial will never be trained again.

    Parameters
    ----------
    trial : int
        Number of the trial.
    reason : {"finished", "not promoted", "plateau", "failed"}
        "finished": it got all the resource that the schedule gives. "not promoted": others of its rung scored higher.
        "plateau": its score no longer rose. "failed": its last report failed.

    Examples
    --------
    >>> from dhpo import Report
    >>> from dhpo.schedules import Fixed
    >>> schedule = Fixed(n_trials=1, max_iter=5)
    >>> schedule.ask()
    Train(trial=0, resource=5, bracket=0, rung=0)
    >>> schedule.tell(Report(trial=0, resource=5, score=0.9))
    >>> schedule.ask()
    Drop(trial=0, reason='finished')
    """

    trial: int
    reason: DropReason


Decision = Train | Drop


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one `Train`.

    Parameters
    ----------
    trial : int
        Number of the trial.
    resource : int
        Cumulative `partial_fit` calls that the model has seen.
    score : float
        Validation score, higher is better. A score that is not finite is a failure.
    fit_time, score_time : float, default 0.0
        Seconds in `partial_fit` since the previous report of this trial, and in scoring.
    error : str, optional
        The traceback, if the trial raised.
    bracket, rung : int, default 0
        Those of the `Train`.
    metrics : mapping of str to float
        Of a search with several metrics, the mean of each over the splits of the data, for a sampler that learns from
        all of them. It takes no part in comparisons.

    Examples
    --------
    >>> from dhpo import Report
    >>> Report(trial=0, resource=5, score=0.9).failed
    False
    >>> Report(trial=0, resource=5, score=float("nan")).failed
    True
    """

    trial: int
    resource: int
    score: float
    fit_time: float = 0.0
    score_time: float = 0.0
    error: str | None = None
    bracket: int = 0
    rung: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict, compare=False, repr=False)

    @property
    def failed(self) -> bool:
        """Whether the trial raised or its score is not finite."""
        return self.error is not None or not math.isfinite(self.score)
