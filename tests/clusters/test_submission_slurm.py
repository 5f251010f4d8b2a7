"""Scripts submitted as jobs, on a real Slurm of this machine."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import clusters
from tests.clusters.slurm_machine import PARTITION, SlurmMachine, wait_until
from tests.clusters.submitting import (
    ENV,
    SEARCH,
    SECRET,
    ended,
    home_of_tests,
    processes_below,
    said,
    state,
    wait_for_log,
    written,
)


@pytest.fixture
def folder(slurm: SlurmMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from home_of_tests(tmp_path, monkeypatch)
    wait_until(lambda: not slurm.jobs(), what="the end of all jobs")


def jobs_of(folder: Path, **options: Any) -> dict[str, Any]:
    shared = folder / "shared"
    shared.mkdir(exist_ok=True)
    return {
        "kind": "slurm",
        "workers": 1,
        "queue": PARTITION,
        "walltime": "00:10:00",
        "memory": "600MB",
        "interface": "lo",
        "shared_directory": str(shared),
        "start_timeout": 60,
        "dashboard": None,
        "env": ENV,
        **options,
    }


@pytest.mark.benchmarks
def test_a_search_in_jobs_is_cancelled_and_goes_on(slurm: SlurmMachine, folder: Path) -> None:
    options = jobs_of(folder)
    search = clusters.submit(options, written(folder, "search.py", SEARCH), ["--max", "3"])
    wait_for_log("search", "best ")
    assert len(slurm.jobs()) == 2, "that of the script, and that of its worker"
    answer = said("status", "search")
    assert answer.startswith("search: running\n")
    assert f"workers 1 secret {len(SECRET)}\n" in said("logs", "search")
    with pytest.raises(clusters.SubmissionError, match="waits or runs: cancel it first"):
        search.remove()
    assert said("cancel", "search") == "search: cancelled\n"
    wait_until(lambda: not slurm.jobs(), what="the end of all jobs")
    assert state("search") == "cancelled"
    Path(search.folder, "go").touch()
    said("submit", "--resume", "search")
    assert ended("search") == "done", search.logs()
    first, second = [line for line in search.logs().splitlines() if line.startswith("best ")]
    assert first == second
    assert (search.fetch(folder / "got") / "best.txt").read_text() == first.split()[1]
    search.remove()
    assert list((folder / "shared").rglob("*.*")) == []


def test_waiting_failing_late_and_refused(slurm: SlurmMachine, folder: Path) -> None:
    options = jobs_of(folder)
    rendered = clusters.render_submission(options, __file__, name="n", time="2-00:00:00")
    assert "#SBATCH --time=48:00:00" in rendered
    assert SECRET not in rendered

    fails = clusters.submit(options, written(folder, "fails.py", "import sys; print('oh'); sys.exit(3)"))
    assert ended("fails") == "failed"
    assert (fails.status().code, fails.logs()) == (3, "oh\n")

    # The node has no room, so it waits; cancelled then, it never ran.
    full = slurm.ask("sbatch", "--parsable", "--mem=3900", "--output=/dev/null", "--wrap=sleep 600").strip()
    wait_until(lambda: slurm.jobs()[full] == "RUNNING", what="the job that fills the node")
    waits = clusters.submit(options, written(folder, "waits.py", "print('never')"))
    assert state("waits") == "waiting"
    assert waits.cancel()
    assert state("waits") == "cancelled"
    slurm.ask("scancel", full)

    # As Slurm warns a job whose time is over soon.
    late = clusters.submit(options, written(folder, "late.py", "import time; print('on', flush=True); time.sleep(600)"))
    wait_for_log("late", "on")
    slurm.ask("scancel", "--batch", "--signal=USR1", late.record.facts["job"])
    assert ended("late") == "failed"
    assert "its time was over" in said("status", "late")

    # A node that goes down leaves nobody who would tell.
    lost = clusters.submit(options, str(folder / "late.py"), name="lost")
    wait_for_log("lost", "on")
    os.kill(json.loads(Path(lost.folder, ".dhpo/state.json").read_text())["pid"], signal.SIGKILL)
    wait_until(lambda: lost.status().over, what="the end")
    assert lost.status().state == "lost"
    assert "JobState=FAILED" in lost.status().detail

    for wrong, told in (({"queue": "moon"}, "change queue="), ({"memory": "64GB"}, "change")):
        with pytest.raises(clusters.SubmissionError, match=told):
            clusters.submit(jobs_of(folder, **wrong), str(folder / "late.py"), name="wrong")
    with pytest.raises(clusters.SubmissionError, match="time='soon': expected 'HH:MM:SS'"):
        clusters.submit(options, str(folder / "late.py"), name="wrong", time="soon")
    for each in (fails, waits, late, lost):
        each.remove()
    wait_until(lambda: not processes_below(folder), what="the end of all processes")
