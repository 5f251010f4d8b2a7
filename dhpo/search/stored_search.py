"""A search as its journal tells it: to look at, without a cluster and without its data."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from dhpo.errors import JournalError
from dhpo.exports.to_optuna import ToOptuna
from dhpo.history.events import Checkpoint, Refitted
from dhpo.history.history import Best, History
from dhpo.journal.journal import JournalReader
from dhpo.journal.model_files import replayed_models
from dhpo.search.followed_search import FollowedSearch
from dhpo.storage.model_store import loads_model
from dhpo.views.html import outcome_html, progress_html
from dhpo.views.progress import Progress
from dhpo.views.summary_stream import SummaryStream
from dhpo.views.text import outcome_lines, progress_line

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["StoredSearch", "load"]


def load(journal: Any) -> StoredSearch:
    """Read the journal of a search; also of one that runs now, or that died.

    Nothing is started, and the journal stays as it is. Reading unpickles parameters that JSON has no word for, and
    models when they are asked for: whoever can write to a journal can run code in the process that loads it. Load only
    what you trust.

    Parameters
    ----------
    journal : str or path
        The folder or fsspec URL that was given to `fit(..., journal=...)`.

    Returns
    -------
    StoredSearch

    Raises
    ------
    FileNotFoundError
        If there is no journal.
    JournalError
        If it is damaged, or in a format that this version of dhpo does not read.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.linear_model import SGDClassifier
    >>> import dhpo
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> search = dhpo.IncrementalSearchCV(
    ...     SGDClassifier(), {"alpha": [1e-4, 100]}, n_initial_parameters="grid", max_iter=3, random_state=0, verbose=0
    ... )
    >>> search = search.fit(X, y, journal="searches/alpha")
    >>> stored = dhpo.load("searches/alpha")
    >>> stored.status
    'done'
    >>> stored.best_params_ == search.best_params_
    True
    """
    return StoredSearch(journal)


class StoredSearch(ToOptuna):
    """What `dhpo.load` returns.

    Attributes
    ----------
    status : str
        "done", "stopped", "time budget" or "failed" as the search ended; "running" while a process has the journal
        open; "unfinished" where that process has died.
    phase : str
        What it did last: that of `dhpo.Run.status`, "training 31 %" for example.
    history : History
        All events that were recorded.
    identity : dict of str to str
        What search it is: its parameters, estimator and data, in words.
    history_ : list of dict
        Every score in the order of its arrival.
    model_history_ : dict of str or int to list of dict
        The same by model.
    cv_results_ : dict of str to ndarray
        Of all trials that were scored. Available once one was.
    best_params_, best_score_, best_index_
        Of the trial with the highest last score. Available once one was scored.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.linear_model import SGDClassifier
    >>> import dhpo
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> search = dhpo.IncrementalSearchCV(
    ...     SGDClassifier(), {"alpha": [1e-4, 100]}, n_initial_parameters="grid", max_iter=3, random_state=0, verbose=0
    ... )
    >>> search = search.fit(X, y, journal="searches/alpha")
    >>> stored = dhpo.load("searches/alpha")
    >>> stored.summary()[["rank", "status", "resource"]]
           rank    status  resource
    trial
    0         1  finished         3
    1         2  finished         3
    >>> stored.best_estimator_
    SGDClassifier(random_state=...)
    >>> stored.model(1)
    SGDClassifier(alpha=100, random_state=...)
    """

    def __init__(self, journal: Any) -> None:
        self._reader = JournalReader(journal)
        header, self._store = self._reader.header, self._reader.models
        self._journal = self._reader.address
        self.history = self._reader.history()
        events, running = self.history.events, self.history.alive
        self._progress = Progress(self.history)
        self.phase = self._progress.status
        self._by_fits = header.by_fits
        self._models = replayed_models(events)
        self._refitted = {(e.trial, e.checkpoint.calls): e.checkpoint for e in events if isinstance(e, Refitted)}
        self.identity = dict(header.identity)
        # One that goes on again has yet to say so.
        self.status = "running" if running else self._progress.stopped or "unfinished"
        self.history_ = self.history.records()
        self.model_history_ = self.history.model_records()
        if not self.history.reported:
            return
        self.cv_results_ = self.history.cv_results()
        best = self.history.best
        if best is not None:
            self.best_params_ = dict(best.trial.params)
            self.best_score_ = best.report.score
            self.best_index_ = self.history.best_index

    def summary(self, splits: bool = False) -> pd.DataFrame:
        """One row for each trial, the best first: see `History.summary`."""
        return self.history.summary(splits)

    def stream(self, every: float = 2.0) -> SummaryStream:
        """The summary again and again while another process runs the search, for `for` and `async for`.

        Parameters
        ----------
        every : float, default 2.0
            Seconds between two looks into the journal.

        Returns
        -------
        iterable of pandas.DataFrame
            It ends with the search, also where its process dies.

        Raises
        ------
        TypeError, ValueError
            If `every` is no positive number.
        """
        followed = FollowedSearch(JournalReader(self._journal))

        def summary() -> pd.DataFrame:
            followed.update()
            return followed.history.summary()

        return SummaryStream(summary, lambda: not followed.running, every)

    def stop(self, at_once: bool = False) -> None:
        """Ask the process that runs the search to end it soon; what was scored until then is its result.

        Parameters
        ----------
        at_once : bool, default False
            Whether to do without the last training of the best on all rows, which a cross-validated search ends with.

        Raises
        ------
        JournalError
            If no process runs the search.
        """
        if not self._reader.in_use:
            raise JournalError(f"{self._journal} is not in use by any process, so there is no search to stop.")
        self._reader.stop_request.make(at_once)

    def report(self, file: str | os.PathLike[str]) -> None:
        """Write what the journal tells as one page of HTML, which needs no network and no other file.

        Parameters
        ----------
        file : str or path
            Overwritten where it exists.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        from dhpo.report import write_report

        write_report(self.history, file, self.identity)

    def _happened(self) -> tuple[History, bool]:
        return self.history, self.status == "running"

    @property
    def best(self) -> Best | None:
        """The trial with the highest last score and that report; None before the first score."""
        return self.history.best

    def model(self, trial: int) -> Any:
        """The model of a trial, as it was when it was last scored.

        Parameters
        ----------
        trial : int
            Its number, as in the index of `summary()`.

        Raises
        ------
        KeyError
            If the trial has no model: it was not scored, its last training failed, its score was taken over from a
            search whose model is gone, or it was cross-validated, which leaves a model for the best alone.
        ModelLost
            If the file of the model is gone or damaged.
        """
        if trial not in self._models:
            raise KeyError(f"the journal has no model of trial {trial}; it has those of {sorted(self._models)}")
        return self._read(self._models[trial])

    @property
    def best_estimator_(self) -> Any:
        """The model of the best trial; where the search was cross-validated, the one that was trained on all rows.

        Raises
        ------
        AttributeError
            If there is none yet.
        """
        best = self.history.best
        checkpoint = None
        if best is not None:
            refitted = self._refitted.get((best.trial.number, best.report.resource))
            if self._by_fits and self._refitted:  # which a callable may have chosen
                refitted = next(reversed(self._refitted.values()))
            checkpoint = refitted or self._models.get(best.trial.number)
        if checkpoint is None:
            raise AttributeError("the journal has no model of the best: no trial was scored yet, or it was not stored")
        return self._read(checkpoint)

    def _read(self, checkpoint: Checkpoint) -> Any:
        return loads_model(self._store.read(checkpoint))

    def __repr__(self) -> str:
        line = progress_line(self._progress, self._progress.time)
        running = "running, " if self.status == "running" else ""
        return f"<{type(self).__name__}: {running}{line}>"

    def _repr_html_(self) -> str:
        if self.history.over:
            return outcome_html(outcome_lines(self.history))
        return progress_html(self._progress, self._progress.time)
