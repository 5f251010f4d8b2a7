"""Scores, times, parameters and the state of a search in words, as all views have them."""

from __future__ import annotations

import math
from typing import Any

from dhpo.history.history import Best, History
from dhpo.trial import Params
from dhpo.views.progress import Progress
from dhpo.wording import counted, percent

__all__ = ["best_line", "duration", "outcome_lines", "progress_line", "score", "short_params"]

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
    return ", ".join(f"{name}={_short_value(value)}" for name, value in params.items())


def _short_value(value: Any) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def best_line(best: Best, by_fits: bool = False) -> str:
    """The best trial in one line, but for its parameters.

    Parameters
    ----------
    best : Best
    by_fits : bool
        Whether trials are fitted whole, each on some splits of the data.
    """
    after = counted(best.report.resource, "fit" if by_fits else "call")
    return f"best {score(best.report.score)} by trial {best.trial.number} after {after}"


def progress_line(progress: Progress, best: Best | None, now: float, by_fits: bool = False) -> str:
    """Where a search is, in one line.

    Parameters
    ----------
    progress : Progress
    best : Best or None
    now : float
        Seconds since the search began.
    by_fits : bool
        Whether trials are fitted whole.
    """
    counts = progress.everything
    if progress.stopped is not None:
        parts = [f"{progress.stopped} after {duration(now)}"]
        parts += [f"{best_line(best, by_fits)}: {short_params(best.trial.params)}"] if best is not None else []
    elif not progress.alive:
        parts = [f"unfinished after {duration(progress.time)}, its process has died: {progress.status}"]
    elif progress.phase is None or progress.phase.phase != "training":
        parts = [f"{progress.status}, {duration(now)} so far"]
    else:
        parts = [f"{counts.calls:,}/{counts.all_calls:,} {'fits' if by_fits else 'calls'} ({percent(counts.share)})"]
        parts += [f"best {score(best.report.score)} (trial {best.trial.number})"] if best is not None else []
        parts.append(f"{counts.active:,} of {counts.all_trials:,} active")
    if progress.failed:
        parts.append(f"{len(progress.failed):,} failed")
    left = progress.seconds_left(now)
    parts += [f"about {duration(left)} left"] if left is not None else []
    return ", ".join(parts)


def outcome_lines(history: History) -> list[str]:
    """What came of a search, in two lines: the best trial, and what all of them have cost.

    Parameters
    ----------
    history : History
    """
    progress, costs, best = Progress(history), history.costs(), history.best
    lines = []
    if best is not None:
        lines.append(f"{best_line(best, history.by_fits)}: {short_params(best.trial.params)}")
    parts = [counted(progress.everything.trials, "trial")]
    parts.append(counted(progress.everything.calls, "fit" if history.by_fits else "call"))
    if costs.get("n_blocks"):
        parts.append(f"{costs['passes']:.1f} passes over {counted(costs['n_blocks'], 'block')}")
    if progress.failed:
        parts.append(f"{len(progress.failed):,} failed")
    lines.append(f"{progress.status} after {duration(progress.time)}: {', '.join(parts)}")
    return lines
