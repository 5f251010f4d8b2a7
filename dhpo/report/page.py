"""A report as one page of HTML: what was searched, what was found, how it went, and what it cost."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bokeh.embed import components
from bokeh.resources import Resources

from dhpo.history.history import History
from dhpo.history.judgement import Judgement
from dhpo.report.findings import failure_groups, findings
from dhpo.report.pictures import pictures_of
from dhpo.report.predictions import metrics_table, pictures
from dhpo.schedules.plan import PARTIAL_FIT_CALL
from dhpo.views.progress import Progress
from dhpo.views.text import duration, end_line, score, short_value
from dhpo.wording import counted

__all__ = ["report_html", "write_report"]

_LEADERS = 20
_LONGEST_TEXT = 1_000
_ON_GIVEN = "The best model on the rows that were given"
_ON_HELD_OUT = "The best model on the rows that were held out"
_PACKAGES = ("dhpo", "dask", "distributed", "scikit-learn", "numpy", "scipy", "pandas", "bokeh")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2em auto; padding: 0 1.5em; color: #222; }
h1 { font-size: 1.6em; margin-bottom: 0; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; } td, th { padding: 3px 14px 3px 0; text-align: right; vertical-align: top; }
th { font-weight: normal; color: #777; } td.words, th.words { text-align: left; }
.best { font-size: 1.3em; } .note { border-left: 4px solid #ee6677; padding: 2px 12px; margin: 8px 0; }
.side { display: flex; flex-wrap: wrap; gap: 1em; margin-top: 1em; }
.pictures { display: grid; grid-template-columns: 1fr 1fr; gap: 1em; } .wide { grid-column: 1 / -1; }
td { max-width: 60em; overflow-wrap: anywhere; }
pre { background: #f4f4f4; padding: 10px; overflow-x: auto; font-size: 12px; } .quiet { color: #777; }
"""


def write_report(
    history: History,
    file: str | os.PathLike[str],
    identity: Mapping[str, str] | None = None,
    given: Judgement | None = None,
) -> None:
    """Write the report of a search.

    Parameters
    ----------
    history : History
    file : str or path
        Overwritten where it exists.
    identity : mapping of str to str, optional
        What search it is, in words, where a journal tells.
    given : Judgement, optional
        How the best model does on rows that the user gave.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    Path(file).write_text(report_html(history, identity, given), encoding="utf-8")


def report_html(
    history: History,
    identity: Mapping[str, str] | None = None,
    given: Judgement | None = None,
) -> str:
    """The report of a search, which needs no network and no other file.

    Parameters
    ----------
    history : History
        Of a search that has ended, or that runs: then it is how the search stands.
    identity : mapping of str to str, optional
    given : Judgement, optional
    """
    judgements = {_ON_GIVEN: given, _ON_HELD_OUT: history.judgement}
    models = pictures_of(history)
    for title, judgement in judgements.items():
        models |= {f"{title} {n}": picture for n, picture in enumerate(pictures(judgement) if judgement else [])}
    script, shown = components(models, wrap_script=True)
    title = (history.planned.title if history.planned is not None else "") or "Search"
    progress = Progress(history)
    sections = [
        _head(history, progress, title),
        _section("What to know", "".join(f'<div class="note">{escape(said)}</div>' for said in findings(history))),
        _section("The best trials", _leaders(history)),
        *(_section(title, _judged(judgement, title, shown, history)) for title, judgement in judgements.items()),
        _section("How it went", _figures(shown, ("curves", "best", "rungs", "parameters"), wide=("timeline",))),
        _section("Plan, and what ran", _plan(history, progress)),
        _section("Failures", _failures(history)),
        _section("Data, time and work", _costs(history, progress)),
        _section("The trials, to sort", shown["trials"] if history.trials else ""),
        _section("The search", _pairs({name: _shortened(value) for name, value in (identity or {}).items()})),
        _section("Versions where this report was written", _pairs(_versions())),
    ]
    resources = Resources(mode="inline", components=["bokeh", "bokeh-widgets", "bokeh-tables"])
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style>{resources.render()}</head>'
        f"<body>{''.join(sections)}{script}</body></html>"
    )


def _section(title: str, content: str) -> str:
    """Nothing where there is nothing to say."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _figures(shown: Mapping[str, str], names: Sequence[str], wide: Sequence[str]) -> str:
    parts = [f"<div>{shown[name]}</div>" for name in names if name in shown]
    parts += [f'<div class="wide">{shown[name]}</div>' for name in wide if name in shown]
    return f'<div class="pictures">{"".join(parts)}</div>' if parts else ""


def _judged(judgement: Judgement | None, title: str, shown: Mapping[str, str], history: History) -> str:
    if judgement is None:
        return ""
    rows = counted(judgement.n_rows, "row")
    prepared = history.prepared
    if title == _ON_HELD_OUT and prepared is not None and judgement.n_rows < prepared.n_validation:
        rows += f" of {prepared.n_validation:,}, drawn at random"
    header, lines = metrics_table(judgement)
    figures = "".join(figure for name, figure in shown.items() if name.startswith(title))
    return f"<p>{rows}</p>{_table(header, lines, words=header[:1])}<div class='side'>{figures}</div>"


