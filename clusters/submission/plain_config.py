"""A configuration as plain values, which `clusters.load` reads back elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distributed.security import Security
from pydantic import SecretStr

from clusters.config import ClusterConfig
from clusters.errors import ConfigError
from clusters.kinds import kind_named

__all__ = ["describe", "restore"]

_FILES = {"ca_file": "tls_ca_file", "cert": "tls_client_cert", "key": "tls_client_key"}


def describe(config: ClusterConfig, secrets: bool, same_files: bool) -> dict[str, Any]:
    """What was said of a cluster, as plain values.

    Parameters
    ----------
    config : ClusterConfig
        The configuration.
    secrets : bool
        Whether the values of environment variables are to be there, in clear.
    same_files : bool
        Whether files of this machine are there, too, where it is read.

    Raises
    ------
    ConfigError
        If it holds certificates that cannot travel.
    """
    said: dict[str, Any] = config.model_dump(exclude_unset=True)
    said["kind"] = config.kind
    if isinstance(config.security, Security):
        said["security"] = _files(config.security, same_files)
    if not secrets:
        said.pop("env", None)
    plain: dict[str, Any] = _plain(said)
    return plain


def restore(said: Mapping[str, Any]) -> Any:
    """The configuration; nothing is added to what was said."""
    return kind_named(said["kind"]).config.model_validate(said)


def _files(security: Any, same_files: bool) -> dict[str, str]:
    files = {name: getattr(security, attribute) for name, attribute in _FILES.items()}
    if not same_files or any(path is None or "\n" in path for path in files.values()):
        raise ConfigError(
            "security: a script that is submitted takes no certificates along; say True, and name them in Dask's "
            "configuration there (distributed.comm.tls), or leave it out for certificates of its cluster alone"
        )
    return files


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {str(key): _plain(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(content) for content in value]
    return value
