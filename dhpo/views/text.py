"""Scores, times, parameters and the state of a search in words, as all views have them."""

from __future__ import annotations

import math
from typing import Any

from dhpo.history.events import DataPrepared, StartedFrom
from dhpo.history.history import Best, History
from dhpo.trial import Params
from dhpo.views.progress import Progress
from dhpo.wording import counted, listed, percent

__all__ = [
    "best_line",
    "data_line",
    "duration",
    "end_line",
    "outcome_lines",
    "progress_line",
    "score",
    "short_params",
    "short_value",
    "started_from_line",
]

_LONGEST_VALUE = 24


def score(value: float) -> str:
    """A score to four places; a dash where there is none."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Seconds in the two largest units: "12 s", "3 min 02 s", "1 h 04 min"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def short_params(params: Params) -> str:
    """Parameters in one line, long values cut: "alpha=0.000123, penalty=l1"."""
    return ", ".join(f"{name}={short_value(value)}" for name, value in params.items())


def short_value(value: Any) -> str:
    """A value of a parameter in one line, cut where it is long."""
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def best_line(best: Best, unit: str = "call") -> str:
    """The best trial in one line, but for its parameters.

    Parameters
    ----------
    best : Best
    unit : str
        What trials are trained for, in the singular.
    """
    after = counted(best.report.resource, unit)
    return f"best {score(best.report.score)} by trial {best.trial.number} after {after}"


def data_line(data: DataPrepared) -> str:
    """What the first pass has found, in one line."""
    said = f"{counted(data.n_blocks, 'block')}: {counted(data.n_training, 'row')} to train on"
    return f"{said}, {data.n_validation:,} to score on"


def started_from_line(event: StartedFrom) -> str:
    """What is taken over from an earlier search, in one line."""
    taken = [name for name, is_taken in (("scores", event.scores), ("models", event.models)) if is_taken]
    taken += [counted(len(event.points), "point")] if event.points else []
    taken += [f"what {counted(len(event.learned), 'trial')} taught the sampler"] if event.learned else []
    why = f" ({event.why})" if event.why else ""
    return f"from {event.source}: {listed(taken) or 'nothing'}{why}"


def end_line(progress: Progress, now: float) -> str | None:
    """How a search has ended, or that its process has died; None while it runs."""
    if progress.stopped is not None:
        return f"{progress.stopped} after {duration(now)}"
    return None if progress.alive else f"unfinished after {duration(progress.time)}, its process has died"


def progress_line(progress: Progress, now: float) -> str:
    """Where a search is, in one line.

    Parameters
    ----------
    progress : Progress
    now : float
        Seconds since the search began.
    """
    history, counts = progress.history, progress.everything
    best, unit, end = history.best, history.unit, end_line(progress, now)
    if progress.stopped is not None:
        parts = [f"{end}"]
        parts += [f"{best_line(best, unit)}: {short_params(best.trial.params)}"] if best is not None else []
    elif end is not None:
        parts = [f"{end}: {progress.status}"]
    elif progress.phase is None or progress.phase.phase != "training":
        parts = [f"{progress.status}, {duration(now)} so far"]
    else:
        parts = [f"{counts.calls:,}/{counts.all_calls:,} {unit}s ({percent(counts.share)})"]
        parts += [f"best {score(best.report.score)} (trial {best.trial.number})"] if best is not None else []
        parts.append(f"{counts.active:,} of {counts.all_trials:,} active")
    if progress.failed:
        parts.append(f"{len(progress.failed):,} failed")
    left = progress.seconds_left(now)
    parts += [f"about {duration(left)} left"] if left is not None else []
    return ", ".join(parts)


def outcome_lines(history: History, with_best: bool = True) -> list[str]:
    """What came of a search, in some lines: what ended it if it failed, the best trial, and what all of them have cost.

    Parameters
    ----------
    history : History
    with_best : bool, default True
    """
    progress, costs, best = Progress(history), history.costs(), history.best
    lines = [history.end.why] if history.end is not None and history.end.error else []
    if best is not None and with_best:
        lines.append(f"{best_line(best, history.unit)}: {short_params(best.trial.params)}")
    parts = [counted(progress.everything.trials, "trial")]
    calls = counted(progress.everything.calls, history.unit)
    parts.append(
        f"{calls}, {reused:,} of them taken over"
        if (reused := costs.get("reused_calls") or costs.get("reused_fits"))
        else calls
    )
    if costs.get("n_blocks"):
        parts.append(f"{costs['passes']:.1f} passes over {counted(costs['n_blocks'], 'block')}")
    if progress.failed:
        parts.append(f"{len(progress.failed):,} failed")
    lines.append(f"{progress.status} after {duration(progress.time)}: {', '.join(parts)}")
    return lines
