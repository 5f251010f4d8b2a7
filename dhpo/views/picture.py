"""The picture of a search that a terminal shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.constrain import Constrain
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dhpo.history.history import Best, History
from dhpo.schedules.plan import Plan
from dhpo.views.progress import BracketProgress, Progress
from dhpo.views.text import best_line, data_line, duration, end_line, score, short_params

__all__ = ["Picture"]

_WIDEST = 200
_COLUMNS = ("bracket", "trials", "active", "best", "bar", "calls", "share")
_NARROWEST = {"best": 6, "share": 4}
# Of a terminal that is narrow: a number is never cut.
_LEFT_OUT = tuple(frozenset(columns) for columns in ((), ("bar",), ("bar", "active"), ("bar", "active", "share")))


class Picture:
    """What a terminal shows at one moment of a search.

    Parameters
    ----------
    plan : Plan or None
    history : History
    dashboard_link : str or None
    clock : callable
        Returns the seconds since the search began, in whatever process.
    """

    def __init__(
        self, plan: Plan | None, history: History, dashboard_link: str | None, clock: Callable[[], float]
    ) -> None:
        self.progress = Progress(history, plan)
        self._history = history
        self._dashboard_link = dashboard_link
        self._clock = clock

    @property
    def now(self) -> float:
        """Seconds since the search began, in whatever process; that it took, once it has ended."""
        last = self.progress.time
        return last if self.progress.stopped is not None else max(self._clock(), last)

    def render(self) -> RenderableType:
        """Draw the history as it is now."""
        self.progress.update()
        return Constrain(Group(_TableThatFits(self._table), *self._footer()), _WIDEST)

    def _table(self, without: frozenset[str]) -> Table:
        columns = [column for column in _COLUMNS if column not in without]
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, expand="bar" in columns, header_style="dim")
        for column in columns:
            if column == "bar":
                table.add_column("", ratio=1, min_width=5)
            else:
                title = {"share": "", "calls": f"{self._history.unit}s"}.get(column, column)
                table.add_column(title, justify="right", no_wrap=True, min_width=_NARROWEST.get(column))
        if len(self.progress.brackets) > 1:
            for bracket, counts in self.progress.brackets.items():
                _add_row(table, columns, str(bracket), counts)
        _add_row(table, columns, "all", self.progress.everything, style="bold")
        return table

    def _footer(self) -> Iterator[RenderableType]:
        data = self.progress.data
        if data is not None and not self._history.by_fits:
            yield Text(data_line(data), "dim")
        best = self._history.best
        if best is not None:
            yield self._describe(best)
        parts = [Text(self._time())]
        if self.progress.failed:
            parts.append(Text(f"{len(self.progress.failed)} failed", style="red"))
        if self._dashboard_link and self.progress.stopped is None:
            parts.append(Text(self._dashboard_link, style=f"cyan link {self._dashboard_link}"))
        yield Text("  ·  ", style="dim").join(parts)

    def _time(self) -> str:
        now = self.now
        end = end_line(self.progress, now)
        if end is not None:
            return end
        left = self.progress.seconds_left(now)
        if left is not None:
            return f"{duration(now)}, about {duration(left)} left"
        phase = self.progress.phase
        return (
            duration(now) if phase is None or phase.phase == "training" else f"{self.progress.status}, {duration(now)}"
        )

    def _describe(self, best: Best) -> Text:
        before, _, after = best_line(best, self._history.unit).partition(score(best.report.score))
        return Text.assemble(
            before,
            (score(best.report.score), "bold green"),
            f"{after}: ",
            (short_params(best.trial.params), "green"),
            no_wrap=True,
            overflow="ellipsis",
        )


class _TableThatFits:
    """Shows a table without as many columns as the terminal is too narrow for."""

    def __init__(self, make_table: Callable[[frozenset[str]], Table]) -> None:
        self._make_table = make_table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        for without in _LEFT_OUT:
            table = self._make_table(without)
            if Measurement.get(console, options.update(width=_WIDEST), table).minimum <= options.max_width:
                break
        yield table


def _add_row(table: Table, columns: list[str], name: str, counts: BracketProgress, style: str = "") -> None:
    cells: dict[str, RenderableType] = {
        "bracket": name,
        "trials": f"{counts.trials:,}/{counts.all_trials:,}",
        "active": f"{counts.active:,}",
        "best": score(counts.best),
        # A total of 0 would pulse for ever.
        "bar": ProgressBar(total=max(counts.all_calls, 1), completed=counts.calls),
        "calls": f"{counts.calls:,}/{counts.all_calls:,}",
        "share": f"{counts.share:.0%}",
    }
    table.add_row(*(cells[column] for column in columns), style=style)
