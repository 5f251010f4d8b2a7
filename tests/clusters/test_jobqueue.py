"""Configurations and job scripts of batch systems; no batch system is asked, and nothing is started."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed.security import Security
from distributed.utils import get_ip

import clusters
from clusters.kinds.jobqueue import network
from clusters.kinds.jobqueue.network import scheduler_ip, worker_host_lines
from clusters.kinds.jobqueue.options import JobOptions
from clusters.kinds.jobqueue.private_folder import PrivateFolder, sweep
from clusters.kinds.jobqueue.walltime import clock, hours_and_minutes, lifetime_of, parse_walltime

SECRET = "s3cret-in-the-clear"
KINDS = ("slurm", "pbs", "sge", "lsf", "oar", "htcondor")
QUEUED = {"queue": "long", "walltime": "1-02:00:30", "account": "me", "directives": ["--more"]}


@pytest.fixture(autouse=True)
def configuration_of_nobody() -> Iterator[None]:
    with dask.config.set({"dhpo.clusters": {}}):
        yield


@pytest.mark.parametrize(
    ("kind", "options", "lines"),
    [
        (
            "slurm",
            {**QUEUED, "qos": "high"},
            [
                "#SBATCH -p long",
                "#SBATCH -A me",
                "#SBATCH --cpus-per-task=2",
                "#SBATCH --mem=3G",
                "#SBATCH -t 26:00:30",
                "#SBATCH --qos=high",
                "#SBATCH --more",
            ],
        ),
        (
            "pbs",
            {**QUEUED, "memory": "12GiB"},
            [
                "#PBS -q long",
                "#PBS -A me",
                "#PBS -l select=1:ncpus=2:mem=12GB",
                "#PBS -l walltime=26:00:30",
                "#PBS --more",
            ],
        ),
        (
            "sge",
            {**QUEUED, "resource_spec": "h_vmem=8G"},
            ["#$ -q long", "#$ -P me", "#$ -l h_vmem=8G", "#$ -l h_rt=26:00:30", "#$ --more"],
        ),
        (
            "lsf",
            QUEUED,
            ["#BSUB -q long", '#BSUB -P "me"', "#BSUB -n 2", "#BSUB -W 26:01", "#BSUB --more"],
        ),
        (
            "oar",
            {**QUEUED, "memory_property": "memcore"},
            ["#OAR -q long", "#OAR --project me", "#OAR -l /nodes=1/core=2,walltime=26:00:30", "#OAR -p memcore>=1536"],
        ),
        (
            "htcondor",
            {"disk": "4GiB", "directives": {"Requirements": "Big"}},
            [
                "MY.DaskWorkerCores = 2",
                "MY.DaskWorkerMemory = 3221225472",
                "MY.DaskWorkerDisk = 4294967296",
                "Requirements = Big",
            ],
        ),
    ],
)
def test_job_scripts_have_the_directives_and_no_secret(
    kind: str, options: dict[str, Any], lines: list[str], tmp_path: Path
) -> None:
    script = clusters.render(
        kind,
        workers=(0, 20),
        threads=2,
        **{"memory": "3GiB", **options},
        env={"OF_TEST": SECRET},
        prologue=["module load gcc"],
        python="/opt/python -X dev",
        shared_directory=str(tmp_path),
        death_timeout="90s",
    )
    assert set(lines) <= set(script.splitlines())
    for part in (
        "module load gcc",
        f". {tmp_path}/<private-folder>/environment",
        "/opt/python -X dev -m distributed.cli.dask_worker tls://<scheduler>:<port> --name <worker> --nthreads 2",
        "--memory-limit",
        "--death-timeout 90.0",
        "--dashboard-address 127.0.0.1:0",
        f"--tls-key {tmp_path}/<private-folder>/worker-key.pem",
    ):
        assert part in script
    assert ("--lifetime 93180.0s --lifetime-stagger 150.0s" in script) == (kind != "htcondor")
    assert SECRET not in script
    assert list(tmp_path.iterdir()) == []


def test_what_the_site_says_counts_where_nothing_is_said() -> None:
    site = {
        "jobqueue.slurm.walltime": "04:00:00",
        "jobqueue.slurm.queue": "site-queue",
        "jobqueue.slurm.memory": "7GiB",
        "jobqueue.slurm.interface": "ib0",
        "jobqueue.slurm.job-script-prologue": ["module load site"],
        "jobqueue.slurm.worker-extra-args": ["--resources", "GPU=1"],
        "jobqueue.lsf.walltime": "03:30",
    }
    clusters.render("slurm", workers=1)
    with dask.config.set(site):
        script = clusters.render("slurm", workers=1)
        for part in ("-t 04:00:00", "-p site-queue", "--mem=7G", "module load site", "--resources GPU=1"):
            assert part in script
        assert "--interface ib0" in script
        assert "--host" not in script
        own = clusters.render("slurm", workers=1, walltime="1 hour", prologue=[], memory="1GiB", queue="mine")
        for part in ("-t 01:00:00", "-p mine", "--mem=1G"):
            assert part in own
        assert "module load site" not in own
        assert "-W 03:30" in clusters.render("lsf", workers=1)
    with dask.config.set({"jobqueue.slurm.walltime": "90"}):
        with pytest.raises(clusters.ConfigError, match=r"jobqueue\.slurm\.walltime='90' of Dask's configuration"):
            clusters.render("slurm", workers=1)
        assert "change walltime=" in str(clusters.check("slurm", workers=1)[0])


def test_without_tls_nothing_speaks_of_it() -> None:
    script = clusters.render("slurm", workers=1, security=False)
    assert "tcp://<scheduler>:<port>" in script
    assert "tls" not in script
    assert "tls-key" in clusters.render("slurm", workers=1, security=Security.temporary())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": None}, "workers: missing"),
        ({"walltime": "90"}, "walltime='90': expected 'HH:MM:SS'"),
        ({"walltime": "02:00"}, "walltime='02:00': expected 'HH:MM:SS'"),
        ({"walltime": "soon"}, "walltime='soon': expected 'HH:MM:SS'"),
        ({"walltime": "00:00:00"}, "walltime='00:00:00': expected 'HH:MM:SS'"),
        ({"walltime": 0.5}, "walltime=0.5: expected 'HH:MM:SS'"),
        ({"walltime": "00:10:00", "grace": "5 minutes"}, "grace=300: expected less than half of the walltime"),
        ({"queue": "a b"}, "queue='a b': expected one word"),
        ({"queue": "-x"}, "queue='-x': expected one word"),
        ({"shared_directory": "relative"}, "shared_directory='relative': expected an absolute path"),
        ({"shared_directory": "/a b"}, "shared_directory='/a b': expected an absolute path"),
        ({"log_directory": "/a;b"}, "log_directory='/a;b': expected an absolute path"),
        ({"directives": "--gres=gpu"}, "directives='--gres=gpu': expected a list of lines"),
        ({"prologue": ["a\nb"]}, "expected lines of text"),
        ({"host": "a", "interface": "lo"}, "host='a' and interface='lo': say one of them"),
        ({"image": "dask"}, "image: means nothing .*apptainer exec"),
        ({"python": "it's"}, 'python="it\'s": is no command: No closing quotation'),
        ({"python": "  "}, "python='  ': expected a command"),
        ({"env": {"A B": SECRET}}, "env: expected names that a shell knows"),
        ({"qeue": "long"}, "unknown key 'qeue'; did you mean 'queue'"),
        ({"death_timeout": None}, "death_timeout=None: expected a time"),
    ],
)
def test_errors_at_the_door(options: dict[str, Any], message: str) -> None:
    with pytest.raises(clusters.ConfigError, match=message) as caught:
        clusters.configure("slurm", **{"workers": 1, **options})
    assert SECRET not in str(caught.value)


def test_htcondor_knows_no_queues() -> None:
    with pytest.raises(clusters.ConfigError, match="unknown key 'queue'"):
        clusters.configure("htcondor", workers=1, queue="long")


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_commands_a_batch_system_is_not_there(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    shared = tmp_path / "shared"
    shared.mkdir()
    options: dict[str, Any] = {"workers": 1, "interface": "lo", "shared_directory": str(shared)}
    (problem,) = clusters.check(kind, **options)
    assert "on PATH: start on a machine that submits jobs" in str(problem)
    with pytest.raises(clusters.StartError, match="on PATH"):
        clusters.start(kind, **options)
    assert list(shared.iterdir()) == []


def test_walltimes() -> None:
    said = {"02:00:00": 7200, "1-12:00:00": 129600, "2 hours": 7200, "90s": 90, 43200: 43200, "100:00:01": 360001}
    assert {text: parse_walltime(text) for text in said} == said
    assert (clock(129600), clock(59.6), hours_and_minutes(7201), hours_and_minutes(60)) == (
        "36:00:00",
        "00:01:00",
        "02:01",
        "00:01",
    )
    for walltime, grace, last in ((7200.0, None, 6900.0), (600.0, None, 540.0), (600.0, 120.0, 480.0)):
        lifetime = lifetime_of(walltime, grace)
        assert lifetime.seconds + lifetime.stagger == last
        assert lifetime.seconds - lifetime.stagger == last - (walltime - last)


def test_a_private_folder_is_private_and_one_of_the_dead_is_swept(tmp_path: Path) -> None:
    alive, dead = PrivateFolder(tmp_path), tmp_path / ".dhpo-jobs-dead"
    path = alive.write_environment("environment", {"A": f"{SECRET}'$(id)\n`"})
    assert stat.S_IMODE(alive.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = subprocess.run(["sh", "-c", f'. {path}; printf %s "$A"'], capture_output=True, text=True, check=True)
    assert told.stdout == f"{SECRET}'$(id)\n`"
    dead.mkdir()
    (dead / "in-use").touch()
    sweep(tmp_path)
    assert dead.exists()  # it may have been made just now
    for folder in (alive.path, dead):
        os.utime(folder / "in-use", (0, 0))
    sweep(tmp_path)
    assert alive.path.exists()
    assert not dead.exists()
    alive.remove()
    alive.remove()
    assert list(tmp_path.iterdir()) == []


def test_the_scheduler_takes_the_address_of_the_name_of_its_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_resolved", lambda host, setting: "127.0.1.1")
    assert scheduler_ip(JobOptions(), None) == get_ip()
    monkeypatch.setattr(network, "_resolved", lambda host, setting: get_ip())
    assert scheduler_ip(JobOptions(), None) == get_ip()
    assert scheduler_ip(JobOptions(), "lo") == "127.0.0.1"


def test_workers_take_the_address_that_the_scheduler_reaches() -> None:
    (line,) = worker_host_lines(sys.executable, "127.0.0.1")
    told = subprocess.run(["sh", "-c", f"{line}; echo $DHPO_WORKER_HOST"], capture_output=True, text=True, check=True)
    assert told.stdout == "127.0.0.1\n"


def test_ctrl_c_stays_what_it_was() -> None:
    code = (
        "import signal; before = signal.getsignal(signal.SIGINT); import clusters; clusters.render('slurm', workers=1);"
        "assert signal.getsignal(signal.SIGINT) is before"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(root)}, check=True, timeout=300)
