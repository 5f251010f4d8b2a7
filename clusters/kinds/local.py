"""The kind "local": a cluster on this machine, behind the interface that all kinds share."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from clusters.config import ClusterConfig, Section
from clusters.dashboard_port import dashboard_problem
from clusters.deadlines import Deadline, wait_for_workers
from clusters.errors import ConfigError, Problem, StartError
from clusters.kinds import Kind
from clusters.machine import LocalCluster, local_arguments, start_local
from clusters.scheduler_end import count_idleness
from clusters.script_guard import UnguardedScript
from clusters.tls import security_of

__all__ = ["KIND", "LocalConfig", "LocalOptions"]


class LocalOptions(Section):
    """The block of clusters on this machine."""

    processes: bool = Field(
        default=True, strict=True, description="whether each worker is a process, or all live in this one"
    )


class LocalConfig(ClusterConfig):
    """A cluster on this machine. It has no TLS unless asked: nothing listens beyond loopback."""

    kind: Literal["local"] = "local"
    local: LocalOptions = Field(default=LocalOptions(), description="what only this machine has")

    unused = {
        "python": "workers run the Python of this process",
        "image": "workers are processes of this machine",
    }

    @model_validator(mode="after")
    def _own_environment(self) -> Self:
        if self.env and not self.local.processes:
            raise ValueError("env: workers in this process share its environment; say processes=True")
        return self


def _arguments(config: LocalConfig) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if config.env:
        options["env"] = config.environment()
    arguments = local_arguments(
        config.least, config.most, config.threads, config.memory, config.dashboard, config.local.processes, options
    )
    if config.security not in (None, False):
        arguments["protocol"] = "tls://"
    return arguments


def _allowed_arguments(config: LocalConfig) -> dict[str, Any]:
    try:
        return _arguments(config)
    except ValueError as error:
        raise ConfigError(f"local cluster: {error}") from None


def _render(config: LocalConfig) -> str:
    arguments = _allowed_arguments(config)
    if "env" in arguments:
        arguments["env"] = dict.fromkeys(arguments["env"], "hidden")
    if arguments["protocol"] == "tls://":
        arguments["security"] = config.security
    lines = "".join(f"    {name}={value!r},\n" for name, value in arguments.items())
    adapt = f".adapt(minimum={config.least}, maximum={config.most})" if config.adapts else ""
    idle = f"# from then on, it ends after {config.idle_timeout:g} s without work\n" if config.idle_timeout else ""
    return f"LocalCluster(\n{lines}){adapt}\n{idle}"


def _start(config: LocalConfig, deadline: Deadline) -> LocalCluster:
    arguments = _allowed_arguments(config)
    for problem in _check(config):
        raise StartError(problem.cause, problem.setting)
    arguments["security"] = security_of(config.security, default=False)
    try:
        cluster = start_local(arguments)
    except UnguardedScript as error:
        raise StartError(*str(error).rsplit(": ", 1)) from None
    except (OSError, RuntimeError) as error:
        raise StartError(f"the cluster on this machine did not start: {error}") from error
    try:
        wait_for_workers(cluster, arguments["n_workers"], deadline)
    except BaseException:
        cluster.close()
        raise
    count_idleness(cluster, config.idle_timeout)
    return cluster


def _check(config: LocalConfig) -> list[Problem]:
    try:
        _arguments(config)
    except ValueError as error:
        return [Problem(str(error), "ask for less")]
    problem = dashboard_problem(config.dashboard)
    return [] if problem is None else [problem]


KIND = Kind(name="local", config=LocalConfig, render=_render, start=_start, check=_check)
