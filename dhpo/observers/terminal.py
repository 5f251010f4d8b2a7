"""The progress of a search in the terminal, drawn by rich."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dhpo.history.events import DataPrepared, Dropped, Event, Reported, StepDone, Stopped, TrialStarted
from dhpo.history.history import Best, History
from dhpo.observers.base import ObservedSearch, Observer
from dhpo.trial import Params
from dhpo.wording import counted

if TYPE_CHECKING:
    from dhpo.schedules.plan import Plan

__all__ = ["Terminal", "make_terminal"]

_REFRESHES_PER_SECOND = 4
_WIDEST = 100
_LONGEST_VALUE = 24


def make_terminal(verbose: int, console: Console | None = None) -> Observer | None:
    """Make the observer that draws progress, if anyone wants to see it.

    Parameters
    ----------
    verbose : int
        0 draws nothing.
    console : rich.console.Console, optional
        Where to draw. Default: standard error, so that standard output stays clean for what the program says.

    Returns
    -------
    Observer or None
        None if `verbose` is 0 or the console is not a terminal.
    """
    if verbose <= 0:
        return None
    console = console or Console(stderr=True)
    return Terminal(console) if console.is_terminal else None


class Terminal(Observer):
    """Draws one line for each bracket, the best trial, failures, time and the address of the dashboard.

    A thread of rich draws four times a second, however many events there are; the search only appends to its history. A
    terminal that cannot move its cursor gets the last picture alone.

    Parameters
    ----------
    console : rich.console.Console
        Where to draw.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def start(self, search: ObservedSearch) -> None:
        """Begin to draw."""
        link = search.client.dashboard_link
        picture = Picture(search.plan, search.history, link, clock=self._console.get_time)
        self._live = Live(
            get_renderable=picture.render,
            console=self._console,
            refresh_per_second=_REFRESHES_PER_SECOND,
        )
        self._live.start()

    def event(self, event: Event) -> None:
        """Nothing to do: the next picture reads the history."""

    def stop(self) -> None:
        """Draw the last picture and leave it on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None


@dataclass
class _Tally:
    """What one line says."""

    trials: int
    planned_calls: int
    started: int = 0
    done: int = 0
    calls: int = 0
    best: float = -math.inf


@dataclass
class _Totals:
    """Everything counted so far, brought up to date from the events that were not seen yet."""

    brackets: dict[int, _Tally]
    everything: _Tally
    data: DataPrepared | None = None
    failed: set[int] = field(default_factory=set)
    stopped: str | None = None
    _bracket_of: dict[int, int] = field(default_factory=dict)
    _calls_of: dict[int, int] = field(default_factory=dict)
    _seen: int = 0

    @classmethod
    def of(cls, plan: Plan) -> _Totals:
        brackets = {line.bracket: _Tally(line.n_trials, line.partial_fit_calls) for line in plan.brackets}
        return cls(brackets, _Tally(plan.n_trials, plan.partial_fit_calls))

    def update(self, events: list[Event]) -> None:
        # By index: the search goes on appending in its own thread.
        while self._seen < len(events):
            self._add(events[self._seen])
            self._seen += 1

    def _add(self, event: Event) -> None:
        match event:
            case DataPrepared():
                self.data = event
            case TrialStarted(trial):
                self._bracket_of[trial.number] = trial.bracket
                for tally in self._tallies(trial.number):
                    tally.started += 1
            case StepDone(progress):
                for trial_number, calls in progress.items():
                    self._reach(trial_number, calls)
            case Reported(report):
                self._reach(report.trial, report.resource)
                if report.failed:
                    self.failed.add(report.trial)
                    return
                self.failed.discard(report.trial)
                for tally in self._tallies(report.trial):
                    tally.best = max(tally.best, report.score)
            case Dropped(drop):
                for tally in self._tallies(drop.trial):
                    tally.done += 1
            case Stopped(reason):
                self.stopped = reason

    def _reach(self, trial_number: int, calls: int) -> None:
        more = calls - self._calls_of.get(trial_number, 0)
        if more > 0:
            self._calls_of[trial_number] = calls
            for tally in self._tallies(trial_number):
                tally.calls += more

    def _tallies(self, trial_number: int) -> Iterator[_Tally]:
        bracket = self._bracket_of[trial_number]
        yield self.brackets.setdefault(bracket, _Tally(0, 0))
        yield self.everything


class Picture:
    """What the terminal shows at one moment of a search.

    Parameters
    ----------
    plan, history, dashboard_link
        As `Observer.start` receives them.
    clock : callable
        Returns seconds; only differences count.
    """

    def __init__(self, plan: Plan, history: History, dashboard_link: str | None, clock: Callable[[], float]) -> None:
        self._history = history
        self._dashboard_link = dashboard_link
        self._clock = clock
        self._totals = _Totals.of(plan)
        self._totals.update(history.events)
        self._start = clock()
        # A resumed search tells nothing about its speed by the calls of before.
        self._calls_before = self._totals.everything.calls

    def render(self) -> RenderableType:
        """Draw the history as it is now."""
        self._totals.update(self._history.events)
        return Constrain(Group(self._table(), *self._footer()), _WIDEST)

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="dim")
        table.add_column("bracket", justify="right")
        table.add_column("trials", justify="right")
        table.add_column("active", justify="right")
        table.add_column("best", justify="right", min_width=6)
        table.add_column("", ratio=1, min_width=8)
        table.add_column("calls", justify="right")
        table.add_column("", justify="right", min_width=4)
        if len(self._totals.brackets) > 1:
            for bracket, tally in self._totals.brackets.items():
                _add_row(table, str(bracket), tally)
        _add_row(table, "all", self._totals.everything, style="bold")
        return table

    def _footer(self) -> Iterator[RenderableType]:
        data = self._totals.data
        if data is not None:
            yield Text(
                f"{counted(data.n_blocks, 'block')}: {counted(data.n_training, 'row')} to train on, "
                f"{data.n_validation:,} to score on",
                "dim",
            )
        best = self._history.best
        if best is not None:
            yield _describe(best)
        parts = [Text(self._time())]
        if self._totals.failed:
            parts.append(Text(f"{len(self._totals.failed)} failed", style="red"))
        if self._dashboard_link and self._totals.stopped is None:
            parts.append(Text(self._dashboard_link, style=f"cyan link {self._dashboard_link}"))
        yield Text("  ·  ", style="dim").join(parts)

    def _time(self) -> str:
        elapsed = self._clock() - self._start
        if self._totals.stopped is not None:
            return f"{self._totals.stopped} after {_duration(elapsed)}"
        tally = self._totals.everything
        fresh = tally.calls - self._calls_before
        left = tally.planned_calls - tally.calls
        if fresh <= 0 or left <= 0:
            return _duration(elapsed)
        return f"{_duration(elapsed)}, about {_duration(elapsed * left / fresh)} left"


def _add_row(table: Table, name: str, tally: _Tally, style: str = "") -> None:
    total = max(tally.planned_calls, tally.calls)
    table.add_row(
        name,
        f"{tally.started:,}/{max(tally.trials, tally.started):,}",
        f"{tally.started - tally.done:,}",
        _score(tally.best) if math.isfinite(tally.best) else "-",
        # A total of 0 would pulse for ever.
        ProgressBar(total=max(total, 1), completed=tally.calls),
        f"{tally.calls:,}/{total:,}",
        f"{tally.calls / max(total, 1):.0%}",
        style=style,
    )


def _describe(best: Best) -> Text:
    return Text.assemble(
        "best ",
        (_score(best.report.score), "bold green"),
        f" by trial {best.trial.number} after {counted(best.report.resource, 'call')}: ",
        (_short(best.trial.params), "green"),
        no_wrap=True,
        overflow="ellipsis",
    )


def _short(params: Params) -> str:
    return ", ".join(f"{name}={_short_value(value)}" for name, value in params.items())


def _short_value(value: Any) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _score(score: float) -> str:
    return f"{score:.4f}" if abs(score) < 100 else f"{score:.4g}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
