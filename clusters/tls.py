"""Certificates: temporary ones, the user's own, and how they travel."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from distributed.security import Security
from pydantic import PlainValidator

from clusters.errors import ConfigError, ExtraNotInstalled

__all__ = ["TlsChoice", "portable", "security_of"]

_FILES = ("ca_file", "cert", "key")
_ROLES = ("client", "scheduler", "worker")


def _choice(value: Any) -> bool | Security | None:
    if value is None or isinstance(value, bool | Security):
        return value
    if not isinstance(value, Mapping) or set(value) != set(_FILES):
        raise ValueError(f"expected True, False, {{{', '.join(_FILES)}}} or a distributed.Security")
    paths = {}
    for name in _FILES:
        if not isinstance(value[name], str) or not os.path.isfile(path := os.path.expanduser(value[name])):
            raise ValueError(f"{name} is not a file on this machine")
        # A script that is submitted reads it from another working folder.
        paths[name] = os.path.abspath(path)
    roles = {f"tls_{role}_{part}": paths[part] for role in _ROLES for part in ("cert", "key")}
    return Security(require_encryption=True, tls_ca_file=paths["ca_file"], **roles)


TlsChoice = Annotated[bool | Security | None, PlainValidator(_choice)]


def security_of(choice: bool | Security | None, default: bool) -> Security:
    """The security that a cluster runs under.

    Parameters
    ----------
    choice : bool, distributed.Security or None
        What the user said: True for TLS, False for none, or certificates of his own.
    default : bool
        What holds where he said nothing.

    Returns
    -------
    distributed.Security
        For True, the certificates that Dask's own configuration names (`distributed.comm.tls`), or else temporary ones
        that exist in memory only, and are good for this cluster alone.

    Raises
    ------
    ExtraNotInstalled
        If certificates have to be made, and cryptography is not installed.
    """
    if isinstance(choice, Security):
        return choice
    if not (default if choice is None else choice):
        return Security(require_encryption=False)
    configured: Any = Security()
    if configured.tls_ca_file and configured.tls_client_cert:
        configured.require_encryption = True
        return cast(Security, configured)
    try:
        return cast(Security, Security.temporary())
    except ImportError as error:
        raise ExtraNotInstalled("temporary certificates need cryptography: pip install cryptography") from error


def portable(security: Any, role: str) -> dict[str, Any]:
    """What a process of this role needs of a security elsewhere, its files read: keywords for `distributed.Security`.

    It holds a private key in clear: it goes through a channel that only the process reads, never into a command line.
    """
    # Tasks may be clients, too.
    wanted = {"tls_ca_file", *(f"tls_{each}_{part}" for each in (role, "client") for part in ("cert", "key"))}
    parts: dict[str, Any] = {"require_encryption": security.require_encryption}
    if security.tls_ciphers:
        parts["tls_ciphers"] = security.tls_ciphers
    for name in sorted(wanted):
        value = getattr(security, name)
        if value is None:
            continue
        if "\n" not in value:
            try:
                value = Path(value).read_text()
            except OSError as error:
                raise ConfigError(f"security: {name} cannot be read: {error}") from error
        parts[name] = value
    return parts
