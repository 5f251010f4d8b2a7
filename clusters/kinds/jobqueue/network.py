"""Which addresses scheduler and workers listen on: one each, that the others reach, and never all of a machine."""

from __future__ import annotations

import ipaddress
import shlex
import socket

import psutil
from distributed.utils import get_ip

from clusters.errors import Problem
from clusters.kinds.jobqueue.options import JobOptions

__all__ = ["WORKER_HOST", "Unreachable", "scheduler_ip", "worker_host_lines"]

WORKER_HOST = "DHPO_WORKER_HOST"
"""The variable of the job script that holds the address of its node."""

# The address with which this node reaches the scheduler. Connecting a datagram socket sends nothing.
_ASK = (
    "import socket,sys;"
    "a=socket.getaddrinfo(sys.argv[1],1,type=socket.SOCK_DGRAM)[0];"
    "s=socket.socket(a[0],a[1]);s.connect(a[4]);print(s.getsockname()[0])"
)


class Unreachable(Exception):
    """There is no such address on this machine.

    Parameters
    ----------
    problem : Problem
        Why, and what to change.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def scheduler_ip(options: JobOptions, interface: str | None) -> str:
    """The address that the scheduler listens on, an address of this machine.

    Parameters
    ----------
    options : JobOptions
        What the user said.
    interface : str, optional
        The interface that the user or the site named.

    Raises
    ------
    Unreachable
        If this machine has none.
    """
    if options.host is not None:
        address = _resolved(options.host, "host=")
        if ipaddress.ip_address(address).is_unspecified:
            raise Unreachable(
                Problem(f"host={options.host!r} means every interface of this machine", "name one in host=")
            )
        return _own(address, f"host={options.host!r}", options.port)
    if interface is not None:
        return _own(_of_interface(interface), f"interface={interface!r}", options.port)
    name = socket.gethostname()
    address = _resolved(name, "host= or interface=")
    if ipaddress.ip_address(address).is_loopback:
        # Debian gives a machine's own name to 127.0.1.1, where no other machine finds it.
        address = get_ip()
    return _own(address, f"this machine's name {name!r}", options.port)


def _resolved(host: str, setting: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise Unreachable(Problem(f"{host!r} has no address: {error.strerror}", f"change {setting}")) from None


def _of_interface(interface: str) -> str:
    known = psutil.net_if_addrs()
    if interface not in known:
        names = ", ".join(sorted(known))
        raise Unreachable(
            Problem(f"interface={interface!r}: this machine has none of that name", f"change interface= ({names})")
        )
    for entry in known[interface]:
        if entry.family == socket.AF_INET:
            return str(entry.address)
    raise Unreachable(Problem(f"interface={interface!r} has no IPv4 address", "change interface= or say host="))


def _own(address: str, source: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            cause = f"{source} is {address}, and port {port} of it cannot be listened on: {error.strerror}"
            raise Unreachable(Problem(cause, "change host=, interface= or port=")) from None
    return address


def worker_host_lines(python: str, scheduler: str) -> list[str]:
    """Lines of a job script after which `WORKER_HOST` is the address of the node that the scheduler's network knows."""
    return [f"{WORKER_HOST}=$({python} -c {shlex.quote(_ASK)} {shlex.quote(scheduler)}) || exit 1"]
