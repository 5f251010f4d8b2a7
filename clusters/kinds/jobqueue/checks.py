"""What stands in the way of a cluster of jobs, found without submitting one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from clusters.dashboard_port import dashboard_problem
from clusters.errors import ConfigError, Problem
from clusters.kinds.jobqueue.network import Unreachable, scheduler_ip
from clusters.kinds.jobqueue.options import JobConfig
from clusters.kinds.jobqueue.script import python_of, render_script
from clusters.kinds.jobqueue.system import System

__all__ = ["find_problems"]

_SAME = ("dask", "distributed")
# Imports nothing of them: to import dask would take a second.
_VERSIONS = (
    "import sys\n"
    "from importlib.metadata import version\n"
    "print('python', '.'.join(map(str, sys.version_info[:2])))\n"
    f"for name in {_SAME!r}:\n"
    "    print(name, version(name))\n"
)


def find_problems(config: JobConfig, system: System, within: float) -> list[Problem]:
    """Find what would keep a cluster from starting.

    Parameters
    ----------
    config : JobConfig
        The configuration.
    system : System
        Its batch system.
    within : float
        Seconds that each question may take.
    """
    try:
        script = render_script(config, system)
    except ConfigError as error:
        return [Problem(str(error), "change walltime= or grace=")]
    problems = [_directory_problem(config.shared_folder, "shared_directory")]
    if config.log_folder is not None:
        problems.append(_directory_problem(config.log_folder, "log_directory"))
    problems += [_address_problem(config), dashboard_problem(config.dashboard), _python_problem(config, within)]
    if shutil.which(system.submit) is None:
        cause = f"there is no {system.submit} on PATH"
        problems.append(Problem(cause, f"start on a machine that submits jobs, or use another kind than {system.name}"))
    elif system.queue is not None:
        problems.append(system.queue.problem(script, within))
    return [problem for problem in problems if problem is not None]


def _directory_problem(folder: Path, setting: str) -> Problem | None:
    if not folder.is_dir():
        return Problem(f"{folder} is no directory of this machine", f"change {setting}=")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Problem(f"{folder} cannot be written to", f"change {setting}=")
    return None


def _address_problem(config: JobConfig) -> Problem | None:
    try:
        scheduler_ip(config.options, config.interface)
    except Unreachable as error:
        return error.problem
    return None


def _python_problem(config: JobConfig, within: float) -> Problem | None:
    """Whether a Python that was named has what workers need; one that only the nodes have is left to them."""
    command = python_of(config)
    if config.python is None or shutil.which(command[0]) is None:
        return None
    said = f"python={config.python!r}"
    try:
        asked = subprocess.run(
            [*command, "-c", _VERSIONS], capture_output=True, text=True, timeout=within, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Problem(f"{said} does not run: {error}", "change python=")
    if asked.returncode != 0:
        last = (asked.stderr.strip() or f"it ended with exit code {asked.returncode}").splitlines()[-1]
        return Problem(
            f"{said} is no Python with dask and distributed: {last}", "install them there, or change python="
        )
    theirs = dict(line.split(" ", 1) for line in asked.stdout.splitlines() if " " in line)
    ours = {"python": ".".join(map(str, sys.version_info[:2])), **{name: version(name) for name in _SAME}}
    other = [f"{name} {theirs.get(name)} for {ours[name]}" for name in ours if theirs.get(name) != ours[name]]
    if other:
        return Problem(f"{said} has other versions than this process: {', '.join(other)}", "make them equal")
    return None
