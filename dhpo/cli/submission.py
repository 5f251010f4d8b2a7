"""The commands `dhpo submit|status|logs|cancel|fetch`."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dhpo.cli.options import Settings, configuration, errors_told

if TYPE_CHECKING:
    from clusters.submission.backend import Status
    from clusters.submission.submission import Submission

__all__ = ["add_to"]

_AT_ONCE = 8

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the submission.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    # What follows the script is the script's.
    app.command(context_settings={"allow_interspersed_args": False})(submit)
    for command in (status, logs, cancel, fetch):
        app.command()(command)


def submit(
    script: Annotated[Path | None, typer.Argument(metavar="SCRIPT", help="A Python script; it is copied.")] = None,
    arguments: Annotated[list[str] | None, typer.Argument(metavar="ARGS", help="Its arguments, no secrets.")] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="CONFIG", help="YAML file, profile of Dask's configuration, or a kind.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="By default that of the script, with a number if taken.")] = None,
    file: Annotated[list[Path] | None, typer.Option(help="File or folder to copy beside it; may be repeated.")] = None,
    workdir: Annotated[str | None, typer.Option(help="Folder there, as ~/runs, for the folder of the run.")] = None,
    time: Annotated[str | None, typer.Option(help="How long its job may take, where there is a batch system.")] = None,
    settings: Settings = None,
    render: Annotated[bool, typer.Option("--render", help="Print what would be run, and start nothing.")] = False,
    resume: Annotated[
        str | None, typer.Option(metavar="NAME", help="Start this one again in its folder: a journal there goes on.")
    ] = None,
) -> None:
    """Run a script on the cluster itself, unattended. Options come before SCRIPT.

    In the script, `clusters.from_config()` starts the cluster that --cluster names. What it writes into its working
    folder is brought by `dhpo fetch`.
    """
    with errors_told():
        import clusters
        from clusters.errors import ConfigError

        if resume is not None:
            if script is not None or cluster is not None:
                raise ConfigError("--resume: takes script, arguments and cluster from before; leave them out")
            found = clusters.submitted(resume)
            found.resume()
        elif script is None or cluster is None:
            raise ConfigError("submit: expected --cluster CONFIG and SCRIPT, or --resume NAME")
        else:
            config = configuration(cluster, settings)
            do = clusters.render_submission if render else clusters.submit
            done = do(config, script, arguments or (), name=name, files=file or (), workdir=workdir, time=time)
            if isinstance(done, str):
                typer.echo(done.rstrip("\n"))
                return
            found = done
        typer.echo(f"{found.name} on {found.place}, in {found.folder}")


def status(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One of them; all if not given.")] = None,
) -> None:
    """Tell what became of submitted scripts."""
    with errors_told():
        import clusters

        if name is not None:
            found = clusters.submitted(name)
            _tell(found, found.status())
        elif submissions := clusters.submissions():
            _tell_all(submissions)
        else:
            typer.echo("nothing was submitted")


def logs(
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")] = False,
) -> None:
    """Print what a submitted script printed."""

    def take(chunk: bytes) -> None:
        if sys.stdout is None:
            # As of `>&-`: there is nowhere to go, either.
            raise KeyboardInterrupt
        try:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # As of `| head`; what is still to come has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise KeyboardInterrupt from None

    with errors_told(), contextlib.suppress(KeyboardInterrupt):
        import clusters

        clusters.submitted(name).logs(take, follow)


def cancel(
    name: Name,
    remove: Annotated[bool, typer.Option("--remove", help="Delete its folder there, too, and forget it.")] = False,
) -> None:
    """End a submitted script with all that it started."""
    with errors_told():
        import clusters

        found = clusters.submitted(name)
        try:
            told = "cancelled" if found.cancel() else "was not running"
        except clusters.SubmissionError:
            # Its folder may be gone; what there is to be removed then is what is known of it here.
            if not remove:
                raise
            told = "not found"
        if remove:
            found.remove()
            told += ", and removed"
        typer.echo(f"{name}: {told}")


def fetch(
    name: Name,
    destination: Annotated[
        Path | None, typer.Argument(metavar="DEST", help="A new or empty folder; by default ./NAME.")
    ] = None,
) -> None:
    """Copy the folder of a submitted script here: results, journal and log."""
    with errors_told():
        import clusters

        typer.echo(str(clusters.submitted(name).fetch(destination)))


def _tell(found: Submission, became: Status) -> None:
    code = f" with exit code {became.code}" if became.state == "failed" else ""
    typer.echo(f"{found.name}: {became.state}{code}" + (f" ({became.detail})" if became.detail else ""))
    typer.echo(f"on {found.place}, in {found.folder}")
    if became.started is not None:
        ended = f", ended {_when(became.ended)}" if became.ended is not None else ""
        typer.echo(f"started {_when(became.started)}{ended}")
    if became.tail:
        typer.echo("last lines of its log:")
        typer.echo("\n".join(f"  {line}" for line in became.tail.splitlines()))


def _tell_all(submissions: list[Submission]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for heading in ("name", "state", "where", "script", "submitted"):
        table.add_column(heading, overflow="fold")
    # Each may be on a host of its own, which may be down.
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        states = list(threads.map(_state, submissions))
    for found, state in zip(submissions, states, strict=True):
        table.add_row(found.name, state, found.place, found.record.script, _when(found.record.submitted))
    # Names and errors may hold brackets and colons, which are meant as they stand.
    Console(markup=False, emoji=False).print(table)


def _state(found: Submission) -> str:
    from clusters.errors import ClusterError

    try:
        became = found.status()
    except ClusterError as error:
        return f"unknown: {error}"
    return f"failed ({became.code})" if became.state == "failed" else became.state


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
