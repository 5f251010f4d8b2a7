"""Wrong configurations of Slurm clusters: one clear error, soon, and nothing left."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

import clusters
from tests.clusters.slurm_machine import PARTITION, SlurmMachine, wait_until


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "shared").mkdir()
    return {
        "workers": 1,
        "walltime": "00:10:00",
        "memory": "500MB",
        "interface": "lo",
        "shared_directory": str(tmp_path / "shared"),
        # Far more than any of this takes: an error that only comes then is seen by the whole suite to hang.
        "start_timeout": 600,
        "dashboard": None,
    }


def told(slurm: SlurmMachine, options: dict[str, Any]) -> str:
    with pytest.raises(clusters.StartError) as caught:
        clusters.start("slurm", **options).close()
    if "slurmctld" in slurm.daemons:
        wait_until(lambda: not slurm.jobs())
    assert list(Path(options["shared_directory"]).iterdir()) == []
    return str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"queue": "nope"}, rf"invalid partition.*: change queue= \(there are: {PARTITION}\)"),
        ({"memory": "900GB"}, r"not available: ask for less with memory=.*4 cpus, 4000 MB"),
        ({"threads": 64}, r"not available: ask for less with memory= or threads=.*4 cpus, 4000 MB"),
        ({"directives": ["--gres=gpu:1"]}, "Invalid generic resource .*: change directives="),
        ({"directives": ["--no-such"]}, "--no-such.*: change directives="),
        ({"interface": "eth99"}, r"interface='eth99'.* none of that name: change interface= \(.*lo"),
        ({"interface": None, "host": "0.0.0.0"}, "host='0.0.0.0' means every interface.*: name one"),
        ({"interface": None, "host": "192.0.2.1"}, "host='192.0.2.1' is 192.0.2.1.*Cannot assign.*: change host="),
        ({"interface": None, "host": "no.such.host.invalid"}, "'no.such.host.invalid' has no address.*: change host="),
        ({"dashboard": "192.0.2.1:0"}, "dashboard='192.0.2.1:0' cannot be listened on.*: change dashboard="),
        ({"shared_directory": "/no/such"}, "/no/such is no directory .*: change shared_directory="),
        ({"log_directory": "/no/such"}, "/no/such is no directory .*: change log_directory="),
        ({"python": "/bin/true"}, "python='/bin/true' has other versions .*: make them equal"),
        ({"python": "/bin/false"}, "python='/bin/false' is no Python with dask and distributed.*or change python="),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_found_before_anything_starts(
    slurm: SlurmMachine, options: dict[str, Any], wrong: dict[str, Any], message: str
) -> None:
    (problem,) = clusters.check("slurm", **{**options, **wrong})
    assert re.search(message, str(problem))
    if "shared_directory" not in wrong:
        assert re.search(message, told(slurm, {**options, **wrong}))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"python": "/no/such/python"}, "ExitCode=127:0.*/no/such/python: No such file.*: change .* python="),
        ({"prologue": ["export PYTHONHOME=/nowhere"]}, "No module named 'encodings'.*: change .* prologue="),
        ({"prologue": ["echo no scratch disk >&2; exit 4"]}, "ExitCode=4:0.*no scratch disk: change .* prologue="),
        ({"walltime": "13:00:00"}, "PartitionTimeLimit: ask for less with walltime="),
    ],
    ids=["python", "home", "exit", "walltime"],
)
def test_told_from_what_becomes_of_the_job(
    slurm: SlurmMachine, options: dict[str, Any], wrong: dict[str, Any], message: str
) -> None:
    said = told(slurm, {**options, **wrong})
    assert re.search(message, said)
    assert "within 600 s" not in said


def test_told_that_the_job_runs_and_its_worker_is_late(slurm: SlurmMachine, options: dict[str, Any]) -> None:
    seconds, runs = 2, "job .*: RUNNING"
    late = {**options, "prologue": ["sleep 1000"]}
    message = told(slurm, {**late, "start_timeout": seconds})
    while not re.search(runs, message) and seconds < 300:  # a slow machine is given more time to run the job
        seconds *= 3
        message = told(slurm, {**late, "start_timeout": seconds})
    assert re.search(f"0 of 1 workers came within {seconds} s .{runs}.*start_time", message)


def test_without_slurm_on_this_machine(
    slurm: SlurmMachine, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path / "empty"))
        (problem,) = clusters.check("slurm", **options)
        with pytest.raises(clusters.StartError, match="there is no sbatch on PATH: start on a machine that submits"):
            clusters.start("slurm", **options)
    assert problem.cause == "there is no sbatch on PATH"
    assert os.listdir(options["shared_directory"]) == []


def test_while_the_controller_is_down(slurm: SlurmMachine, options: dict[str, Any]) -> None:
    slurm.stop("slurmctld")
    try:
        assert re.search("Slurm does not answer: .*DOWN: see whether slurmctld runs", told(slurm, options))
    finally:
        slurm.start("slurmctld", "-D")
        wait_until(slurm.answers, what="the controller")
