"""Everything that happened in a search, as one list of events, and the views of it that people look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dhpo.history.costs import costs_of, fit_costs_of
from dhpo.history.events import (
    BestJudged,
    DataPrepared,
    Dropped,
    Event,
    FitDone,
    Planned,
    Promoted,
    Reported,
    Reused,
    SplitScores,
    StepDone,
    Stopped,
    TrialStarted,
)
from dhpo.history.judgement import Judgement
from dhpo.history.row import Row, failure_of, traceback_of
from dhpo.history.summary import summary_of
from dhpo.history.tables import objects, other_metrics, param_columns, score_columns
from dhpo.schedules.plan import Plan
from dhpo.trial import Report, Trial

__all__ = ["Best", "History"]


@dataclass(frozen=True, slots=True)
class Best:
    """The trial with the highest last score so far, and that report.

    Parameters
    ----------
    trial : Trial
    report : Report

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import IncrementalSearchCV
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> search = IncrementalSearchCV(
    ...     SGDClassifier(), {"alpha": [1e-4, 100]}, n_initial_parameters="grid", max_iter=3, random_state=0, verbose=0
    ... )
    >>> best = search.fit(X, y).best_
    >>> best.trial
    Trial(number=0, params={'alpha': 0.0001}, bracket=0)
    >>> best.report.resource, best.report.score > 0.9
    (3, True)
    """

    trial: Trial
    report: Report


class History:
    """Append-only list of events and the views of it.

    Parameters
    ----------
    first_of_bracket : mapping of int to int, optional
        The number of the first trial of each bracket. With it, `model_id` is "bracket=4-0", as in dask-ml's Hyperband;
        else it is the number of the trial.
    by_fits : bool, default False
        Whether what is counted are fits on splits of the data, and not calls of `partial_fit`.

    Attributes
    ----------
    events : list of Event
    by_fits : bool
    alive : bool
        False where it is known that no process runs the search, as of a journal whose process has died.

    Examples
    --------
    The history of a search is `Run.history`, and that of `ObservedSearch`. One that is made by hand:

    >>> from dhpo import History, Report, Trial
    >>> from dhpo.history.events import Reported, TrialStarted
    >>> history = History()
    >>> for number, score in enumerate([0.8, 0.9]):
    ...     history.append(TrialStarted(Trial(number, {"alpha": 10.0**-number}), time=0.0))
    ...     history.append(Reported(Report(number, resource=5, score=score), time=1.0))
    >>> history.best.trial
    Trial(number=1, params={'alpha': 0.1}, bracket=0)
    >>> history.summary()[["rank", "score", "status", "resource", "param_alpha"]]
           rank  score   status  resource  param_alpha
    trial
    1         1    0.9  running         5          0.1
    0         2    0.8  running         5          1.0
    """

    def __init__(self, first_of_bracket: Mapping[int, int] | None = None, by_fits: bool = False) -> None:
        self.events: list[Event] = []
        self.by_fits = by_fits
        self.alive = True
        self._rows: dict[int, Row] = {}
        self._first_of_bracket = first_of_bracket

    def _model_id(self, trial: Trial) -> int | str:
        if self._first_of_bracket is None:
            return trial.number
        return f"bracket={trial.bracket}-{trial.number - self._first_of_bracket[trial.bracket]}"

    def append(self, event: Event) -> None:
        """Add one event; nothing else changes a history."""
        match event:
            case TrialStarted(trial, train=train):
                self._rows[trial.number] = Row(trial, 0 if train is None else train.rung)
            case Promoted(train):
                self._rows[train.trial].rung = train.rung
            case Reported(report):
                row = self._rows[report.trial]
                row.reports.append(event)
                row.calls = max(row.calls, report.resource)
            case Dropped(drop):
                self._rows[drop.trial].drop = drop
            case FitDone(candidate, split, failures=(first, *_)):
                self._rows[candidate].scorer_errors[split] = first
            case Reused(trial, resource):
                self._rows[trial].calls = max(self._rows[trial].calls, resource)
            case StepDone(progress, worker=worker):
                for number, calls in progress.items():
                    row = self._rows[number]
                    row.calls, row.worker = max(row.calls, calls), worker
        self.events.append(event)  # last: who reads it in another thread finds its trial as it is then

    def __len__(self) -> int:
        return len(self.events)

    def _sorted(self) -> Iterator[Row]:
        # The search goes on appending in its own thread while people look; list() copies in one go, iteration does not.
        yield from sorted(list(self._rows.values()), key=lambda row: row.trial.number)  # noqa: C414

    @property
    def trials(self) -> list[Trial]:
        """All trials so far, by number."""
        return [row.trial for row in self._sorted()]

    @property
    def reported(self) -> list[Trial]:
        """The trials that were scored, or failed, at least once, by number: the rows of `cv_results`."""
        return [row.trial for row in self._sorted() if row.reports]

    @property
    def prepared(self) -> DataPrepared | None:
        """What the first look at the data found; None before it."""
        return next((event for event in list(self.events) if isinstance(event, DataPrepared)), None)

    @property
    def planned(self) -> Planned | None:
        """What was known before the first task: the plan, the title, the parameters; None before that."""
        return next((event for event in list(self.events) if isinstance(event, Planned)), None)

    @property
    def plan(self) -> Plan | None:
        """What the search will run; None before it is known."""
        planned = self.planned
        return None if planned is None else planned.plan

    @property
    def unit(self) -> str:
        """What trials are trained for, in the singular: "call" of partial_fit, "fit", "tree" and so on."""
        if self.by_fits:
            return "fit"
        return "call" if self.plan is None else self.plan.short_unit

    @property
    def judgement(self) -> Judgement | None:
        """How the model of the best trial does on the rows that were held out; None where that is not known."""
        best = self.best
        judged = next((event for event in reversed(list(self.events)) if isinstance(event, BestJudged)), None)
        if best is None or judged is None:
            return None
        of_best = (judged.trial, judged.resource) == (best.trial.number, best.report.resource)
        return judged.judgement if of_best else None

    @property
    def over(self) -> bool:
        """Whether the search has ended, and has not gone on since."""
        return self.end is not None

    @property
    def end(self) -> Stopped | None:
        """How the search has ended; None while it goes on."""
        last = self.events[-1] if self.events else None
        return last if isinstance(last, Stopped) else None

    @property
    def best(self) -> Best | None:
        """The trial whose last score is highest. None before the first score.

        A trial that failed never is, unless it has a score all the same: the number of `error_score`.
        """
        best: Best | None = None
        for row in self._sorted():
            last = row.last
            if last is None or last.failed:
                continue
            if best is None or last.score > best.report.score:
                best = Best(row.trial, last)
        return best

    @property
    def best_index(self) -> int | None:
        """The row of the best in `cv_results`; None before the first score."""
        best = self.best
        return None if best is None else [trial.number for trial in self.reported].index(best.trial.number)

    def last_reports(self) -> list[Report]:
        """The last report of each trial that has one and did not fail, by number."""
        return [last for row in self._sorted() if (last := row.last) is not None and not row.failed]

    def trial(self, number: int) -> Trial:
        """A trial by its number."""
        return self._rows[number].trial

    def last_scores(self) -> list[float]:
        """The last score of each trial that has one and did not fail since, by number."""
        return [last.score for row in self._sorted() if (last := row.last) is not None and not last.failed]

    def splits_of(self, trial: Trial) -> tuple[SplitScores, ...]:
        """The last scores of a trial, by split of the data."""
        reports = self._rows[trial.number].reports
        return reports[-1].splits if reports else ()

    def failure_of(self, event: Reported) -> str | None:
        """Why a trial failed, or to what extent, in one line; None where nothing did."""
        return failure_of(event, self._scorer_errors(event))

    def has_failed(self, number: int) -> bool:
        """Whether the last report of a trial is a failure."""
        return self._rows[number].failed

    def _scorer_errors(self, event: Reported) -> Mapping[int, str]:
        return self._rows[event.report.trial].scorer_errors

    @property
    def n_failed(self) -> int:
        """Trials whose last report is a failure."""
        return sum(row.failed for row in list(self._rows.values()))

    @property
    def n_failed_in_part(self) -> int:
        """Trials that failed on some splits of the data only, or by a scorer, and have a score all the same."""
        return sum(row.error is not None and not row.failed for row in list(self._rows.values()))

    def errors(self) -> dict[int, str]:
        """The traceback of each trial whose last report is a failure, also in part; empty where it failed without."""
        return {row.trial.number: row.traceback for row in self._sorted() if row.error is not None}

    @property
    def first_error(self) -> str | None:
        """The traceback of the first trial that failed with one."""
        reported = (event for event in list(self.events) if isinstance(event, Reported))
        return next((said for event in reported if (said := traceback_of(event, self._scorer_errors(event)))), None)

    @property
    def partial_fit_calls(self) -> int:
        """`partial_fit` calls that the models have seen, over all trials."""
        return sum(row.calls for row in self._sorted())

    def summary(self, splits: bool = False) -> pd.DataFrame:
        """One row for each trial, as it stands now, the best first.

        Parameters
        ----------
        splits : bool, default False
            Whether to add the scores on each split of the data, named `split0_test_score` and so on.

        Returns
        -------
        pandas.DataFrame
            Indexed by trial number, with

            - `rank` (1 is best; trials that have no score have none) and `score`, the last; where there
              are several metrics, `score` is that which decides, and each has a column `test_...`;
            - `status`: why a trial ended ("finished", "not promoted", "plateau" or "failed"), or else "waiting" or
              "running", and once the search was brought to an early end, or its process has died, "stopped";
            - a column `param_...` for each parameter, which is not a number where a trial does not have it;
            - `resource`: calls of `partial_fit` that its model has seen, or splits that it was fitted on;
            - `bracket`, and the `rung` of it that the trial was last trained for;
            - `seconds` of training and scoring until its last score; the name of the `worker` that trained it last; and
              the `error`, the last line of its traceback. A trial that failed keeps the score
              that a number of `error_score` gives it; one that failed on some splits of the data tells on how many.

            `attrs` of the frame hold the totals of `costs`.
        """
        frame = summary_of(list(self._sorted()), self.over or not self.alive, splits)
        frame.attrs.update(self.costs())
        return frame

    def costs(self) -> dict[str, Any]:
        """What the search has cost so far, over all trials.

        Returns
        -------
        dict
            `partial_fit_calls`; `wasted_calls` besides, made ahead of a promotion that has not come, or made again
            because a model was lost; `tasks` that trained and scored; `n_blocks` of the data; `blocks_read`, loads of
            training blocks (the first look at the data included) that no cache could serve, and `blocks_cached`, those
            that one could; `validation_blocks_read`; `bytes_read`; `passes`, `blocks_read` as passes over the whole
            data; and the seconds that threads spent in `partial_fit`, scoring, waiting for blocks and storing models.
        """
        costs = fit_costs_of if self.by_fits else costs_of
        return costs(list(self.events), self.partial_fit_calls)

    def records(self) -> list[dict[str, Any]]:
        """Every report in the order of its arrival, in dask-ml's words (`history_`)."""
        return [self._record(e) for e in list(self.events) if isinstance(e, Reported)]

    def model_records(self) -> dict[int | str, list[dict[str, Any]]]:
        """The same records by `model_id` (`model_history_`)."""
        return {self._model_id(row.trial): [self._record(e) for e in row.reports] for row in self._sorted()}

    def _record(self, event: Reported) -> dict[str, Any]:
        report = event.report
        trial = self._rows[report.trial].trial
        return {
            "model_id": self._model_id(trial),
            "params": dict(trial.params),
            "bracket": trial.bracket,
            "partial_fit_calls": report.resource,
            "partial_fit_time": report.fit_time,
            "score": report.score,
            "score_time": report.score_time,
            "elapsed_wall_time": event.time,
            "error": report.error,
            **other_metrics(event),
        }

    def cv_results(self) -> dict[str, Any]:
        """The last score of every reported trial, in the words of scikit-learn and dask-ml (`cv_results_`).

        Returns
        -------
        dict of str to ndarray, each of shape (n_trials,)
            `split0_test_...`, `mean_test_...`, `std_test_...` and `rank_test_...` for each metric, the only one being
            called "score"; that one is in `test_score` as well, as dask-ml has it. `param_...` columns are masked
            arrays, masked where a trial does not have the parameter.
        """
        rows = [row for row in self._sorted() if row.reports]
        fit_mean, fit_std = _means_and_stds([[e.report.fit_time for e in r.reports] for r in rows])
        score_mean, score_std = _means_and_stds([[e.report.score_time for e in r.reports] for r in rows])
        results: dict[str, Any] = {
            "mean_partial_fit_time": fit_mean,
            "std_partial_fit_time": fit_std,
            "mean_score_time": score_mean,
            "std_score_time": score_std,
            "model_id": np.array([self._model_id(r.trial) for r in rows]),
            "bracket": np.array([r.trial.bracket for r in rows], dtype=int),
            "partial_fit_calls": np.array([r.reports[-1].report.resource for r in rows], dtype=int),
            "params": objects([dict(r.trial.params) for r in rows]),
        }
        results.update(("param_" + name, values) for name, values in _columns(rows).items())
        splits = [r.reports[-1].splits or _one_split(r.reports[-1].report) for r in rows]
        metrics = next((list(e.splits[0].test) for e in self._scored() if e.splits), ["score"])
        scores = score_columns(splits, "test", metrics)
        if metrics == ["score"]:
            results["test_score"] = scores["mean_test_score"].copy()
        results.update(scores)
        return results

    def _scored(self) -> list[Reported]:
        """The reports that are no failures, in the order of their arrival."""
        return [e for e in list(self.events) if isinstance(e, Reported) and not e.report.failed]


def _means_and_stds(rows: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Of each row; the rows differ in length, and none is empty."""
    if not rows:
        return np.empty(0), np.empty(0)
    lengths = np.array([len(row) for row in rows])
    starts = np.cumsum(lengths) - lengths
    values = np.concatenate([np.asarray(row, dtype=float) for row in rows])
    means = np.add.reduceat(values, starts) / lengths
    squares = (values - np.repeat(means, lengths)) ** 2
    return means, np.sqrt(np.add.reduceat(squares, starts) / lengths)


def _one_split(report: Report) -> tuple[SplitScores, ...]:
    return (SplitScores({} if report.failed else {"score": report.score}),)


def _columns(rows: list[Row]) -> dict[str, np.ma.MaskedArray[Any, Any]]:
    return param_columns([row.trial.params for row in rows])
