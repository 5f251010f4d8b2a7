"""The command line: `dhpo demo`, `dhpo cluster ...`, and the commands on submissions and on journals."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

import typer

from dhpo.cli import cluster, journals, submission
from dhpo.cli.tables import trials_table

if TYPE_CHECKING:
    import dask.array as da
    import numpy as np
    import pandas as pd
    from rich.console import Console

__all__ = ["app"]

# Everything heavy is imported inside the commands, so that `dhpo --help` answers at once.

_ROWS_PER_BLOCK = 72
_ROWS_OF_SUMMARY = 8
# As shells have it: 128, and the number of SIGINT.
_INTERRUPTED = 130

app = typer.Typer(
    name="dhpo",
    help="Hyperparameter search on Dask for data larger than memory.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.add_typer(cluster.app)
submission.add_to(app)
journals.add_to(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dhpo {version('dhpo')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Hyperparameter search on Dask for data larger than memory."""


@app.command()
def demo(
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; as many as cores if not given.")] = None,
    max_iter: Annotated[int, typer.Option(min=1, help="Most partial_fit calls that one model gets.")] = 81,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")] = 0,
) -> None:
    """Tune a neural network on scikit-learn's handwritten digits, on a cluster of this machine."""
    from rich.console import Console
    from scipy.stats import loguniform
    from sklearn.neural_network import MLPClassifier

    import clusters
    from dhpo.search.hyperband import HyperbandSearchCV

    console = Console()
    X, y, X_test, y_test = _digits(seed)
    space = {
        "hidden_layer_sizes": [(32,), (64,), (128,), (64, 32)],
        "alpha": loguniform(1e-6, 1e-1),
        "learning_rate_init": loguniform(1e-4, 1e-1),
        "batch_size": [8, 16, 32],
    }
    search = HyperbandSearchCV(MLPClassifier(), space, max_iter=max_iter, random_state=seed)
    console.print(f"digits: {X.shape[0]:,} images of 8 x 8 in {X.numblocks[0]} blocks, {len(X_test)} more held out\n")
    console.print(str(search.plan()), highlight=False, soft_wrap=True)
    console.print()
    try:
        with clusters.local(workers=workers) as cluster, cluster.get_client():
            console.print(f"dashboard: {cluster.dashboard_link}\n")
            search.fit(X, y, classes=list(range(10)))
    except KeyboardInterrupt as error:
        typer.echo(f"dhpo: {error}", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    _show_result(console, search.best_params_, search.best_score_, search.score(X_test, y_test), search.summary())


def _digits(seed: int) -> tuple[da.Array, da.Array, np.ndarray, np.ndarray]:
    import dask.array as da
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16, y, test_size=0.2, stratify=y, random_state=seed)
    return da.from_array(X, chunks=(_ROWS_PER_BLOCK, -1)), da.from_array(y, chunks=_ROWS_PER_BLOCK), X_test, y_test


def _show_result(
    console: Console, best_params: dict[str, object], best_score: float, accuracy: float, summary: pd.DataFrame
) -> None:
    from dhpo.views.text import short_value

    console.print()
    console.print(trials_table(summary.head(_ROWS_OF_SUMMARY), len(summary), console))
    console.print("\nbest parameters")
    for name, value in best_params.items():
        console.print(f"  {name} = {short_value(value)}")
    console.print(f"validation accuracy  {best_score:.4f}")
    console.print(f"held-out accuracy    {accuracy:.4f}", style="bold")
