"""What the commands for clusters have in common: how a cluster is named, and how errors are told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from clusters.config import ClusterConfig

__all__ = ["Settings", "Source", "configuration", "errors_told"]

Source = Annotated[
    str, typer.Argument(metavar="CONFIG", help="YAML file, profile of Dask's configuration, or a kind, as ssh.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="What is to be different, as workers=8 or 'hosts=[a, b]'. Secrets: env='{TOKEN: }' takes them from here.",
    ),
]


@contextlib.contextmanager
def errors_told() -> Iterator[None]:
    """End with exit code 1 and the message, where one of ours is raised."""
    from clusters.errors import ClusterError

    try:
        yield
    except ClusterError as error:
        typer.echo(f"dhpo: {error}", err=True)
        raise typer.Exit(1) from None


def configuration(source: str, settings: Sequence[str] | None, **options: Any) -> ClusterConfig:
    """The configuration that a command names."""
    import dask

    import clusters
    from clusters.kinds import HOMES

    options = {**_values(settings or ()), **{key: value for key, value in options.items() if value is not None}}
    if source in HOMES and source not in (dask.config.get("dhpo.clusters.profiles", None) or {}):
        return clusters.configure(source, **options)
    return clusters.load(source, **options)


def _values(settings: Sequence[str]) -> dict[str, Any]:
    import yaml

    from clusters.errors import ConfigError

    values = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {setting}: expected KEY=VALUE, as workers=8")
        try:
            values[key.strip().replace("-", "_")] = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):
            raise ConfigError(f"--set {key}: expected a value as in YAML, such as 8, 4GiB or '[a, b]'") from None
    return values
