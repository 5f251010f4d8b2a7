"""Put beside pods' processes as sitecustomize: names of services, and one address for each pod, without root.

As in a pod, listening on all addresses means listening on the pod's own.
"""

from __future__ import annotations

import os
import socket
from typing import Any

_HOSTS = os.environ.get("TEST_KUBE_HOSTS", "")
_ADDRESS = os.environ.get("TEST_KUBE_POD_IP", "")
_getaddrinfo, _bind, _connect = socket.getaddrinfo, socket.socket.bind, socket.socket.connect


def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
    wanted = host.decode() if isinstance(host, bytes) else host
    if isinstance(wanted, str) and _HOSTS:
        with open(_HOSTS) as file:
            for line in file:
                address, *names = line.split()
                if wanted.rstrip(".") in names:
                    return _getaddrinfo(address, *args, **options)
    return _getaddrinfo(host, *args, **options)


def bind(self: socket.socket, address: Any) -> None:
    if self.family == socket.AF_INET and address[0] in ("", "0.0.0.0"):
        address = (_ADDRESS, *address[1:])
    _bind(self, address)


def connect(self: socket.socket, address: Any) -> None:
    if self.family == socket.AF_INET and self.type == socket.SOCK_DGRAM:
        # How distributed finds its own address; nothing is sent.
        _bind(self, (_ADDRESS, 0))
        address = ("127.0.0.1", address[1])
    _connect(self, address)


socket.getaddrinfo = getaddrinfo
if _ADDRESS:
    socket.has_ipv6 = False
    socket.socket.bind = bind  # type: ignore[method-assign]
    socket.socket.connect = connect  # type: ignore[method-assign]
