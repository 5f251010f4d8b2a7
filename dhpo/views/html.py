"""Searches as notebooks show them."""

from __future__ import annotations

from dhpo.views.progress import BracketProgress, Progress
from dhpo.views.text import best_line, data_line, duration, end_line, score, short_params
from dhpo.wording.markup import bar, block, link, table, text

__all__ = ["outcome_html", "progress_html"]

_FACE = "font-family:var(--jp-code-font-family,monospace);font-size:13px;line-height:1.5"


def progress_html(progress: Progress, now: float, dashboard_link: str | None = None) -> str:
    """How far a search is: what the terminal shows.

    Parameters
    ----------
    progress : Progress
    now : float
        Seconds since the search began.
    dashboard_link : str, optional
    """
    history = progress.history
    rows = [] if len(progress.brackets) < 2 else [_row(str(name), c) for name, c in progress.brackets.items()]
    rows.append(_row("all", progress.everything, "font-weight:bold"))
    counted_as = f"{history.unit}s"
    lines = [table(("bracket", "trials", "active", "best", "", counted_as, ""), rows, left=(4,))]
    if progress.data is not None and not history.by_fits:
        lines.append(block(text(data_line(progress.data)), style="opacity:0.6"))
    best = history.best
    if best is not None:
        line = f"{best_line(best, history.unit)}: "
        lines.append(block(text(line), text(short_params(best.trial.params), "color:#2e8b57")))
    lines.append(block(" · ".join(_state(progress, now, dashboard_link))))
    return block(*lines, style=_FACE)


def _state(progress: Progress, now: float, dashboard_link: str | None) -> list[str]:
    left = progress.seconds_left(now)
    running = f"{progress.status}, {duration(now)}" + (f", about {duration(left)} left" if left else "")
    parts = [text(end_line(progress, now) or running)]
    if progress.failed:
        parts.append(text(f"{len(progress.failed)} failed", "color:#c0392b"))
    if dashboard_link and progress.stopped is None:
        parts.append(link(dashboard_link))
    return parts


def _row(name: str, counts: BracketProgress, style: str = "") -> list[str]:
    return [
        text(name, style),
        text(f"{counts.trials:,}/{counts.all_trials:,}", style),
        text(f"{counts.active:,}", style),
        text(score(counts.best), style),
        bar(counts.share),
        text(f"{counts.calls:,}/{counts.all_calls:,}", style),
        text(f"{counts.share:.0%}", style),
    ]


def outcome_html(lines: list[str]) -> str:
    """What came of a search, as `dhpo.views.text.outcome_lines` says it."""
    return block(*(block(text(line)) for line in lines), style=f"{_FACE};margin:4px 0 0 4px")
