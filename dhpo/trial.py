"""The four words that the parts of a search exchange: Trial, Train, Drop, Report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Decision", "Drop", "DropReason", "Params", "Report", "Train", "Trial"]

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
        What `set_params` of the estimator receives.
    bracket : int, default 0
        The bracket of the schedule that the trial belongs to.
    """

    number: int
    params: Params
    bracket: int = 0


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
    """

    trial: int
    resource: int
    score: float
    fit_time: float = 0.0
    score_time: float = 0.0
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Whether the trial raised or its score is not finite."""
        return self.error is not None or not math.isfinite(self.score)
