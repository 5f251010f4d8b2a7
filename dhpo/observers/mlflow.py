"""A search as runs of MLflow while it goes on."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from dhpo.errors import ExtraNotInstalled
from dhpo.errors.checks import checked_seconds
from dhpo.exports.mlflow_runs import MLflowRuns
from dhpo.history.events import Event
from dhpo.history.history import History
from dhpo.observers.base import ObservedSearch, Observer
from dhpo.wording import counted, first_line

__all__ = ["MLflowObserver"]

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 5.0
# That the end of the process waits for what is not written yet.
_AT_EXIT_SECONDS = 60.0


class MLflowObserver(Observer):
    """Writes a search to MLflow: a run for the search, and a run below it for each trial.

    It is given to a search as ``callbacks=[MLflowObserver(...)]``. A thread of its own writes every few seconds what is
    new, in batches, so that the search does not wait for the server. Nor does `fit`: `wait` does, and the process does
    at its end, for a minute at most. Where MLflow cannot be written to, one line of the log says so, nothing more is
    written, and the search goes on.

    The run of a trial has its parameters, the metric ``score`` with the resource as its step, other metrics as
    ``test_...`` where there are several, and tags with the words of `summary`. It is "FAILED" where the trial failed,
    "KILLED" where the search was stopped before the trial had ended, and else "FINISHED". The run of the search has the
    metric ``best_score``, the parameters of the best trial as ``best_...``, and what the search has cost. A search that
    is resumed from its journal makes new runs, with all that happened before.

    Parameters
    ----------
    tracking_uri : str, optional
        Of the server. Default: what MLflow takes by default, the environment variable MLFLOW_TRACKING_URI for instance.
    experiment : str, default "dhpo"
        The name of the experiment; it is made where there is none.
    run_name : str, optional
        The name of the run of the search. Default: "HyperbandSearchCV(SGDClassifier)", or whatever they are.
    every : float, default 5.0
        Seconds between two batches.

    Raises
    ------
    ExtraNotInstalled
        If MLflow is missing: it is the extra ``mlflow``.
    TypeError, ValueError
        If `every` is no positive number.

    Examples
    --------
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import HyperbandSearchCV, MLflowObserver
    >>> observer = MLflowObserver("http://127.0.0.1:5000", experiment="digits")
    >>> search = HyperbandSearchCV(SGDClassifier(), {"alpha": [1e-4, 1e-2, 1, 100]}, callbacks=[observer])

    After `search.fit`, ``observer.wait()`` returns when everything is written.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        experiment: str = "dhpo",
        run_name: str | None = None,
        every: float = _EVERY_SECONDS,
    ) -> None:
        if find_spec("mlflow") is None:
            raise ExtraNotInstalled('MLflowObserver needs mlflow-skinny: pip install "dhpo[mlflow]"')
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self.run_name = run_name
        self.every = checked_seconds("every", every)
        self._writing: _Writing | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A search is cloned with its callbacks, and a thread cannot be copied.
        return {**vars(self), "_writing": None}

    def start(self, search: ObservedSearch) -> None:
        """Begin to write."""

        def connect(history: History) -> MLflowRuns:
            from mlflow.tracking import MlflowClient  # which takes seconds

            client = MlflowClient(tracking_uri=self.tracking_uri)
            return MLflowRuns(client, self.experiment, history, began, self.run_name)

        began = time.time() - search.now()
        self._writing = _Writing(search.history, connect, self.every)
        self._writing.start()

    def event(self, event: Event) -> None:
        """Nothing to do: the history is read when there is a batch to write."""

    def stop(self) -> None:
        """Write the rest, in the background."""
        if self._writing is not None:
            self._writing.over.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until everything is written of the last search.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most; for ever by default.

        Returns
        -------
        bool
            Whether everything is written. False where MLflow could not be written to, and where the time is over.
        """
        if self._writing is None:
            return False
        self._writing.join(timeout)
        return self._writing.succeeded


class _Writing(threading.Thread):
    """Writes one search until it is over."""

    def __init__(self, history: History, connect: Callable[[History], MLflowRuns], every: float) -> None:
        super().__init__(name="MLflowObserver", daemon=True)
        self._history, self._connect, self._every = history, connect, every
        self._runs: MLflowRuns | None = None
        self.over = threading.Event()
        self.succeeded = False

    def run(self) -> None:
        """Write every few seconds, and once more at the end."""
        atexit.register(self._finish)
        try:
            over = False
            while not over:
                over = self.over.wait(self._every)
                if self._runs is None:
                    self._runs = self._connect(self._history)
                self._runs.write()
            self.succeeded = True
        except Exception as error:
            self._warn(f"{type(error).__name__}: {first_line(error)}")
        finally:
            atexit.unregister(self._finish)

    def _finish(self) -> None:
        self.over.set()
        self.join(_AT_EXIT_SECONDS)
        if self.is_alive():
            self._warn(f"the process ends, and {_AT_EXIT_SECONDS:g} s were not enough")

    def _warn(self, why: str) -> None:
        whole = 0 if self._runs is None else self._runs.n_whole
        logger.warning(
            "Nothing more of this search is written to MLflow; %s of %s were written completely: %s",
            whole,
            counted(len(self._history.trials), "trial"),
            why,
        )
