"""What a search over blocks leaves behind: its learned attributes, and the views of its history."""

from __future__ import annotations

import math
import os
from typing import Any

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from dhpo.data.wrappers import unwrap
from dhpo.driver.executor import Executor
from dhpo.exports.to_optuna import ToOptuna
from dhpo.history.history import Best, History
from dhpo.scoring import resolve_scoring
from dhpo.search.precision_warning import precision_of, warn_of_chance

__all__ = ["LeavesResults"]


class LeavesResults(ToOptuna):
    """The part of a search that takes over what its run has found."""

    estimator: Any
    _history: History
    _planned: dict[str, Any]
    _score_error: float = math.nan

    def _adopt(self, executor: Executor, history: History) -> Any:
        """Take over what a run has found, also one that ended early."""
        self.history_ = history.records()
        self.model_history_ = history.model_records()
        estimator, job = unwrap(self.estimator), executor.job
        scorers = {name: resolve_scoring(estimator, scoring) for name, scoring in job.metrics.scoring.items()}
        self.multimetric_ = job.metrics.several
        self.scorer_ = scorers if self.multimetric_ else scorers["score"]
        self.n_splits_ = job.data.n_folds or 1
        if not self.history_:
            return self
        self.cv_results_ = history.cv_results()
        best = history.best
        if best is not None:
            self.best_params_ = dict(best.trial.params)
            self.best_score_ = best.report.score
            self.best_index_ = history.best_index
            self.n_iter_ = best.report.resource
        if executor.best_model is not None and job.refit:
            self.best_estimator_ = executor.best_model
            for name in ("classes_", "n_features_in_", "feature_names_in_"):
                if hasattr(self.best_estimator_, name):
                    setattr(self, name, getattr(self.best_estimator_, name))
        precision = precision_of(history, executor.job)
        self._score_error = math.nan if precision is None else precision.error
        if precision is not None:
            warn_of_chance(precision, job.data.n_folds > 0)
        return self

    def summary(self, splits: bool = False) -> pd.DataFrame:
        """One row for each trial, the best first: see `History.summary`. Also while a search that was started runs.

        Parameters
        ----------
        splits : bool, default False
            Whether to add the scores on each split of the data.

        Returns
        -------
        pandas.DataFrame
            `summary().attrs` holds the totals: calls, tasks, blocks read, passes over the data.
        """
        check_is_fitted(self, "_history")
        return self._history.summary(splits)

    def _happened(self) -> tuple[History, bool]:
        check_is_fitted(self, "_history")
        return self._history, not self._history.over

    def report(self, file: str | os.PathLike[str], X: Any = None, y: Any = None) -> None:
        """Write all that is known of the search as one page of HTML, which needs no network and no other file.

        Parameters
        ----------
        file : str or path
            Overwritten where it exists.
        X : array-like, sparse matrix, dask array or dask dataframe of shape (n_samples, n_features), optional
            Rows that the search has not seen, to judge the best model by: precision, recall, F1, a confusion matrix and
            ROC curves of a classifier, errors and residuals of a regressor.
        y : array-like, dask array or series of shape (n_samples,), optional
            What is known of these rows.

        Raises
        ------
        ValueError
            If one of `X` and `y` is given without the other, they differ in length, or the best model is neither a
            classifier nor a regressor with one output.
        OSError
            If the file cannot be written.
        """
        from dhpo.report import write_report
        from dhpo.search.judgement import judged_best

        check_is_fitted(self, "_history")
        write_report(self._history, file, given=judged_best(self, X, y))

    @property
    def best_(self) -> Best:
        """The trial with the highest last score, and that report: what `Run.best` is at the end.

        Raises
        ------
        AttributeError
            If no trial was scored.
        """
        check_is_fitted(self, "history_")
        best = self._history.best
        if best is None:
            raise AttributeError("no trial was scored, so there is no best_")
        return best

    @property
    def metadata_(self) -> dict[str, Any]:
        """What did run: all of `metadata` with the real numbers, and the totals of `summary().attrs`.

        `best_score_error` is the standard error of `best_score_`; not a number where the metric does not tell it.
        """
        check_is_fitted(self, "history_")
        frame = self._history.summary()
        planned = self._planned
        brackets = []
        for bracket in planned["brackets"]:
            rows = frame[frame["bracket"] == bracket["bracket"]]
            scored = {r["partial_fit_calls"] for r in self.history_ if r["bracket"] == bracket["bracket"]}
            brackets.append(
                {
                    **bracket,
                    "n_models": len(rows),
                    "partial_fit_calls": int(rows["resource"].sum()),
                    "decisions": sorted(scored),
                }
            )
        return {
            **planned,
            "n_models": len(frame),
            **self._history.costs(),
            "best_score_error": self._score_error,
            "max_iter": int(frame["resource"].max()) if len(frame) else 0,
            "brackets": brackets,
        }
