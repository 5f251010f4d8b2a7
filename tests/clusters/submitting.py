"""What the tests of submitted scripts share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

import clusters
from dhpo.cli import app

ROOT = Path(__file__).parents[2]
SECRET = "s3cret 'in' $the clear"
ENV = {"PYTHONPATH": str(ROOT), "OF_TEST": SECRET, "OMP_NUM_THREADS": 1}

SEARCH = """
import os, pathlib, sys, time
import clusters
import dask.array as da
import numpy as np
from dhpo import HyperbandSearchCV
from sklearn.linear_model import SGDClassifier

if __name__ == "__main__":
    X = np.random.default_rng(0).normal(size=(400, 4))
    y = (X[:, 0] > 0).astype(int)
    search = HyperbandSearchCV(SGDClassifier(), {"alpha": [1e-4, 1e-3, 1e-2]}, max_iter=4, random_state=0)
    with clusters.from_config() as cluster, cluster.get_client():
        print("workers", len(cluster.scheduler_info["workers"]), "secret", len(os.environ["OF_TEST"]), flush=True)
        X, y = da.from_array(X, chunks=(100, -1)), da.from_array(y, chunks=100)
        search.fit(X, y, classes=[0, 1], journal="journal")
        print("best", search.best_score_, sys.argv[1:], flush=True)
        while not pathlib.Path("go").exists():
            time.sleep(0.05)
    pathlib.Path("best.txt").write_text(str(search.best_score_))
"""


def told(*words: str) -> str:
    """What `dhpo` prints in a process of its own, where it does as it was told."""
    words = (sys.executable, "-c", "from dhpo.cli import app; app()", *words)
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def said(*words: str, code: int = 0) -> str:
    """What `dhpo` prints, in this process."""
    done = CliRunner().invoke(app, words)
    assert done.exit_code == code, done.output
    return done.output


def state(name: str) -> str:
    return clusters.submitted(name).status().state


def ended(name: str) -> str:
    """The state of a script when it has ended; it is followed over one connection."""
    clusters.submitted(name).logs(follow=True)
    return state(name)


class Seen(Exception):
    """What was waited for is there."""


def wait_for_log(name: str, text: str) -> None:
    """Wait until a script has printed something."""
    log = b""

    def take(chunk: bytes) -> None:
        nonlocal log
        log += chunk
        if text.encode() in log:
            raise Seen

    with pytest.raises(Seen):
        clusters.submitted(name).logs(take, follow=True)


def processes_below(folder: Path) -> list[str]:
    """The command lines of processes that work there."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder):
                found.append(" ".join(process.cmdline())[-200:])
        except psutil.Error:
            continue
    return found


def home_of_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for records; a test leaves no submission and no process."""
    monkeypatch.setenv("DHPO_HOME", str(tmp_path / "home"))
    try:
        yield tmp_path
        assert clusters.submissions() == []
        assert processes_below(tmp_path) == []
    finally:
        for left in clusters.submissions():
            left.cancel()
            left.remove()


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def local(**options: Any) -> dict[str, Any]:
    return {"kind": "local", "workers": 1, "memory": "500MB", "dashboard": None, "env": ENV, **options}
