"""Start, show and check clusters of any kind."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import dask
from distributed.deploy import Cluster

from clusters.config import ClusterConfig
from clusters.connected import connect
from clusters.deadlines import Deadline
from clusters.errors import ConfigError, Problem
from clusters.kinds import kind_named
from clusters.sources import configure, load

__all__ = ["check", "from_config", "render", "start"]

_CONFIG_VARIABLE = "DHPO_CLUSTER_CONFIG"
# The operator starts the script of a job when its scheduler may still be on its way.
_RUNNING_SECONDS = 60


def start(kind: str | ClusterConfig, /, **options: Any) -> Cluster:
    """Start a cluster.

    Parameters
    ----------
    kind : str or ClusterConfig
        The kind of cluster, such as "local" or "ssh"; or a configuration, from `configure` or `load`.
    **options
        The keys that all kinds share and those of the kind's own block, side by side: `clusters.configure` tells more.
        Where `workers` is a pair, the number of workers follows the work between the two.

    Returns
    -------
    distributed.deploy.Cluster
        Dask's own cluster object, a context manager: at the end of the `with` block everything it started is gone. The
        smallest number of workers that was asked for has reported.

    Raises
    ------
    ConfigError
        If the configuration is not allowed; before anything is started.
    ExtraNotInstalled
        If the kind needs packages that are not installed.
    StartError
        If the cluster is not there within `start_timeout`: the cause, and the setting to change. Nothing is left.

    Examples
    --------
    >>> import clusters
    >>> with clusters.start("local", workers=1, processes=False) as cluster, cluster.get_client() as client:
    ...     client.submit(sum, [1, 2]).result()
    3
    >>> with clusters.start("ssh", hosts=["a", "b"], workers=4, memory="4GiB") as cluster:  # doctest: +SKIP
    ...     client = cluster.get_client()
    """
    config = _configuration(kind, options)
    chosen = kind_named(config.kind)
    chosen.require()
    cluster = chosen.start(config, Deadline(config.start_timeout))
    if config.adapts:
        try:
            cluster.adapt(minimum=config.least, maximum=config.most)
        except BaseException:
            cluster.close()
            raise
    return cluster


def from_config(source: str | os.PathLike[str] | Mapping[str, Any] | None = None, /, **options: Any) -> Cluster:
    """Start the cluster that a YAML file, or a profile of Dask's configuration, describes.

    Parameters
    ----------
    source : path, str or mapping, optional
        The file, the name of the profile, or the same as a mapping: `clusters.load` tells more. Default: the file that
        the variable DHPO_CLUSTER_CONFIG names, as it does in a script that was submitted; and where there is none, the
        running cluster that Dask's configuration names (`scheduler-address`), as by ``DASK_CONFIG=FILE`` with the file
        of `dhpo cluster up`, or in a job of the Dask operator.
    **options
        What is to be different.

    Returns
    -------
    distributed.deploy.Cluster
        As of `start`, which also tells what may be raised.

    Examples
    --------
    >>> from pathlib import Path
    >>> import clusters
    >>> _ = Path("cluster.yaml").write_text("{kind: local, workers: 1, processes: false}")
    >>> with clusters.from_config("cluster.yaml") as cluster, cluster.get_client() as client:
    ...     client.submit(sum, [1, 2]).result()
    3
    """
    source = source or os.environ.get(_CONFIG_VARIABLE)
    if source is not None:
        return start(load(source, **options))
    address = dask.config.get("scheduler-address", None)
    if address is None:
        raise ConfigError(
            f"no cluster is named: give a file or profile, or set {_CONFIG_VARIABLE}, or name a running one by "
            "scheduler-address in Dask's configuration"
        )
    if options:
        raise ConfigError(f"{next(iter(options))}=: the cluster at {address} runs already, and stays as it is")
    return connect(address, timeout=_RUNNING_SECONDS)


def render(kind: str | ClusterConfig, /, **options: Any) -> str:
    """What `start` would run with the same arguments, as shell lines, job script or manifest.

    No cluster is touched, nothing is started, and secrets are left out.

    Parameters
    ----------
    kind : str or ClusterConfig
        As for `start`.
    **options
        As for `start`.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> import clusters
    >>> print(clusters.render("local", workers=2, memory="1GiB"))
    LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        memory_limit=1073741824,
        ...
    )
    >>> print(clusters.render("kubernetes", workers=2, image="dhpo:latest"))
    # Secrets made at the start: dhpo-tls
    apiVersion: kubernetes.dask.org/v1
    kind: DaskCluster
    ...
    """
    config = _configuration(kind, options)
    text: str = kind_named(config.kind).render(config)
    return text


def check(kind: str | ClusterConfig, /, **options: Any) -> list[Problem]:
    """Find what would keep `start` with the same arguments from succeeding; nothing is started.

    Parameters
    ----------
    kind : str or ClusterConfig
        As for `start`.
    **options
        As for `start`.

    Returns
    -------
    list of Problem
        Each with its cause and the setting to change; empty where nothing was found.

    Examples
    --------
    >>> import clusters
    >>> clusters.check("local", workers=1)
    []
    >>> for problem in clusters.check("local", workers=2, memory="1000 TiB"):
    ...     print(problem)
    memory=... for each of workers=2 makes 1.95 PiB, and this machine has ...: ask for less
    """
    config = _configuration(kind, options)
    chosen = kind_named(config.kind)
    chosen.require()
    problems: list[Problem] = chosen.check(config)
    return problems


def _configuration(kind: str | ClusterConfig, options: Mapping[str, Any]) -> ClusterConfig:
    if not isinstance(kind, ClusterConfig):
        return configure(kind, **options)
    if options:
        raise TypeError(f"a configuration is complete; say {', '.join(options)} where it is made")
    return kind
