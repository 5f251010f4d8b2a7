"""Environments beside that of the tests, made once below the user's cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

__all__ = ["ROOT", "below_cache", "python_with", "requirements_of_dhpo", "without_our_packages"]

ROOT = Path(__file__).parents[2]


def below_cache(name: str) -> Path:
    """Where an environment is kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "dhpo-benchmarks" / name


def requirements_of_dhpo() -> list[str]:
    """What `pip install dhpo` installs besides it: no extras, and so not what dask-ml brings into each worker."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements: list[str] = project["dependencies"]
    return requirements


def without_our_packages() -> dict[str, str]:
    """The environment of this process for another interpreter."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def python_with(requirements: Sequence[str], venv: Path) -> Path:
    """The interpreter of an environment that has these packages, and which is made if it is not there whole."""
    python = venv / "bin" / "python"
    complete = venv / "complete"
    if complete.exists() and complete.read_text() == "\n".join(requirements):
        return python
    print(f"installing {requirements[0]} and more in {venv} ...", flush=True)
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        [str(python), "-m", "pip", "install", "--quiet", *requirements],
    ):
        subprocess.run(command, check=True, env=without_our_packages())
    complete.write_text("\n".join(requirements))
    return python
