"""Tables for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

__all__ = ["is_missing", "table_of", "trials_table"]

_PARAM = "param_"
_WORDS = ("status", "parameters", "error")
_ANY_WIDTH = 10_000
_LONGEST_ERROR = 120
# To which words may be broken.
_SHORTEST_LINE = 26


def trials_table(frame: pd.DataFrame, n_trials: int, console: Console) -> Table:
    """The best trials of a summary: a column for each parameter, or one for all of them where these have no room.

    Parameters
    ----------
    frame : pandas.DataFrame
        The first rows of a summary.
    n_trials : int
        Of the whole summary.
    console : rich.console.Console
        Where it is shown.
    """
    metrics = [name for name in frame.columns if name.startswith("test_")]
    params = [name for name in frame.columns if name.startswith(_PARAM)]
    error = ["error"] if frame["error"].notna().any() else []
    frame = frame.assign(error=frame["error"].map(_shortened, na_action="ignore"))
    title = "the only trial" if n_trials == 1 else f"the best {len(frame)} of {n_trials:,} trials"
    # A value that is None is not one that a trial does not have.
    frame = frame.assign(**{name: frame[name].map(lambda value: "None" if value is None else value) for name in params})
    together = frame.assign(parameters=[_params_text(record) for record in frame[params].to_dict("records")])
    first = ["rank", "score", *metrics, "status"]
    choices = [[*first, *params, "resource", *error], [*first, "resource", "parameters", *error]]
    choices = [*(choices if params else choices[:1]), ["score", "parameters" if params else "status", *error]]
    for names in choices:
        table = _table(together[names].reset_index(), _WORDS, title)
        if _fits(table, console):
            return table
    return _table(together[choices[-1]].reset_index(), _WORDS, title, whole=False)


def _shortened(error: str) -> str:
    error = " ".join(error.split())
    return error if len(error) <= _LONGEST_ERROR else error[: _LONGEST_ERROR - 1] + "…"


def _params_text(record: dict[Any, Any]) -> str:
    from dhpo.views.text import short_params

    return short_params({name.removeprefix(_PARAM): value for name, value in record.items() if not is_missing(value)})


def table_of(frame: pd.DataFrame, left: tuple[str, ...], console: Console, dispensable: tuple[str, ...] = ()) -> Table:
    """Any frame, without its index; where the values have no room, they break over lines.

    Parameters
    ----------
    frame : pandas.DataFrame
    left : tuple of str
        The columns that hold words; all others are aligned on the right.
    console : rich.console.Console
        Where it is shown.
    dispensable : tuple of str, default=()
        The columns that are left out where there is no room, the first of them first.
    """
    for n_left_out in range(len(dispensable) + 1):
        table = _table(frame.drop(columns=list(dispensable[:n_left_out])), left)
        if _fits(table, console):
            return table
    return _table(frame.drop(columns=list(dispensable)), left, whole=False)


def _fits(table: Table, console: Console) -> bool:
    return console.measure(table, options=console.options.update(max_width=_ANY_WIDTH)).minimum <= console.width


def _table(frame: pd.DataFrame, left: tuple[str, ...], title: str | None = None, whole: bool = True) -> Table:
    """A frame whose values break over lines only where they are words.

    With `whole=False` all may break, at any place.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1))
    for name in frame.columns:
        # Spaces let a long heading break over lines; values do not break.
        heading = name.removeprefix(_PARAM).replace("__", " ").replace("_", " ")
        cells = [_short(value) for value in frame[name].tolist()]
        longest = max(map(len, [*cells, *heading.split()]))
        width = (min(longest, _SHORTEST_LINE) if name in left else longest) if whole else None
        table.add_column(heading, justify="left" if name in left else "right", overflow="fold", min_width=width)
    for record in frame.to_dict("records"):
        table.add_row(*(Text(_short(value)) for value in record.values()))
    return table


def is_missing(value: Any) -> bool:
    """Whether a cell says nothing."""
    import pandas as pd

    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _short(value: Any) -> str:
    if is_missing(value):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
