"""The last note of a step outlives its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import dhpo
from dhpo.worker.breadcrumbs import Crumb, CrumbTrail, Deed, read_crumb

ROOT = Path(dhpo.__file__).parent.parent


def test_a_note_is_read_until_the_step_ends(tmp_path):
    path = str(tmp_path / "step")
    assert read_crumb(path) is None
    trail = CrumbTrail(path)
    assert read_crumb(path) == Crumb(None, 0, Deed.TRAINING, 1)
    trail.note(7, 2)
    assert read_crumb(path) == Crumb(7, 2, Deed.TRAINING, 2)
    trail.note(-3, 81, Deed.SCORING)
    assert read_crumb(path) == Crumb(-3, 81, Deed.SCORING, 3)
    trail.nobody()
    assert read_crumb(path).model is None
    trail.remove()
    assert read_crumb(path) is None


def test_a_step_leaves_one_trail(tmp_path):
    CrumbTrail(str(tmp_path / "step"))
    with pytest.raises(FileExistsError):
        CrumbTrail(str(tmp_path / "step"))


def test_a_process_that_is_killed_leaves_its_note(tmp_path):
    code = f"""
import os, signal
from dhpo.worker.breadcrumbs import CrumbTrail
trail = CrumbTrail({str(tmp_path / "step")!r})
trail.note(4, 11)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_crumb(str(tmp_path / "step")) == Crumb(4, 11, Deed.TRAINING, 2)
