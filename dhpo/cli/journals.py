"""The commands on the journals of searches: `dhpo show|watch|stop|compare|export|report`."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dhpo.cli.tables import table_of, trials_table
from dhpo.wording import first_line

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from dhpo.search.followed_search import FollowedSearch
    from dhpo.search.stored_search import StoredSearch

__all__ = ["add_to"]

_ROWS = 10
# Seconds that `dhpo stop` waits for the driver before it takes it for hung.
_STOP_SECONDS = 120.0
_LOOK_SECONDS = 0.2

Journal = Annotated[
    str, typer.Argument(metavar="JOURNAL", help="The folder, or any fsspec URL, that the search was given.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (show, watch, stop, compare, export, report):
        app.command()(command)


def show(
    journal: Journal,
    rows: Annotated[int, typer.Option(min=1, help="Trials to show, the best first.")] = _ROWS,
    as_json: AsJson = False,
) -> None:
    """Tell how a search stands, or how it ended, with its best trials."""
    with _errors_told():
        from rich.console import Console

        from dhpo.views.text import outcome_lines

        stored = _load(journal)
        if as_json:
            _print_json(_facts(stored, rows))
            return
        console = Console()
        state = stored.status if stored.status == stored.phase else f"{stored.status}: {stored.phase}"
        console.print(f"{journal}: {state}", highlight=False, markup=False, soft_wrap=True)
        for line in outcome_lines(stored.history):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        summary = stored.summary()
        if len(summary):
            console.print()
            console.print(trials_table(summary.head(rows), len(summary), console))


def watch(
    journals: Annotated[list[str], typer.Argument(metavar="JOURNAL...", help="The journal; in a browser, or several.")],
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks into the journal.")] = 1.0,
    browser: Annotated[bool, typer.Option("--browser", help="Show it in a browser, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Of the page; 0 for any that is free.")] = 0,
) -> None:
    """Show the progress of a search that another process runs, until it ends; Ctrl-C ends the watching alone.

    With --browser, the page that Dask's dashboard has of a search while it runs is shown on this machine, also after
    the search has ended, and for several searches.
    """
    with _errors_told(), contextlib.suppress(KeyboardInterrupt):
        if browser:
            _watch_in_browser(journals, every, port)
            return
        if len(journals) > 1:
            raise ValueError(f"watch: {len(journals)} journals were given; a terminal shows one. Use --browser.")
        (journal,) = journals
        from rich.console import Console

        from dhpo.journal.journal import JournalReader
        from dhpo.search.followed_search import FollowedSearch

        console = Console()
        followed = FollowedSearch(JournalReader(journal))
        if console.is_terminal:
            _draw(console, followed, every)
        else:
            _print_lines(followed, max(every, 1.0))


def stop(
    journal: Journal,
    at_once: Annotated[bool, typer.Option("--at-once", help="Do without the last training of the best.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the end.")] = _STOP_SECONDS,
) -> None:
    """Ask the process that runs a search to end it; the best so far is its result."""
    with _errors_told():
        from dhpo.journal.journal import JournalReader
        from dhpo.search.followed_search import FollowedSearch

        _load(journal).stop(at_once)
        ends_at = time.monotonic() + wait
        followed = FollowedSearch(JournalReader(journal))
        while followed.running:
            if time.monotonic() >= ends_at:
                typer.echo(f"{journal}: asked to stop, and still running after {wait:g} s", err=True)
                raise typer.Exit(1)
            time.sleep(_LOOK_SECONDS)
            followed.update()
        typer.echo(f"{journal}: {_load(journal).status}")


def compare(
    journals: Annotated[list[str], typer.Argument(metavar="JOURNAL...", help="The journals of two or more searches.")],
    as_json: AsJson = False,
) -> None:
    """Tell what came of several searches, the best first."""
    with _errors_told():
        from rich.console import Console

        from dhpo.views.comparison import comparison_of

        searches = {journal: _load(journal) for journal in journals}
        frame = comparison_of({journal: search.history for journal, search in searches.items()})
        if as_json:
            _print_json(_records(frame.reset_index()))
            return
        console = Console()
        words, dispensable = ("search", "status", "best_params"), ("resource", "seconds", "trials", "failed")
        console.print(table_of(frame.reset_index(), words, console, dispensable))


def export(
    journal: Journal,
    csv: Annotated[Path | None, typer.Option(help="Write the summary as a CSV file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write the summary as a Parquet file.")] = None,
    optuna: Annotated[
        str | None,
        typer.Option(
            metavar="STORAGE", help="Write a study of Optuna: an SQLite file, or a URL such as sqlite:///study.db."
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name of the study. Default: JOURNAL as it is given.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Delete a study of this name in STORAGE first.")] = False,
) -> None:
    """Write a search into files that other programs read."""
    with _errors_told():
        if csv is None and parquet is None and optuna is None:
            raise ValueError("export: give --csv FILE, --parquet FILE or --optuna STORAGE")
        stored = _load(journal)
        if optuna is not None:
            _write_study(stored, optuna, study or journal, replace)
        frame = stored.summary(splits=True)
        if csv is not None:
            frame.to_csv(csv)
        if parquet is not None:
            _with_plain_columns(frame).to_parquet(parquet)
        typer.echo(f"{len(frame)} trials written")


def report(
    journal: Journal,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("report.html"),
) -> None:
    """Write all that is known of a search as one page of HTML."""
    with _errors_told():
        _load(journal).report(output)
        typer.echo(f"{output} written")


def _write_study(stored: StoredSearch, storage: str, name: str, replace: bool) -> None:
    from dhpo.errors import DhpoError

    try:
        stored.to_optuna(storage, name, replace=replace)
    except (DhpoError, ValueError):
        raise
    except Exception as error:  # of the database, or of what connects to it
        why = f"{type(error).__name__}: {first_line(error)}"
        raise ValueError(f"export: {storage} cannot be written to: {why}") from error


def _load(journal: str) -> StoredSearch:
    from dhpo.search.stored_search import load

    return load(journal)


@contextlib.contextmanager
def _errors_told() -> Iterator[None]:
    """End with exit code 1 and the message, where a journal cannot be read or an argument is not allowed."""
    from dhpo.errors import DhpoError

    try:
        yield
    except (DhpoError, OSError, ValueError) as error:
        typer.echo(f"dhpo: {error}", err=True)
        raise typer.Exit(1) from None


def _watch_in_browser(journals: list[str], every: float, port: int) -> None:
    import asyncio

    from dhpo.cli.browser_page import serve

    def ready(address: str) -> None:
        typer.echo(f"{address} (until Ctrl-C)")
        sys.stdout.flush()

    asyncio.run(serve(journals, port, every, ready))


def _draw(console: Console, followed: FollowedSearch, every: float) -> None:
    from rich.live import Live

    with Live(get_renderable=followed.render, console=console, refresh_per_second=4) as live:
        while followed.running:
            time.sleep(every)
            followed.update()
        live.refresh()


def _print_lines(followed: FollowedSearch, every: float) -> None:
    before = ""
    while True:
        line = followed.line()
        if line != before:
            typer.echo(line)
            sys.stdout.flush()
            before = line
        if not followed.running:
            return
        time.sleep(every)
        followed.update()


def _facts(stored: StoredSearch, rows: int) -> dict[str, Any]:
    best = stored.best
    return {
        "status": stored.status,
        "phase": stored.phase,
        "error": stored.history.end.error if stored.history.end is not None else "",
        "best": best
        and {
            "trial": best.trial.number,
            "score": best.report.score,
            "resource": best.report.resource,
            "params": dict(best.trial.params),
        },
        "costs": stored.history.costs(),
        "trials": _records(stored.summary().head(rows).reset_index()),
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in record.items()} for record in frame.to_dict("records")]


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(_plain(value), indent=2, default=str))


def _plain(value: Any) -> Any:
    """What JSON knows: null for what is missing, not finite, or not known to pandas."""
    import pandas as pd

    if isinstance(value, dict):
        return {name: _plain(element) for name, element in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return _plain(value.tolist()) if hasattr(value, "tolist") else value


def _with_plain_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """The same, with words for the values of columns that hold several types, which Parquet does not take."""
    mixed = [name for name in frame.columns if frame[name].dtype == object]
    return frame.assign(**{name: frame[name].map(str) for name in mixed})
