"""What runs on a host: a guard that ends when its SSH connection does, and below it one server of Dask.

The text of this file goes to the host through the standard input of `python -c BOOT`, in a line of JSON: so the host
needs Dask and nothing of ours, and no command line shows what else the line holds, certificates, keys and variables. It
keeps to what Python 3.8 understands, so that an old one there gets as far as being told so.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from importlib import metadata
from typing import Any, TextIO

# The working folder, which is somebody's home, is no place to import from.
BOOT = (
    "import sys,json;sys.path[:]=filter(None,sys.path);"
    "code,part,order=json.loads(sys.stdin.buffer.readline());m={};exec(code,m);sys.exit(m[part](order))"
)
MARK = "clusters-ssh: "
_GRACE_SECONDS = 3.0
_REACH_SECONDS = 10.0


class ServerFailed(Exception):
    """Why a server does not start, and the setting to change."""


def report(stream: TextIO, event: str, **facts: Any) -> None:
    """Tell the driver; it may be gone."""
    with contextlib.suppress(OSError, ValueError):
        stream.write(MARK + json.dumps(dict(facts, event=event)) + "\n")
        stream.flush()


def guard(order: dict[str, Any]) -> int:
    """Run the server as a child in a session of its own; end it, and what it started, when the driver goes."""
    try:
        folder = tempfile.mkdtemp(prefix="dask-ssh-", dir=order["scratch"])
    except OSError as error:
        report(sys.stdout, "failed", **no_folder(order, error))
        return 1
    ended = threading.Event()
    try:
        child = subprocess.Popen(
            [sys.executable, "-u", "-c", BOOT],
            stdin=subprocess.PIPE,
            env=dict(os.environ, **order["env"]),
            start_new_session=True,
        )
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, lambda *_: end(child, ended))
        threading.Thread(target=watch, args=(order["lost_after"], child, ended), daemon=True).start()
        if child.stdin is not None:
            with contextlib.suppress(OSError):  # it ended at once, and that is told below
                child.stdin.write(json.dumps([order["code"], "serve", dict(order, folder=folder)]).encode() + b"\n")
                # Left open: its end tells the server that this guard is no more.
                child.stdin.flush()
        code = child.wait()
        ended.set()
        kill_group(child.pid)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report(sys.stdout, "ended", code=code)
    return 0


def kill_group(group: int) -> None:
    """Kill what is left of a group, and wait until it is gone: its folder is removed next."""
    end_of_patience = time.monotonic() + _GRACE_SECONDS
    with contextlib.suppress(OSError):  # there is no such group any more
        while time.monotonic() < end_of_patience:
            os.killpg(group, signal.SIGKILL)
            time.sleep(0.01)


def no_folder(order: dict[str, Any], error: OSError) -> dict[str, str]:
    """Why there is no folder for what workers spill to disk."""
    where = order["scratch"] or "the places for temporary files"
    return {"cause": f"no temporary folder in {where} ({error.strerror})", "setting": "change scratch="}


def watch(lost_after: float, child: subprocess.Popen[bytes], ended: threading.Event) -> None:
    """Wait for the end of the standard input, or for a silence that is too long: a driver may vanish without a word."""
    while True:
        ready, _, _ = select.select([0], [], [], lost_after)
        if not ready or not os.read(0, 4096):
            break
    end(child, ended)


def end(child: subprocess.Popen[bytes], ended: threading.Event) -> None:
    """Ask the server to end, and make it after a while, without waiting here."""

    def force() -> None:
        if not ended.wait(_GRACE_SECONDS):
            with contextlib.suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)

    with contextlib.suppress(OSError):
        child.terminate()
    threading.Thread(target=force, daemon=True).start()


def end_with_guard() -> None:
    """End this server and all that it started once the guard is gone, which alone holds the other end."""
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


def serve(order: dict[str, Any]) -> int:
    """Run a scheduler or a nanny until it ends, or is asked to end."""
    threading.Thread(target=end_with_guard, daemon=True).start()
    # What tasks print is no report.
    reports = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        compare_versions(order["versions"])
        address = order["address"] or own_address()
        if order["scheduler"] is None:
            check_ports(order, address)
        else:
            check_reach(order["scheduler"])
        asyncio.run(run(order, address, reports))
    except ServerFailed as failure:
        cause, setting = failure.args
        report(reports, "failed", cause=cause, setting=setting)
        return 1
    return 0


def compare_versions(wanted: dict[str, str]) -> None:
    """Refuse where Dask is missing, or where code pickled by the driver may not be understood."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        here = {name: metadata.version(name) for name in ("dask", "distributed")}
        here["python"] = "{}.{}".format(*sys.version_info[:2])
        other = [f"{name} {here[name]} there, {wanted[name]} here" for name in wanted if here[name] != wanted[name]]
        if other:
            raise ServerFailed(
                "versions differ: " + ", ".join(other),
                "install the same ones, change python=, or say same_versions=False",
            )
        return
    raise ServerFailed(f"{sys.executable} has no dask.distributed", "install it there, or change python=")


