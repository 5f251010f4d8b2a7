"""The commands `dhpo cluster check|render|up|down`."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dhpo.cli.options import Settings, Source, configuration, errors_told

if TYPE_CHECKING:
    from distributed.deploy import Cluster

__all__ = ["app"]

_LOOK_SECONDS = 1.0
_BELL_SECONDS = 0.1

app = typer.Typer(
    name="cluster", help="Dask clusters: on this machine, over SSH, of batch systems.", no_args_is_help=True
)


@app.command()
def check(config: Source, settings: Settings = None) -> None:
    """Say what stands in the way of a cluster; nothing is started. Exit code 1 if something does."""
    with errors_told():
        import clusters

        problems = clusters.check(configuration(config, settings))
    for problem in problems:
        typer.echo(str(problem))
    if problems:
        raise typer.Exit(1)
    typer.echo("nothing stands in the way")


@app.command()
def render(config: Source, settings: Settings = None) -> None:
    """Print what would be run: shell lines, a job script or manifests. Nothing is touched, and secrets are left out."""
    with errors_told():
        import clusters

        typer.echo(clusters.render(configuration(config, settings)).rstrip("\n"))


@app.command()
def up(
    config: Source,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of workers.")] = None,
    connection: Annotated[
        Path | None, typer.Option(help="Where to write address and certificates; a new file that only you read.")
    ] = None,
    settings: Settings = None,
) -> None:
    """Start a cluster, and keep it until Ctrl-C or `dhpo cluster down FILE`.

    `DASK_CONFIG=FILE python search.py` makes `Client()` and `clusters.from_config()` find it.
    """
    with errors_told(), _signals() as asked:
        import clusters
        from clusters.connection_files import ConnectionFile

        wanted = configuration(config, settings, workers=workers)
        with ConnectionFile.reserved(connection, wanted.kind) as file, contextlib.suppress(KeyboardInterrupt):
            with clusters.start(wanted) as cluster:
                asked.running = True
                file.fill(cluster)
                typer.echo(f"scheduler   {cluster.scheduler_address}")
                typer.echo(f"dashboard   {cluster.dashboard_link or 'none'}")
                typer.echo(f"connection  {file.path}")
                gone = _keep(cluster, asked)
            if gone:
                typer.echo("dhpo: the scheduler is gone", err=True)
                raise typer.Exit(1)
        typer.echo("closed")


@app.command()
def down(
    connection: Annotated[Path, typer.Argument(metavar="FILE", help="The connection file that `up` wrote.")],
) -> None:
    """End a cluster that `dhpo cluster up` keeps on this machine, and wait until it is closed."""
    with errors_told():
        from clusters.connection_files import end

        typer.echo("closed" if end(connection) else "was not running any more; the file is removed")


class _Bell:
    """What a signal handler may set: locks, of events and of queues, may be held by the thread that it interrupts."""

    def __init__(self) -> None:
        self._rung = False

    def set(self) -> None:
        self._rung = True

    def wait(self, seconds: float) -> bool:
        """Whether it is set within so many seconds."""
        end = time.monotonic() + seconds
        while not self._rung and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _BELL_SECONDS))
        return self._rung


class _Asked:
    """Whether the cluster is to end.

    Attributes
    ----------
    running : bool
        Whether it has started; until then, a signal interrupts the start.
    event : _Bell
        Set when it is to end.
    """

    def __init__(self) -> None:
        self.running = False
        self.event = _Bell()

    def __call__(self, *_: Any) -> None:
        self.event.set()
        if not self.running:
            raise KeyboardInterrupt


@contextlib.contextmanager
def _signals() -> Iterator[_Asked]:
    asked = _Asked()
    heeded = [signal.SIGINT, signal.SIGTERM]
    # `nohup` ignores it, for what is to outlive the terminal.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        heeded.append(signal.SIGHUP)
    before = {number: signal.signal(number, asked) for number in heeded}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _keep(cluster: Cluster, asked: _Asked) -> bool:
    """Tell how many workers there are, until the end is asked for or the scheduler is gone; whether it is gone."""
    from clusters.connection_files import answers

    told = None
    while True:
        number = len(cluster.scheduler_info["workers"])
        if number != told:
            typer.echo(f"workers     {number}")
            told = number
        if asked.event.wait(_LOOK_SECONDS):
            return False
        if not answers(cluster):
            return True
