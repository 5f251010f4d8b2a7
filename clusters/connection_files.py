"""Files by which other processes reach a cluster that is kept by this one, and end it."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml
from distributed.deploy import Cluster

from clusters.errors import ConfigError, StartError
from clusters.scheduler_end import scheduler_ended
from clusters.submission.records import home
from clusters.tls import portable

__all__ = ["ConnectionFile", "answers", "end"]

_KEEPER = "dhpo-cluster"
_END_SECONDS = 60.0
_POLL_SECONDS = 0.1


class ConnectionFile:
    """Address and certificates of a cluster, as Dask's own configuration: ``DASK_CONFIG=FILE`` makes it the default.

    Parameters
    ----------
    path : Path
        The file. Only its owner reads it: whoever does can run code on the cluster.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    @contextlib.contextmanager
    def reserved(cls, path: Path | None, kind: str) -> Iterator[ConnectionFile]:
        """A new file, which is removed at the end.

        Parameters
        ----------
        path : Path, optional
            Where; by default below the folder of `clusters.submission.records.home`.
        kind : str
            The kind of the cluster.

        Raises
        ------
        ConfigError
            If the file is there already, or cannot be written.
        """
        if path is None:
            path = home() / "clusters" / f"{kind}-{os.getpid()}.yaml"
        if path.suffix not in (".yaml", ".yml"):
            raise ConfigError(f"connection={str(path)!r}: expected a name that ends in .yaml, which Dask reads")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise ConfigError(
                f"connection={str(path)!r}: is there already; `dhpo cluster down {shlex.quote(str(path))}` "
                "ends its cluster"
            ) from None
        except OSError as error:
            raise ConfigError(f"connection={str(path)!r}: cannot be written ({error.strerror})") from None
        try:
            # At once, so that `end` finds who starts it, and who was killed while he did.
            with os.fdopen(descriptor, "w") as file:
                yaml.safe_dump({_KEEPER: _this_process()}, file)
            yield cls(path.resolve())
        finally:
            path.unlink(missing_ok=True)

    def fill(self, cluster: Cluster) -> None:
        """Write how to reach a cluster, and who keeps it."""
        known = portable(getattr(cluster, "security"), "client")  # noqa: B009 - all have it, and Dask does not say so
        content: dict[str, Any] = {"scheduler-address": cluster.scheduler_address}
        if known["require_encryption"]:
            client = {"cert": known.get("tls_client_cert"), "key": known.get("tls_client_key")}
            tls = {"ca-file": known.get("tls_ca_file"), "client": client}
            content["distributed"] = {"comm": {"require-encryption": True, "tls": tls}}
        content[_KEEPER] = _this_process()
        # A file that nobody else has, nor reads.
        descriptor, fresh = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.stem}-")
        with os.fdopen(descriptor, "w") as file:
            yaml.safe_dump(content, file)
        os.replace(fresh, self.path)


def answers(cluster: Any) -> bool:
    """Whether the scheduler of a cluster still answers."""
    if cluster.status.name != "running" or scheduler_ended(cluster):
        return False
    try:
        cluster.sync(cluster.scheduler_comm.identity)
    except OSError:
        return False
    return True


def end(path: Path) -> bool:
    """End the cluster of a connection file, as Ctrl-C does where it is kept, and wait until it is closed.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    bool
        Whether there was a cluster to end.

    Raises
    ------
    ConfigError
        If it is no such file.
    StartError
        If the cluster does not end, or is kept elsewhere.
    """
    keeper = _keeper(path)
    if keeper["machine"] != socket.gethostname():
        raise StartError(f"the cluster of {path} is kept on {keeper['machine']}", "end it there")
    try:
        process = psutil.Process(keeper["pid"])
        # The number may be that of another process by now.
        if abs(process.create_time() - keeper["started"]) > 1:
            raise psutil.NoSuchProcess(keeper["pid"])
        process.terminate()
    except psutil.NoSuchProcess:
        path.unlink(missing_ok=True)
        return False
    except psutil.AccessDenied:
        raise StartError(f"process {keeper['pid']} is not yours", "ask whoever started it") from None
    deadline = time.monotonic() + _END_SECONDS
    while path.exists() and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            raise StartError(f"process {keeper['pid']} did not end within {_END_SECONDS:g} s", "look at what it does")
        time.sleep(_POLL_SECONDS)
    return True


def _this_process() -> dict[str, Any]:
    this = psutil.Process()
    return {"machine": socket.gethostname(), "pid": this.pid, "started": this.create_time()}


def _keeper(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        keeper = content[_KEEPER]
        return {"machine": str(keeper["machine"]), "pid": int(keeper["pid"]), "started": float(keeper["started"])}
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError, ValueError):
        raise ConfigError(f"{path}: is no connection file of `dhpo cluster up`") from None
