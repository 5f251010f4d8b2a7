"""Clusters over SSH that cannot be: each is one clear error in time, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import clusters
from tests.clusters.sshd import SshHosts, free_port

Options = dict[str, Any]
# More than a slow machine takes to come to the cause.
WITHIN = 120.0


def host_down(hosts: SshHosts, folder: Path) -> Options:
    if not hosts.hosts[0].namespace:
        pytest.skip("a host that is down needs a network of its own: root, and permission for namespaces")
    # Nobody has this address on the bridge.
    return {"hosts": [hosts.hosts[0].address.rpartition(".")[0] + ".99"], "start_timeout": 1}


def no_such_name(hosts: SshHosts, folder: Path) -> Options:
    return {"hosts": ["no-such-host.invalid"]}


def port_closed(hosts: SshHosts, folder: Path) -> Options:
    return {"hosts": [f"{hosts.hosts[0].address}:{free_port()}"]}


def key_refused(hosts: SshHosts, folder: Path) -> Options:
    return {"keys": str(hosts.folder / "other_id")}


def key_missing(hosts: SshHosts, folder: Path) -> Options:
    return {"keys": "/nowhere/id"}


def key_unreadable(hosts: SshHosts, folder: Path) -> Options:
    return {"keys": str(hosts.folder / "known_hosts")}


def host_key_unknown(hosts: SshHosts, folder: Path) -> Options:
    return {"known_hosts": str(hosts.folder / "known_nobody")}


def bastion_closed(hosts: SshHosts, folder: Path) -> Options:
    return {"bastion": f"{hosts.hosts[0].address}:{free_port()}"}


def closed_behind_bastion(hosts: SshHosts, folder: Path) -> Options:
    return {"hosts": [f"{hosts.hidden.address}:1"], "bastion": hosts.reached[1]}


def python_missing(hosts: SshHosts, folder: Path) -> Options:
    return {"python": "/nowhere/python"}


def python_is_something_else(hosts: SshHosts, folder: Path) -> Options:
    return {"python": "/bin/false"}


def python_says_nothing(hosts: SshHosts, folder: Path) -> Options:
    script = folder / "python"
    script.write_text("#!/bin/sh\nexec cat >/dev/null\n")
    script.chmod(0o700)
    return {"python": str(script), "start_timeout": 5}


def python_without_dask(hosts: SshHosts, folder: Path) -> Options:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    return {"python": str(folder / "venv" / "bin" / "python")}


def versions_differ(hosts: SshHosts, folder: Path) -> Options:
    info = folder / "dask-2020.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dask\nVersion: 2020.1.0\n")
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={folder} exec {sys.executable} "$@"\n')
    script.chmod(0o700)
    return {"python": str(script)}


def no_scratch(hosts: SshHosts, folder: Path) -> Options:
    return {"scratch": "/nowhere"}


def port_of_scheduler_taken(hosts: SshHosts, folder: Path) -> Options:
    return {"scheduler_port": hosts.hosts[0].port}


def port_of_dashboard_taken(hosts: SshHosts, folder: Path) -> Options:
    return {"dashboard": str(hosts.hosts[0])}


def address_of_another(hosts: SshHosts, folder: Path) -> Options:
    host = hosts.hosts[0]
    return {"hosts": [{"host": host.address, "port": host.port, "address": "203.0.113.1"}]}


def worker_dies(hosts: SshHosts, folder: Path) -> Options:
    script = folder / "dies.py"
    script.write_text("import os, sys\nprint('no license left', file=sys.stderr, flush=True)\nos._exit(3)\n")
    return {"env": {"DASK_DISTRIBUTED__WORKER__PRELOAD": f"['{script}']"}}


def scheduler_out_of_reach(hosts: SshHosts, folder: Path) -> Options:
    if not hosts.hosts[0].namespace:
        pytest.skip(
            "hosts that do not reach each other need networks of their own: root, and permission for namespaces"
        )
    first, second, _ = hosts.hosts
    scheduler = {"host": first.address, "port": first.port, "address": "127.0.0.1"}
    return {"hosts": [str(second)], "scheduler": scheduler}


def scheduler_out_of_reach_from_here(hosts: SshHosts, folder: Path) -> Options:
    return {**scheduler_out_of_reach(hosts, folder), "tunnel": False}


CASES: list[tuple[Callable[[SshHosts, Path], Options], str, str, bool]] = [
    (host_down, "no answer on port 22 within 1 s", "hosts=", True),
    (no_such_name, "host no-such-host.invalid: there is no such name", "hosts=", True),
    (port_closed, "nothing listens on port", "port=", True),
    (key_refused, "was refused", "keys=", True),
    (key_missing, "/nowhere/id: No such file", "keys=", True),
    (key_unreadable, "Invalid", "keys=", True),
    (host_key_unknown, "its key is not among the known ones", "known_hosts=", True),
    (bastion_closed, "bastion .*: nothing listens on port", "port=", True),
    (closed_behind_bastion, "the bastion .* does not reach port 1 of it", "bastion=", True),
    (python_missing, "/nowhere/python does not run .*(not found|No such file)", "python=", True),
    (python_is_something_else, "/bin/false does not run", "python=", True),
    (python_says_nothing, "was not ready within 5 s", "python=", True),
    (python_without_dask, "has no dask.distributed", "python=", True),
    (versions_differ, f"dask 2020.1.0 there, {metadata.version('dask')} here", "same_versions=False", True),
    (no_scratch, "no temporary folder in /nowhere", "scratch=", True),
    (port_of_scheduler_taken, "port .* is taken", "scheduler_port=", True),
    (port_of_dashboard_taken, "port .* is taken", "dashboard=", True),
    (address_of_another, "port 0 of 203.0.113.1 cannot be listened on", "address=", True),
    (worker_dies, "no license left", "env=", False),
    (scheduler_out_of_reach, "the scheduler at tls://127.0.0.1:.* is out of reach", "address=", False),
    (scheduler_out_of_reach_from_here, "its scheduler at tls://127.0.0.1:.* is out of reach", "tunnel=False", False),
]


@pytest.mark.parametrize(
    ("wrong", "cause", "setting", "found"), CASES, ids=lambda value: getattr(value, "__name__", "")
)
def test_one_clear_error_in_time(
    wrong: Callable[[SshHosts, Path], Options],
    cause: str,
    setting: str,
    found: bool,
    ssh_hosts: SshHosts,
    tmp_path: Path,
) -> None:
    options = {
        "hosts": ssh_hosts.reached[:1],
        "workers": 1,
        "start_timeout": WITHIN,
        "dashboard": None,
        **ssh_hosts.login,
        **wrong(ssh_hosts, tmp_path),
    }
    with pytest.raises(clusters.StartError, match=cause) as caught:
        clusters.start("ssh", **options)
    assert setting in caught.value.problem.setting
    assert ssh_hosts.leftovers() == []
    problems = clusters.check("ssh", **options)
    assert problems == ([caught.value.problem] if found else [])
    assert ssh_hosts.leftovers() == []


def test_check_finds_the_problems_of_all_hosts_and_none_where_none_is(ssh_hosts: SshHosts) -> None:
    closed = f"{ssh_hosts.hosts[0].address}:{free_port()}"
    assert clusters.check("ssh", hosts=ssh_hosts.reached, **ssh_hosts.login) == []
    problems = clusters.check("ssh", hosts=[*ssh_hosts.reached, closed, "no-such-host.invalid"], **ssh_hosts.login)
    assert [problem.cause.split(":")[0] for problem in problems] == [
        f"host {closed.split(':')[0]}",
        "host no-such-host.invalid",
    ]
