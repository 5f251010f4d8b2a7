"""The picture of a search that a terminal shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dhpo.history.history import Best, History
from dhpo.schedules.plan import Plan
from dhpo.views.progress import BracketProgress, Progress
from dhpo.views.text import best_line, data_line, duration, end_line, score, short_params

__all__ = ["Picture"]

_WIDEST = 200


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
        return Constrain(Group(self._table(), *self._footer()), _WIDEST)

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="dim")
        table.add_column("bracket", justify="right")
        table.add_column("trials", justify="right")
        table.add_column("active", justify="right")
        table.add_column("best", justify="right", min_width=6)
        table.add_column("", ratio=1, min_width=8)
        table.add_column("fits" if self._history.by_fits else "calls", justify="right")
        table.add_column("", justify="right", min_width=4)
        if len(self.progress.brackets) > 1:
            for bracket, counts in self.progress.brackets.items():
                _add_row(table, str(bracket), counts)
        _add_row(table, "all", self.progress.everything, style="bold")
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
        before, _, after = best_line(best, self._history.by_fits).partition(score(best.report.score))
        return Text.assemble(
            before,
            (score(best.report.score), "bold green"),
            f"{after}: ",
            (short_params(best.trial.params), "green"),
            no_wrap=True,
            overflow="ellipsis",
        )


def _add_row(table: Table, name: str, counts: BracketProgress, style: str = "") -> None:
    table.add_row(
        name,
        f"{counts.trials:,}/{counts.all_trials:,}",
        f"{counts.active:,}",
        score(counts.best),
        # A total of 0 would pulse for ever.
        ProgressBar(total=max(counts.all_calls, 1), completed=counts.calls),
        f"{counts.calls:,}/{counts.all_calls:,}",
        f"{counts.share:.0%}",
        style=style,
    )
