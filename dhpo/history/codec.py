"""Events as records of a journal, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from dhpo.history.events import (
    BestJudged,
    Checkpoint,
    DataPrepared,
    Dropped,
    Event,
    FitDone,
    ModelState,
    PhaseReached,
    Planned,
    Promoted,
    Refitted,
    Reported,
    Reused,
    SplitScores,
    StartedFrom,
    StepDone,
    StepStats,
    Stopped,
    ThreadsCounted,
    TrialStarted,
)
from dhpo.history.judgement import ClassJudgement, Judgement, NumberJudgement
from dhpo.history.mean_scores import mean_scores
from dhpo.history.values import decode_value, encode_value
from dhpo.schedules.plan import PARTIAL_FIT_CALL, BracketPlan, Plan, Rung
from dhpo.space.parameter_range import ParameterRange
from dhpo.trial import Drop, Params, Report, Train, Trial

__all__ = ["decode_event", "encode_event"]

Record = dict[str, Any]


def encode_event(event: Event) -> Record:
    """An event as a record; `decode_event` gives an equal event back."""
    match event:
        case Planned(plan, time, title, scales, ranges, began):
            record = {
                "event": "plan",
                "brackets": asdict(plan)["brackets"],
                "time": time,
                "title": title,
                "scales": dict(scales),
            }
            if plan.unit != PARTIAL_FIT_CALL:
                record["unit"] = plan.unit
            return {**record, "ranges": {name: asdict(values) for name, values in ranges.items()}, "began": began}
        case PhaseReached():
            return {"event": "phase", **asdict(event)}
        case DataPrepared():
            return {"event": "data", **asdict(event)}
        case ThreadsCounted():
            return {"event": "threads", **asdict(event)}
        case StartedFrom(source, models, scores, reason, points, learned, time):
            return {
                "event": "started from",
                "source": source,
                "models": models,
                "scores": scores,
                "why": reason,
                "points": [[number, _encode_params(params)] for number, params in points.items()],
                "learned": [[_encode_params(params), _number(score)] for params, score in learned],
                "time": time,
            }
        case TrialStarted(trial, time, train):
            params = _encode_params(trial.params)
            record = {"event": "trial", "trial": trial.number, "bracket": trial.bracket, "params": params}
            return {**record, "train": None if train is None else asdict(train), "time": time}
        case Promoted(train, time):
            return {"event": "promoted", "train": asdict(train), "time": time}
        case Reported(report, time, splits):
            numbers = {**asdict(report), "score": _number(report.score)}
            del numbers["metrics"]  # they follow from the splits
            return {"event": "report", **numbers, "splits": [_encode_split(split) for split in splits], "time": time}
        case Dropped(drop, time):
            return {"event": "drop", **asdict(drop), "time": time}
        case StepDone(progress, stats, time, models, worker):
            states = [asdict(model) for model in models]
            spent = {name: value for name, value in asdict(stats).items() if value}
            record = {"event": "step", "progress": list(progress.items()), "stats": spent, "time": time}
            return {**record, "models": states, "worker": worker}
        case Reused():
            return {"event": "reused", **asdict(event)}
        case FitDone(scores=scores):
            return {"event": "fit", **asdict(event), "scores": _encode_split(scores)}
        case Refitted():
            return {"event": "refit", **asdict(event)}
        case BestJudged(trial, resource, judgement, time):
            kind = "classes" if isinstance(judgement, ClassJudgement) else "numbers"
            place = {"event": "judged", "trial": trial, "resource": resource, "time": time}
            return {**place, kind: _encode_judgement(judgement)}
        case Stopped(reason, time, error):
            why = {"error": error} if error else {}
            return {"event": "stop", "reason": reason, "time": time, **why}


def decode_event(record: Mapping[str, Any]) -> Event:
    """The event of a record.

    Raises
    ------
    ValueError, KeyError, TypeError
        If this is not a record of an event.
    """
    kind = record["event"]
    if kind not in _DECODERS:
        raise ValueError(f"{kind!r} is no event that this version knows")
    return _DECODERS[kind]({name: value for name, value in record.items() if name != "event"})


def _planned(record: Record) -> Event:
    brackets = (BracketPlan(b["bracket"], tuple(Rung(**rung) for rung in b["rungs"])) for b in record["brackets"])
    ranges = {name: _range(values) for name, values in record["ranges"].items()}
    plan = Plan(tuple(brackets), unit=record.get("unit", PARTIAL_FIT_CALL))
    return Planned(plan, record["time"], record["title"], record["scales"], ranges, record["began"])


def _range(record: Record) -> ParameterRange:
    choices = record["choices"]
    return ParameterRange(**{**record, "choices": None if choices is None else tuple(choices)})


def _trial(record: Record) -> Event:
    params = _decode_params(record["params"])
    train = None if record["train"] is None else Train(**record["train"])
    return TrialStarted(Trial(record["trial"], params, record["bracket"]), record["time"], train)


def _report(record: Record) -> Event:
    time, splits = record.pop("time"), tuple(_decode_split(split) for split in record.pop("splits"))
    report = Report(**{**record, "score": float(record["score"])}, metrics=mean_scores(splits))
    return Reported(report, time, splits)


def _step(record: Record) -> Event:
    states = tuple(_model_state(state) for state in record["models"])
    return StepDone(dict(record["progress"]), StepStats(**record["stats"]), record["time"], states, record["worker"])


def _started_from(record: Record) -> Event:
    points = {number: _decode_params(params) for number, params in record["points"]}
    learned = tuple((_decode_params(params), float(score)) for params, score in record["learned"])
    return StartedFrom(**{**record, "points": points, "learned": learned})


def _reused(record: Record) -> Event:
    return Reused(**{**record, "models": tuple(map(_model_state, record["models"]))})


def _encode_params(params: Params) -> Record:
    return {name: encode_value(value) for name, value in params.items()}


def _decode_params(record: Record) -> Record:
    return {name: decode_value(value) for name, value in record.items()}


def _drop(record: Record) -> Event:
    time = record.pop("time")
    return Dropped(Drop(**record), time)


def _refit(record: Record) -> Event:
    return Refitted(**{**record, "checkpoint": Checkpoint(**record["checkpoint"])})


def _judged(record: Record) -> Event:
    judgement: Judgement
    if "classes" in record:
        known = record["classes"]
        judgement = ClassJudgement(
            tuple(known["classes"]),
            tuple(tuple(cell) for cell in known["counts"]),
            dict(known["areas"]),
            {position: (tuple(false), tuple(true)) for position, (false, true) in known["curves"]},
        )
    else:
        known = {name: tuple(v) if isinstance(v, list) else v for name, v in record["numbers"].items()}
        metrics = {name: float(value) for name, value in known["metrics"].items()}
        judgement = NumberJudgement(**{**known, "metrics": metrics})
    return BestJudged(record["trial"], record["resource"], judgement, record["time"])


def _encode_judgement(judgement: Judgement) -> Record:
    if isinstance(judgement, NumberJudgement):
        metrics = {name: _number(value) for name, value in judgement.metrics.items()}
        return {**asdict(judgement), "metrics": metrics}
    # JSON has no mappings of numbers.
    return {**asdict(judgement), "areas": list(judgement.areas.items()), "curves": list(judgement.curves.items())}


def _fit(record: Record) -> Event:
    return FitDone(**{**record, "scores": _decode_split(record["scores"]), "failures": tuple(record["failures"])})


_DECODERS: dict[str, Callable[[Record], Event]] = {
    "plan": _planned,
    "phase": lambda record: PhaseReached(**record),
    "data": lambda record: DataPrepared(**record),
    "threads": lambda record: ThreadsCounted(**record),
    "started from": _started_from,
    "trial": _trial,
    "promoted": lambda record: Promoted(Train(**record["train"]), record["time"]),
    "report": _report,
    "drop": _drop,
    "step": _step,
    "reused": _reused,
    "fit": _fit,
    "refit": _refit,
    "judged": _judged,
    "stop": lambda record: Stopped(**record),
}


def _model_state(record: Record) -> ModelState:
    return ModelState(**{**record, "checkpoint": _checkpoint(record["checkpoint"])})


def _checkpoint(record: Record | None) -> Checkpoint | None:
    return None if record is None else Checkpoint(**record)


def _encode_split(split: SplitScores) -> Record:
    numbers = {
        side: None if scores is None else {name: _number(score) for name, score in scores.items()}
        for side, scores in (("test", split.test), ("train", split.train))
    }
    return {**numbers, "fit_time": split.fit_time, "score_time": split.score_time, "error": split.error}


def _decode_split(record: Record) -> SplitScores:
    sides = {
        side: None if record[side] is None else {name: float(score) for name, score in record[side].items()}
        for side in ("test", "train")
    }
    return SplitScores(sides["test"] or {}, sides["train"], record["fit_time"], record["score_time"], record["error"])


def _number(value: float) -> float | str:
    """JSON has no word for what is not finite; `float` reads these."""
    return float(value) if math.isfinite(value) else str(float(value))
