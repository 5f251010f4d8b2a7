"""A search as runs of MLflow: one for the search, and one below it for each trial, written in batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dhpo.exports.known import is_known, resource_name
from dhpo.history.events import Dropped, Reported, Stopped, TrialStarted
from dhpo.history.history import History
from dhpo.history.tables import other_metrics
from dhpo.space.parameter_range import readable_choice

__all__ = ["MLflowRuns"]

# What a server takes in one batch.
_METRICS_PER_BATCH = 1_000
_OTHERS_PER_BATCH = 50
# Characters of a tag that a server takes.
_LONGEST_TAG = 5_000

_ENDS = {"failed": "FAILED", "stopped": "KILLED"}


@dataclass
class _News:
    """What is new of one trial since the last batch: its scores with the seconds of their arrival, and its end."""

    scores: list[tuple[float, Reported]] = field(default_factory=list)
    ended: float | None = None


class MLflowRuns:
    """Writes what is new in a history, each time that it is asked to.

    Parameters
    ----------
    client : mlflow.MlflowClient
    experiment : str
        Its name; it is made where there is none.
    history : History
        The search goes on appending to it.
    began : float
        When the search began, in seconds since 1970.
    run_name : str, optional
        Of the run of the search. Default: its title, such as "HyperbandSearchCV(SGDClassifier)".
    """

    def __init__(self, client: Any, experiment: str, history: History, began: float, run_name: str | None) -> None:
        self._client, self._history, self._began, self._run_name = client, history, began, run_name
        found = client.get_experiment_by_name(experiment)
        self._experiment: str = client.create_experiment(experiment) if found is None else found.experiment_id
        self._parent = ""
        self._runs: dict[int, str] = {}
        self._started: dict[int, TrialStarted] = {}
        self._seen = 0
        self._n_scores = 0
        self._best = -math.inf
        self._whole: set[int] = set()

    @property
    def n_whole(self) -> int:
        """Trials that have ended, and are written whole."""
        return len(self._whole)

    def write(self) -> None:
        """Write what is new.

        Raises
        ------
        Exception
            Of the server, or of the way to it.
        """
        news: dict[int, _News] = {}
        bests: list[tuple[str, float, float, int]] = []
        stopped: Stopped | None = None
        n_events = len(self._history.events)
        for event in self._history.events[self._seen : n_events]:
            match event:
                case TrialStarted(trial):
                    self._started[trial.number] = event
                    news[trial.number] = _News()
                case Reported(report, time) if not report.failed:
                    news.setdefault(report.trial, _News()).scores.append((time, event))
                    self._n_scores += 1
                    if report.score > self._best:
                        self._best = report.score
                        bests.append(("best_score", report.score, time, self._n_scores))
                case Dropped(drop, time):
                    news.setdefault(drop.trial, _News()).ended = time
                case Stopped():
                    stopped = event
        self._seen = n_events
        if not self._parent:
            self._begin()
        if stopped is not None:
            for number in self._started.keys() - self._ended(news):
                news.setdefault(number, _News()).ended = stopped.time
        rows = self._history.summary().to_dict("index") if any(new.ended is not None for new in news.values()) else {}
        for number, new in sorted(news.items()):
            self._write_trial(number, new, rows.get(number, {}))
        self._log(self._parent, metrics=bests)
        if stopped is not None:
            self._end(stopped)

    def _ended(self, news: Mapping[int, _News]) -> set[int]:
        return self._whole | {number for number, new in news.items() if new.ended is not None}

    def _begin(self) -> None:
        planned = self._history.planned
        title = "" if planned is None else planned.title
        self._parent = self._new_run(self._run_name or title or "search", 0.0)
        params = {} if planned is None else {"planned_trials": planned.plan.n_trials}
        counted = resource_name(self._history)
        self._log(self._parent, params=params, tags={"title": title, "resource": counted})

    def _end(self, stopped: Stopped) -> None:
        best = self._history.best
        params = {} if best is None else {f"best_{name}": value for name, value in best.trial.params.items()}
        costs = [(name, float(value), stopped.time, 0) for name, value in self._history.costs().items()]
        tags: dict[str, Any] = {
            "status": stopped.reason,
            **({"error": stopped.why[:_LONGEST_TAG]} if stopped.error else {}),
        }
        if best is not None:
            tags["best_trial"] = best.trial.number
        self._log(self._parent, costs, params, tags)
        self._terminate(self._parent, _ENDS.get(stopped.reason, "FINISHED"), stopped.time)

    def _write_trial(self, number: int, new: _News, row: Mapping[Any, Any]) -> None:
        params: Mapping[str, Any] = {}
        tags: dict[str, Any] = {}
        run = self._runs.get(number)
        if run is None:
            started = self._started[number]
            run = self._runs[number] = self._new_run(f"trial {number}", started.time, self._parent)
            params, tags = started.trial.params, {"trial": number, "bracket": started.trial.bracket}
        metrics = [metric for time, event in new.scores for metric in _metrics(time, event)]
        if new.ended is not None:
            tags |= {name: row[name] for name in ("status", "rung", "worker", "error") if is_known(row[name])}
            metrics += [(name, float(row[name]), new.ended, 0) for name in ("resource", "seconds")]
        self._log(run, metrics, params, tags)
        if new.ended is not None:
            self._terminate(run, _ENDS.get(row["status"], "FINISHED"), new.ended)
            self._whole.add(number)

    def _new_run(self, name: str, seconds: float, parent: str | None = None) -> str:
        tags = {} if parent is None else {"mlflow.parentRunId": parent}
        made = self._client.create_run(
            self._experiment, start_time=self._milliseconds(seconds), tags=tags, run_name=name
        )
        run: str = made.info.run_id
        return run

    def _terminate(self, run: str, status: str, seconds: float) -> None:
        self._client.set_terminated(run, status, end_time=self._milliseconds(seconds))

    def _log(
        self,
        run: str,
        metrics: Sequence[tuple[str, float, float, int]] = (),
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        """Log metrics (name, value, seconds, step), parameters and tags in as few requests as the server allows."""
        from mlflow.entities import Metric, Param, RunTag

        measured = [Metric(name, value, self._milliseconds(time), step) for name, value, time, step in metrics]
        given = [Param(name, str(readable_choice(value))) for name, value in (params or {}).items()]
        told = [RunTag(name, str(value)) for name, value in (tags or {}).items()]
        while measured or given or told:
            others = min(len(given), _OTHERS_PER_BATCH) + min(len(told), _OTHERS_PER_BATCH)
            room = _METRICS_PER_BATCH - others
            self._client.log_batch(run, measured[:room], given[:_OTHERS_PER_BATCH], told[:_OTHERS_PER_BATCH])
            measured, given, told = measured[room:], given[_OTHERS_PER_BATCH:], told[_OTHERS_PER_BATCH:]

    def _milliseconds(self, seconds: float) -> int:
        return round(1000 * (self._began + seconds))


def _metrics(time: float, event: Reported) -> Iterator[tuple[str, float, float, int]]:
    """The score that decides, and the means over the splits of others."""
    step = event.report.resource
    yield "score", float(event.report.score), time, step
    for name, mean in other_metrics(event).items():
        if is_known(mean):
            yield name, mean, time, step