def _head(history: History, progress: Progress, title: str) -> str:
    best = history.best
    state = end_line(progress, progress.time) or f"{progress.status}, {duration(progress.time)} so far"
    lines = [f"<h1>{escape(title)}</h1>", f'<div class="quiet">{escape(state)}</div>']
    if history.end is not None and history.end.error:
        lines.append(
            f"<details><summary>{escape(history.end.why)}</summary><pre>{escape(history.end.error)}</pre></details>"
        )
    if best is None:
        return "".join([*lines, "<p>No trial was scored.</p>"])
    after = counted(best.report.resource, "fit" if history.by_fits else "call")
    lines.append(
        f'<p class="best">Best score <b>{score(best.report.score)}</b> by trial {best.trial.number} after {after}</p>'
    )
    return "".join([*lines, _pairs({name: repr(value) for name, value in best.trial.params.items()})])


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]], words: Sequence[str] = ()) -> str:
    kinds = [' class="words"' if name in words else "" for name in header]
    heads = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(kinds, header, strict=True))
    lines = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(str(cell))}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{heads}</tr>{lines}</table>"


def _pairs(pairs: Mapping[str, str]) -> str:
    rows = "".join(
        f'<tr><th class="words">{escape(name)}</th><td class="words">{escape(value)}</td></tr>'
        for name, value in pairs.items()
    )
    return f"<table>{rows}</table>" if rows else ""


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def _leaders(history: History) -> str:
    frame = history.summary()
    frame = frame[frame["rank"].notna()].head(_LEADERS)
    if not len(frame):
        return ""
    metrics = [name for name in frame.columns if name.startswith("test_")]
    params = [name for name in frame.columns if name.startswith("param_")]
    columns = ["rank", "score", *metrics, "status", *params, "resource", "bracket", "rung", "seconds"]
    header = ["trial", *(name.removeprefix("param_") for name in columns)]
    rows = [
        [trial, *(score(row[c]) if c == "score" or c in metrics else _cell(row[c]) for c in columns)]
        for trial, row in frame.iterrows()
    ]
    return _table(header, rows, words=["status"])


def _cell(value: Any) -> str:
    """A parameter that a trial does not have is not a number, and None is a value."""
    return "-" if isinstance(value, float) and math.isnan(value) else short_value(value)


def _plan(history: History, progress: Progress) -> str:
    plan = history.plan
    if plan is None:
        return ""
    counted_as = f"{history.unit}s"
    failed = {trial.number: trial.bracket for trial in history.trials if trial.number in progress.failed}
    rows = []
    for bracket in plan.brackets:
        counts = progress.brackets[bracket.bracket]
        rungs = ", ".join(map(str, bracket.rungs[:8])) + (", ..." if len(bracket.rungs) > 8 else "")
        numbers = [bracket.n_trials, counts.trials, bracket.partial_fit_calls, counts.calls]
        n_failed = sum(of_trial == bracket.bracket for of_trial in failed.values())
        rows.append([bracket.bracket, *(f"{n:,}" for n in [*numbers, n_failed]), score(counts.best), rungs])
    header = ["bracket", "trials planned", "begun", f"{counted_as} planned", "made", "failed", "best", "rungs"]
    return _table(header, rows, words=["rungs"])


def _failures(history: History) -> str:
    parts = []
    for group in failure_groups(history):
        numbers = ", ".join(map(str, group.trials[:20])) + (", ..." if len(group.trials) > 20 else "")
        parts.append(
            f"<details><summary><b>{escape(group.error)}</b>: {counted(len(group.trials), 'trial')} ({numbers})"
            f"</summary><pre>{escape(group.traceback or group.error)}</pre></details>"
        )
    return "".join(parts)


def _costs(history: History, progress: Progress) -> str:
    costs, data = history.costs(), history.prepared
    facts = {"time": duration(progress.time), "tasks": f"{costs['tasks']:,}"}
    if data is not None:
        facts["blocks"] = f"{data.n_blocks:,}"
        if history.by_fits:
            facts["rows"] = f"{data.n_training:,}"
        else:
            facts["rows to train on"] = f"{data.n_training:,}"
            facts["rows to score on"] = f"{data.n_validation:,}"
            facts["training rows in memory"] = f"{data.nbytes / 1e6:,.1f} MB"
    if history.by_fits:
        facts["fits"] = f"{costs['fits']:,}"
        seconds = {"fitting": costs["fit_seconds"], "scoring": costs["score_seconds"]}
    else:
        unit = PARTIAL_FIT_CALL if history.plan is None else history.plan.unit
        facts[f"{unit}s"] = f"{costs['partial_fit_calls']:,}"
        facts[f"{history.unit}s that were not used"] = f"{costs['wasted_calls']:,}"
        facts["passes over the data"] = f"{costs['passes']:.1f}"
        facts["blocks read"] = f"{costs['blocks_read']:,} ({costs['blocks_cached']:,} more from caches)"
        facts["bytes read"] = f"{costs['bytes_read'] / 1e6:,.1f} MB"
        seconds = {
            "partial_fit": costs["partial_fit_seconds"],
            "scoring": costs["score_seconds"],
            "waiting for blocks": costs["load_seconds"],
            "storing models": costs["store_seconds"],
        }
    facts |= {f"threads spent in {name}": duration(spent) for name, spent in seconds.items()}
    return _pairs(facts)


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # it runs from a folder
            continue
    return found | {"system": platform.platform()}
