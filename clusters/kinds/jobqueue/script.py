"""From a configuration to the job script, and to what dask-jobqueue's classes are given."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import Any

from distributed.security import Security

from clusters.config import ClusterConfig
from clusters.dask_settings import quiet_settings
from clusters.errors import ConfigError
from clusters.kinds.jobqueue.dask_jobqueue_import import native_class
from clusters.kinds.jobqueue.network import WORKER_HOST, worker_host_lines
from clusters.kinds.jobqueue.options import JobConfig, QueueOptions
from clusters.kinds.jobqueue.system import System

__all__ = ["JobPaths", "job_arguments", "python_of", "render_script", "uses_tls", "worker_environment"]


@dataclass(frozen=True)
class JobPaths:
    """Where jobs find what is only theirs.

    Parameters
    ----------
    folder : str
        The private folder of this cluster.
    logs : str
        Where the logs of jobs are written.
    """

    folder: str
    logs: str

    @property
    def environment(self) -> str:
        """Lines that set environment variables."""
        return f"{self.folder}/environment"

    @property
    def certificates(self) -> dict[str, str]:
        """The files that a worker needs for TLS, by their names in `distributed.Security`."""
        roles = {f"tls_{role}_{part}": f"{role}-{part}" for role in ("worker", "client") for part in ("cert", "key")}
        return {name: f"{self.folder}/{file}.pem" for name, file in {"tls_ca_file": "ca", **roles}.items()}


def uses_tls(config: ClusterConfig) -> bool:
    """Whether scheduler and workers speak TLS, which they do unless told not to."""
    if isinstance(config.security, Security):
        return bool(config.security.require_encryption)
    return config.security is not False


def python_of(config: JobConfig) -> list[str]:
    """The command that runs Python in jobs, as words."""
    return shlex.split(config.python or config.of_the_site("python") or sys.executable)


def worker_environment(config: JobConfig, paths: JobPaths) -> dict[str, str]:
    """The environment variables of workers, in clear."""
    settings = dict(quiet_settings())
    if uses_tls(config):
        files = paths.certificates
        settings["distributed.comm.require-encryption"] = "True"
        # Tasks may be clients, too, and the command line has no options for that.
        settings["distributed.comm.tls.ca-file"] = files["tls_ca_file"]
        settings["distributed.comm.tls.client.cert"] = files["tls_client_cert"]
        settings["distributed.comm.tls.client.key"] = files["tls_client_key"]
        ciphers = getattr(config.security, "tls_ciphers", None)
        if ciphers:
            settings["distributed.comm.tls.ciphers"] = ciphers
    names = {name: f"DASK_{name.upper().replace('.', '__').replace('-', '_')}" for name in settings}
    return {names[name]: value for name, value in settings.items()} | config.environment()


def job_arguments(config: JobConfig, system: System, paths: JobPaths, host: str) -> dict[str, Any]:
    """The keywords of dask-jobqueue's classes for a configuration; no secret is among them.

    Parameters
    ----------
    config : JobConfig
        The configuration.
    system : System
        Its batch system.
    paths : JobPaths
        Where jobs find what is theirs.
    host : str
        Address of the scheduler, without its port.

    Raises
    ------
    ConfigError
        If what the site says of walltimes is not allowed.
    """
    options = config.options
    python = shlex.join(python_of(config))
    interface = config.interface
    prologue = list(_said(options.prologue, config.of_the_site("job-script-prologue")))
    prologue.append(f". {paths.environment} || exit 1")
    # A worker has a dashboard of its own, which nobody but this node needs.
    extra = [*(config.of_the_site("worker-extra-args") or ()), "--dashboard-address", "127.0.0.1:0"]
    if interface is None:
        prologue += worker_host_lines(python, host)
        extra += ["--host", f'"${WORKER_HOST}"']
    try:
        walltime, lifetime = config.walltime, config.lifetime
    except ValueError as error:
        raise ConfigError(f"{system.name} cluster: {error}") from None
    if lifetime is not None:
        extra += ["--lifetime", f"{lifetime.seconds:.1f}s", "--lifetime-stagger", f"{lifetime.stagger:.1f}s"]
    arguments: dict[str, Any] = {
        "cores": config.threads,
        "processes": 1,
        "memory": str(config.job_memory),
        "python": python,
        "interface": interface,
        "death_timeout": options.death_timeout,
        "local_directory": options.local_directory,
        "job_name": options.job_name,
        "job_script_prologue": prologue,
        "worker_extra_args": extra,
    }
    if isinstance(options, QueueOptions):
        arguments["queue"] = options.queue
        if walltime is not None:
            arguments["walltime"] = system.walltime(walltime)
    arguments |= system.arguments(options)
    logs = system.logs(paths.logs)
    if isinstance(logs, dict):
        arguments["job_extra_directives"] = logs | dict(
            getattr(options, "directives", None) or config.of_the_site("job-extra-directives") or {}
        )
    else:
        said = _said(getattr(options, "directives", None), config.of_the_site("job-extra-directives"))
        arguments["job_extra_directives"] = [*logs, *system.directives(options), *said]
    return arguments


def render_script(config: JobConfig, system: System) -> str:
    """The job script, with names in <> for what is known only once the cluster runs."""
    options = config.options
    folder = f"{config.shared_folder}/<private-folder>"
    paths = JobPaths(folder, str(config.log_folder or f"{folder}/logs"))
    protocol = "tls://" if uses_tls(config) else "tcp://"
    job_class = native_class(system.native).job_cls
    job = job_class(
        f"{protocol}<scheduler>:{options.port or '<port>'}",
        name="<worker>",
        protocol=protocol,
        security=worker_security(paths) if uses_tls(config) else None,
        **job_arguments(config, system, paths, options.host or "<scheduler>"),
    )
    script: str = job.job_script()
    return script


def worker_security(paths: JobPaths, **others: Any) -> Security:
    """The certificates of workers as files, and those of others as they are given."""
    files = {name: path for name, path in paths.certificates.items() if "client" not in name}
    return Security(require_encryption=True, **files, **others)


def _said(own: tuple[str, ...] | None, site: Any) -> tuple[str, ...]:
    return own if own is not None else tuple(site or ())