def own_address() -> str:
    """The address of this host that the SSH connection came to: one that others reach it by."""
    parts = os.environ.get("SSH_CONNECTION", "").split()
    if len(parts) != 4:
        raise ServerFailed(
            "the SSH server does not tell which address it was reached at", "give the address= of the host"
        )
    return parts[2]


def check_free(address: str, port: int, setting: str) -> None:
    """Refuse a port that is taken; Dask would take another for its dashboard."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        what = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be listened on ({error.strerror})"
        raise ServerFailed(f"port {port} of {address} {what}", setting) from None


def check_ports(order: dict[str, Any], address: str) -> None:
    """Refuse where a port that was asked for is not to be had."""
    check_free(address, order["options"]["port"], "change scheduler_port=, or the address= of the host")
    host, _, port = order["options"]["dashboard_address"].rpartition(":")
    check_free(host.strip("[]"), int(port), "change dashboard=")


def check_reach(scheduler: str) -> None:
    """Refuse where the scheduler is out of reach, rather than wait for it."""
    host, _, port = scheduler.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACH_SECONDS).close()
    except OSError as error:
        raise ServerFailed(
            f"the scheduler at {scheduler} is out of reach ({error})",
            "open the way between the hosts, fix its port with scheduler_port=, or give the address= of its host",
        ) from None


async def run(order: dict[str, Any], address: str, reports: TextIO) -> None:
    """Start the server, tell its address, and wait for its end."""
    import dask
    import distributed

    dask.config.update(dask.config.config, order["config"])
    dask.config.update(dask.config.config, dask.config.collect_env())
    options = dict(order["options"], host=address, security=distributed.Security(**order["security"]))
    options["local_directory"] = order["folder"]
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    stopping = asyncio.ensure_future(asked.wait())
    if order["scheduler"] is None:
        starting = asyncio.ensure_future(started(distributed.Scheduler, **options))
    else:
        starting = asyncio.ensure_future(
            started(distributed.Nanny, order["scheduler"], config=dask.config.config, **options)
        )
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        # What it has begun ends with the session of this process.
        return
    server = starting.result()
    report(
        reports, "ready", address=server.address, dashboard=server.http_server.port if order["scheduler"] is None else 0
    )
    finished = asyncio.ensure_future(server.finished())
    await asyncio.wait([finished, stopping], return_when=asyncio.FIRST_COMPLETED)
    await server.close()


async def started(server_class: Any, *args: Any, **options: Any) -> Any:
    """A server that runs."""
    try:
        server = server_class(*args, **options)
        await server
    except Exception as error:
        reason: BaseException = error
        while reason.__cause__ is not None:
            reason = reason.__cause__
        text = f"the {server_class.__name__.lower()} did not start: {type(reason).__name__}: {reason}"
        raise ServerFailed(text, "change env=, memory= or threads=") from error
    if server.status.name != "running":
        raise ServerFailed("the worker ended when it started", "change env=, memory= or threads=")
    return server


def inspect(order: dict[str, Any]) -> int:
    """Tell what stands in the way of a server, without starting one."""
    try:
        compare_versions(order["versions"])
        address = order["address"] or own_address()
        if order["scheduler"] is None:
            check_ports(order, address)
        tempfile.TemporaryDirectory(prefix="dask-ssh-", dir=order["scratch"]).cleanup()
    except ServerFailed as failure:
        report(sys.stdout, "failed", cause=failure.args[0], setting=failure.args[1])
    except OSError as error:
        report(sys.stdout, "failed", **no_folder(order, error))
    else:
        report(sys.stdout, "ready")
    return 0
