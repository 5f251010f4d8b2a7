"""What runs on the workers: fit a candidate on one split and score it; fit the best on all rows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cloudpickle
from distributed import get_worker
from sklearn import config_context
from sklearn.base import clone

from dhpo.data.wrappers import unwrap
from dhpo.errors.user_code import guarded, is_harmless, said, told
from dhpo.history.events import SplitScores
from dhpo.trial import Params
from dhpo.whole_fits.fit_job import CandidateSplit, FitContext
from dhpo.whole_fits.row_selection import n_samples, rows_of, rows_of_params, split_matrix
from dhpo.whole_fits.whole_scoring import ScoringFailed
from dhpo.worker.ended_searches import is_over, note_end, silent_after_end
from dhpo.worker.state import single_threaded

__all__ = ["FitOutcome", "fit_and_score", "fit_several", "forget_job", "hand_over", "refit"]

logger = logging.getLogger(__name__)


@dataclass
class FitOutcome:
    """What came of one candidate on one split.

    Parameters
    ----------
    candidate, split : int
    scores : SplitScores
        With no scores where the fit failed.
    several : bool
        Whether the scorer returned a mapping.
    failures : list of str
        The traceback of each scorer that failed.
    raised : bytes or None
        The pickled exception that ends the search.
    worker : str
        The name of the worker that it was fitted on.
    """

    candidate: int
    split: int
    scores: SplitScores
    several: bool = False
    failures: list[str] = field(default_factory=list)
    raised: bytes | None = None
    worker: str = ""


def fit_and_score(job: FitContext, work: CandidateSplit) -> FitOutcome:
    """Fit one candidate on the training rows of one split, and score it on the test rows.

    Never raises for what the estimator or a scorer raises.
    """
    data = job.data
    train, test = data.splits[work.split]
    n_rows = n_samples(data.X)
    started = time.perf_counter()
    scored_at: float | None = None
    try:
        model = _candidate(job, work.params)
        X_train, X_test = split_matrix(model, data.X, train, test)
        y_train, y_test = rows_of(data.y, train), rows_of(data.y, test)
        fit_params = rows_of_params(data.fit_params, n_rows, train)
        started = time.perf_counter()
        _fit(model, X_train, y_train, fit_params)
        scored_at = time.perf_counter()
        test_params = rows_of_params(data.score_params, n_rows, test)
        scores, failures = job.scoring(model, X_test, y_test, test_params, job.error_score)
        score_time = time.perf_counter() - scored_at
        train_scores = None
        if job.return_train_score:
            train_params = rows_of_params(data.score_params, n_rows, train)
            train_scores, failed = job.scoring(model, X_train, y_train, train_params, job.error_score)
            failures += failed
    except BaseException as error:
        text = told(error)
        ended = scored_at if scored_at is not None else time.perf_counter()
        fatal = job.error_score == "raise" or isinstance(error, ScoringFailed) or scored_at is not None
        split = SplitScores({}, fit_time=ended - started, error=text)
        return FitOutcome(work.candidate, work.split, split, raised=dumps_error(error, text) if fatal else None)
    split = SplitScores(
        _named(scores), None if train_scores is None else _named(train_scores), scored_at - started, score_time
    )
    return FitOutcome(work.candidate, work.split, split, isinstance(scores, dict), failures)


def _candidate(job: FitContext, params: Params) -> Any:
    model = clone(job.estimator).set_params(**{name: clone(value, safe=False) for name, value in params.items()})
    return unwrap(model)


def _fit(model: Any, X: Any, y: Any, params: dict[str, Any]) -> None:
    if y is None:
        model.fit(X, **params)
    else:
        model.fit(X, y, **params)


def _named(scores: dict[str, float] | float) -> dict[str, float]:
    return scores if isinstance(scores, dict) else {"score": scores}


@guarded
@silent_after_end(list)
def fit_several(run: str, source: Any, works: Sequence[CandidateSplit], seconds: float) -> list[FitOutcome]:
    """Fit some candidates; the function of every `fit-` task.

    Parameters
    ----------
    run : str
        Name of the search.
    source : str or bytes
        The file that holds the pickled `FitContext`, or the pickled job itself.
    works : sequence of CandidateSplit
    seconds : float
        After this time no other fit is begun; what is left out is not in the result.
    """
    job = _job(run, source)
    started = time.perf_counter()
    outcomes: list[FitOutcome] = []
    with single_threaded(), config_context(**job.config):
        for work in works:
            if outcomes and (time.perf_counter() - started > seconds or is_over(run)):
                break
            outcomes.append(replace(fit_and_score(job, work), worker=_this_worker()))
    return outcomes


def _this_worker() -> str:
    try:
        return str(get_worker().name)
    except ValueError:  # it is called by itself
        return ""


@dataclass
class RefitModel:
    """The best candidate, fitted on all rows.

    Parameters
    ----------
    model : bytes
        Pickled.
    seconds : float
    raised : bytes or None
        The pickled exception, if the fit failed.
    """

    model: bytes
    seconds: float
    raised: bytes | None = None


@guarded
@silent_after_end(lambda: RefitModel(b"", 0.0))
def refit(run: str, source: Any, params: Params) -> RefitModel:
    """Fit a candidate on all rows; the function of the `refit-` task."""
    job = _job(run, source)
    with single_threaded(), config_context(**job.config):
        try:
            model = _candidate(job, params)
            started = time.perf_counter()
            _fit(model, job.data.X, job.data.y, job.data.fit_params)
            seconds = time.perf_counter() - started
            return RefitModel(cloudpickle.dumps(model, protocol=5), seconds)
        except BaseException as error:
            return RefitModel(b"", 0.0, dumps_error(error, told(error)))


def dumps_error(error: BaseException, text: str) -> bytes:
    """Pickle an exception with its traceback as a note, or what can be said of it."""
    error = error.with_traceback(None)
    error.__cause__ = error.__context__ = None
    if is_harmless(error):  # else the driver would not survive it
        try:
            data: bytes = cloudpickle.dumps((error, text))
            repr(cloudpickle.loads(data))
        except BaseException:
            logger.debug("an exception cannot be pickled", exc_info=True)
        else:
            return data
    replaced: bytes = cloudpickle.dumps((RuntimeError(said(error)), text))
    return replaced


_jobs: dict[str, FitContext] = {}
_lock = threading.Lock()


def hand_over(run: str, job: FitContext) -> None:
    """Give the job to the workers that live in this very process, so that they need no copy of the data."""
    with _lock:
        _jobs[run] = job


def _job(run: str, source: Any) -> FitContext:
    with _lock:
        if is_over(run):  # nobody would forget it again
            raise RuntimeError(f"search {run} is over")
        if run not in _jobs:
            _jobs[run] = cloudpickle.loads(Path(source).read_bytes() if isinstance(source, str) else source)
        return _jobs[run]


def forget_job(run: str) -> None:
    """Free what this process holds for a search."""
    with _lock:
        note_end(run)
        _jobs.pop(run, None)
