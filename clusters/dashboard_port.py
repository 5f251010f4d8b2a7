"""Whether the dashboard of a scheduler on this machine can be where it was asked for."""

from __future__ import annotations

import socket

from clusters.errors import Problem

__all__ = ["dashboard_problem"]


def dashboard_problem(dashboard: str | None) -> Problem | None:
    """What keeps a dashboard from listening on 'host:port' of this machine; None where nothing does."""
    if dashboard is None:
        return None
    host, _, port = dashboard.rpartition(":")
    try:
        # Dask itself would take another port, or another address, and only warn.
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return Problem(f"dashboard={dashboard!r} cannot be listened on: {error.strerror}", "change dashboard=")
    return None
