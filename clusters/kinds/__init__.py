"""The kinds of clusters by name, imported when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Generic, TypeVar, cast

from distributed.deploy import Cluster

from clusters.config import ClusterConfig, unknown_key
from clusters.deadlines import Deadline
from clusters.errors import ConfigError, ExtraNotInstalled, Problem

__all__ = ["HOMES", "Kind", "kind_named"]

HOMES = {
    "local": "clusters.kinds.local",
    "kubernetes": "clusters.kinds.kubernetes",
    "ssh": "clusters.kinds.ssh",
    "slurm": "clusters.kinds.slurm",
    "pbs": "clusters.kinds.pbs",
    "sge": "clusters.kinds.sge",
    "lsf": "clusters.kinds.lsf",
    "oar": "clusters.kinds.oar",
    "htcondor": "clusters.kinds.htcondor",
}

C = TypeVar("C", bound=ClusterConfig)


@dataclass(frozen=True)
class Kind(Generic[C]):
    """A kind of cluster; what each part has to do stands in the docstring of `clusters`.

    Parameters
    ----------
    name : str
        Its name, which is also the name of the block of its back end.
    config : type
        The model of its configuration.
    render, start, check : callable
        What it does.
    extra : str, optional
        The extra of this distribution that installs what it needs.
    needs : tuple of str
        The modules that have to be there before `start` and `check`.
    """

    name: str
    config: type[C]
    render: Callable[[C], str]
    start: Callable[[C, Deadline], Cluster]
    check: Callable[[C], list[Problem]]
    extra: str | None = None
    needs: tuple[str, ...] = ()

    def require(self) -> None:
        """Refuse to go on where a package is missing.

        Raises
        ------
        ExtraNotInstalled
            If one is, with the extra that installs it.
        """
        missing = [module for module in self.needs if find_spec(module) is None]
        if missing:
            raise ExtraNotInstalled(
                f'a cluster of kind {self.name} needs {", ".join(missing)}: pip install "dhpo[{self.extra}]"'
            )


def kind_named(name: object) -> Kind[Any]:
    """The kind of this name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if not isinstance(name, str) or name not in HOMES:
        known = ", ".join(HOMES)
        hint = unknown_key(name, HOMES, "kind of cluster") if isinstance(name, str) else f"kind={name!r}"
        raise ConfigError(f"{hint} (there are: {known})")
    return cast("Kind[Any]", import_module(HOMES[name]).KIND)
