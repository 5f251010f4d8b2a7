"""Reports, tasks and trials of a search as tidy frames, for pictures of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dhpo.history.events import Reported, Reused, SplitScores, StepDone
from dhpo.history.history import History
from dhpo.history.rungs import Rungs

__all__ = ["report_frame", "task_frame", "trial_frame"]


def report_frame(history: History) -> pd.DataFrame:
    """One row for each score, in the order of their arrival; failures are left out.

    Parameters
    ----------
    history : History

    Returns
    -------
    pandas.DataFrame
        `trial`, `bracket`, `rung`, `resource`, `score`, `std` over the splits (not a number for a single one), `time`
        in seconds since the search began, `calls` of all trials until then, and the `best` score until then.
    """
    rungs, metric = Rungs(), _deciding_metric(history)
    calls_of: dict[int, int] = {}
    calls, best = 0, -np.inf
    rows = []
    for event in list(history.events):
        rungs.take(event)
        reached = event.progress if isinstance(event, StepDone) else {}
        if isinstance(event, Reported):
            reached = {event.report.trial: event.report.resource}
        if isinstance(event, Reused):
            reached = {event.trial: event.resource}
        for trial, resource in reached.items():
            calls += max(resource - calls_of.get(trial, 0), 0)
            calls_of[trial] = max(resource, calls_of.get(trial, 0))
        if isinstance(event, Reported) and not event.report.failed:
            report = event.report
            best = max(best, report.score)
            bracket, rung = rungs.of(report.trial)
            std = _std(_scores(event.splits, "test", metric))
            place = report.trial, bracket, rung, report.resource
            rows.append((*place, report.score, std, event.time, calls, best))
    columns = ["trial", "bracket", "rung", "resource", "score", "std", "time", "calls", "best"]
    return pd.DataFrame(rows, columns=columns)


def task_frame(history: History) -> pd.DataFrame:
    """One row for each task that trained and scored trials, in the order of their ends.

    Parameters
    ----------
    history : History

    Returns
    -------
    pandas.DataFrame
        Name of the `worker`; `begin` and `end` in seconds since the search began; `bracket` and `rung` of its trials;
        the number of these `trials`, and the `calls` (or fits) that were made.
    """
    rungs = Rungs()
    rows = []
    for event in list(history.events):
        rungs.take(event)
        if isinstance(event, StepDone):
            step = rungs.timed(event)
            place = step.bracket, step.rung, len(event.progress)
            rows.append((step.worker or "?", step.begin, step.end, *place, step.calls))
    return pd.DataFrame(rows, columns=["worker", "begin", "end", "bracket", "rung", "trials", "calls"])


def trial_frame(history: History) -> pd.DataFrame:
    """The summary of a search, with what only pictures need.

    Parameters
    ----------
    history : History

    Returns
    -------
    pandas.DataFrame
        As `History.summary`, but None as a value of a parameter is told from one that the trial does not have, which
        is not a number; and besides `std` of the score over the splits, `train_score` and `train_std`; they are
        not a number where there is one split, or where training scores were not asked for.
    """
    metric = _deciding_metric(history)
    rows, trials = {}, history.trials
    for trial in trials:
        splits = history.splits_of(trial)
        test, train = _scores(splits, "test", metric), _scores(splits, "train", metric)
        rows[trial.number] = _std(test), np.mean(train) if train else np.nan, _std(train)
    spread = pd.DataFrame.from_dict(rows, orient="index", columns=["std", "train_score", "train_std"], dtype=float)
    frame = history.summary().join(spread)
    for column in [name for name in frame.columns if name.startswith("param_")]:
        name = column.removeprefix("param_")
        values = {trial.number: trial.params.get(name, np.nan) for trial in trials}
        frame[column] = pd.Series([values[number] for number in frame.index], index=frame.index, dtype=object)
    return frame


def _deciding_metric(history: History) -> str:
    """The metric whose mean over the splits is the score of a trial."""
    for event in list(history.events):
        if isinstance(event, Reported) and not event.report.failed and event.splits:
            for name in event.splits[0].test:
                if np.isclose(np.mean(_scores(event.splits, "test", name)), event.report.score):
                    return name
    return "score"


def _scores(splits: tuple[SplitScores, ...], kind: str, metric: str) -> list[float]:
    """By split."""
    scores = [(split.test if kind == "test" else split.train) or {} for split in splits]
    return [of_split[metric] for of_split in scores if metric in of_split]


def _std(scores: list[float]) -> float:
    return float(np.std(scores)) if len(scores) > 1 else np.nan
