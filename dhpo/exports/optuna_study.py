"""A search as a study of Optuna, for its dashboard, its plots and its samplers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dhpo.errors import ExtraNotInstalled
from dhpo.exports.known import is_known, resource_name
from dhpo.exports.optuna_distributions import TrialParameters
from dhpo.history.events import Dropped, Reported, TrialStarted
from dhpo.history.history import History

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, TrialState

__all__ = ["study_of"]

# What is told of each trial besides, in the words of the summary.
_ATTRIBUTES = ("status", "resource", "bracket", "rung", "seconds", "worker", "error")
_NOT_ENDED = ("waiting", "running", "stopped")


def study_of(
    history: History, *, running: bool, storage: Any = None, study_name: str | None = None, replace: bool = False
) -> Study:
    """Make a study of what has happened so far.

    Parameters
    ----------
    history : History
        A search may go on appending to it.
    running : bool
        Whether a process runs the search now.
    storage : str, path or optuna storage, optional
        Where to write the study; in memory by default. A path, also as a str, is that of an SQLite file.
    study_name : str, optional
        By default one that Optuna makes.
    replace : bool, default False
        Whether a study of that name in the storage is deleted first.

    Returns
    -------
    optuna.Study
        To be maximized. It does not change when the search goes on.

    Raises
    ------
    ExtraNotInstalled
        If Optuna is missing.
    ValueError
        If the storage has a study of that name, and `replace` is False.
    """
    try:
        import optuna
    except ImportError as error:
        raise ExtraNotInstalled('a study of Optuna needs optuna: pip install "dhpo[optuna]"') from error
    so_far = History(by_fits=history.by_fits)  # while the search goes on, all of what follows is of one moment
    for event in list(history.events):
        so_far.append(event)
    trials = _trials(so_far, running)  # before the storage is touched
    where = _storage(storage)
    try:
        study = optuna.create_study(storage=where, study_name=study_name, direction="maximize")
    except optuna.exceptions.DuplicatedStudyError as error:
        if study_name is None or not replace:
            raise ValueError(
                f"{storage} has a study {study_name!r} already: give this one another name, or have that one replaced, "
                "which deletes it (replace=True, or --replace)."
            ) from error
        optuna.delete_study(study_name=study_name, storage=where)
        study = optuna.create_study(storage=where, study_name=study_name, direction="maximize")
    for name, value in _study_attributes(so_far, running).items():
        study.set_user_attr(name, value)
    study.add_trials(trials)
    return study


def _storage(storage: Any) -> Any:
    if isinstance(storage, os.PathLike) or (isinstance(storage, str) and "://" not in storage):
        return f"sqlite:///{os.fspath(storage)}"
    return storage


def _study_attributes(history: History, running: bool) -> dict[str, Any]:
    end, unfinished = history.end, "running" if running else "unfinished"
    return {
        "title": "" if history.planned is None else history.planned.title,
        "status": unfinished if end is None else end.reason,
        **({"error": end.error} if end is not None and end.error else {}),
        "resource": resource_name(history),
        "costs": history.costs(),
    }


@dataclass
class _Course:
    """What the events say of one trial: when it began, when it ended or was scored last, and its scores by resource."""

    began: float
    ended: float
    scores: dict[int, float] = field(default_factory=dict)


def _courses(history: History) -> dict[int, _Course]:
    courses: dict[int, _Course] = {}
    for event in history.events:
        match event:
            case TrialStarted(trial, time):
                courses[trial.number] = _Course(time, time)
            case Reported(report, time):
                course = courses[report.trial]
                course.ended = time
                if not report.failed:
                    course.scores[report.resource] = float(report.score)
            case Dropped(drop, time):
                courses[drop.trial].ended = time
    return courses


def _trials(history: History, running: bool) -> list[FrozenTrial]:
    """All trials by number."""
    from optuna.trial import FrozenTrial

    parameters = TrialParameters(history)
    courses, rows = _courses(history), history.summary().to_dict("index")
    began, last = _began(history), history.events[-1].time if history.events else 0.0
    best = None if history.best is None else history.best.trial.number
    made: list[FrozenTrial] = []
    for trial in history.trials:
        row: Mapping[Any, Any] = rows[trial.number]
        course = courses[trial.number]
        state = _state(row["status"], running, trial.number == best)
        ended = last if row["status"] in _NOT_ENDED else course.ended
        has_value = state.name in ("COMPLETE", "PRUNED") and course.scores
        made.append(
            FrozenTrial(
                number=len(made),
                trial_id=-1,  # the storage gives it another
                state=state,
                value=course.scores[max(course.scores)] if has_value else None,
                datetime_start=datetime.fromtimestamp(began + course.began),
                datetime_complete=datetime.fromtimestamp(began + ended) if state.is_finished() else None,
                params=parameters.values(trial),
                distributions=parameters.distributions(trial),
                user_attrs={"trial": trial.number, **_trial_attributes(row)},
                system_attrs={},
                intermediate_values=course.scores,
            )
        )
    return made


def _state(status: str, running: bool, is_best: bool) -> TrialState:
    from optuna.trial import TrialState

    if status in _NOT_ENDED and running:
        return TrialState.RUNNING
    if status == "failed" and not is_best:  # with a number for error_score it may be
        return TrialState.FAIL
    # Optuna looks for its best trial among those that are complete.
    complete = is_best or status in ("finished", "plateau")
    return TrialState.COMPLETE if complete else TrialState.PRUNED


def _trial_attributes(row: Mapping[Any, Any]) -> dict[str, Any]:
    """What the summary says of a trial, but for what it does not know."""
    names = [*_ATTRIBUTES, *(name for name in row if name.startswith("test_"))]
    return {name: row[name] for name in names if is_known(row[name])}


def _began(history: History) -> float:
    """When the search began, in seconds since 1970; as if it had ended now, where nothing tells."""
    if history.planned is not None and history.planned.began is not None:
        return history.planned.began
    return datetime.now().timestamp() - (history.events[-1].time if history.events else 0.0)
