"""Dask clusters to search on, of one interface; nothing here knows what runs on them.

`start` starts a cluster of a named kind, `from_config` one that a YAML file or a profile describes, and `connect`
reaches one that runs already. Each returns Dask's own cluster object: `Client(cluster)`, `scale`, `adapt` and the
widgets work as they do with Dask alone. `render` shows what would be run, and `check` finds what stands in the way.
`submit` runs a script on the cluster itself, without this process; `submitted` finds it again.

How a kind is added
-------------------
A kind is one module (or package) in `clusters.kinds` that ends in ``KIND = Kind(...)``, and one line in
`clusters.kinds.HOMES`. Its `Kind` names five things:

``config``
    A subclass of `clusters.config.ClusterConfig`: ``kind: Literal["slurm"] = "slurm"``, the block of the back end as a
    `clusters.config.Section` in a field of the kind's own name (``slurm: SlurmOptions``), and in ``unused`` the shared
    keys that mean nothing to it, with what to say instead. Every field has a description: errors and docs show it.
    Fields of the block have names of their own, since users may write them beside the shared keys.
``render(config) -> str``
    The job script, manifest or shell lines. Pure: it touches no network, and prints no secret.
``start(config, deadline) -> Cluster``
    Starts the smallest number of workers (`config.least`), and returns when the cluster is usable. It raises a
    `StartError` (the cause, and the setting to change) when it is not before `deadline`, and then leaves nothing
    running. `clusters.deadlines` waits for workers. `clusters.start` itself turns on `adapt` where workers is a pair.
``check(config) -> list[Problem]``
    What stands in the way, found without starting anything; empty when nothing does.
``needs`` and ``extra``
    The modules that the back end imports, late, and the extra that installs them.

What kinds share: `clusters.config` (keys), `clusters.values` (their types), `clusters.tls` (certificates),
`clusters.deadlines` (deadlines, workers), `clusters.dashboard_port` (the dashboard), `clusters.dask_settings` (settings
of Dask that cost less), `clusters.errors`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clusters.config import ClusterConfig
    from clusters.connected import connect
    from clusters.errors import ClusterError, ConfigError, ExtraNotInstalled, Problem, StartError, SubmissionError
    from clusters.machine import local
    from clusters.sources import configure, load
    from clusters.start_up import check, from_config, render, start
    from clusters.submission.backend import Status
    from clusters.submission.submission import Submission, render_submission, submissions, submit, submitted

__all__ = [
    "ClusterConfig",
    "ClusterError",
    "ConfigError",
    "ExtraNotInstalled",
    "Problem",
    "StartError",
    "Status",
    "Submission",
    "SubmissionError",
    "check",
    "configure",
    "connect",
    "from_config",
    "load",
    "local",
    "render",
    "render_submission",
    "start",
    "submissions",
    "submit",
    "submitted",
]

_HOMES = {
    "clusters.errors": {"ClusterError", "ConfigError", "ExtraNotInstalled", "Problem", "StartError", "SubmissionError"},
    "clusters.config": {"ClusterConfig"},
    "clusters.machine": {"local"},
    "clusters.sources": {"configure", "load"},
    "clusters.connected": {"connect"},
    "clusters.start_up": {"check", "from_config", "render", "start"},
    "clusters.submission.backend": {"Status"},
    "clusters.submission.submission": {"Submission", "render_submission", "submissions", "submit", "submitted"},
}


def __getattr__(name: str) -> Any:
    # distributed takes a second to import.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'clusters' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
