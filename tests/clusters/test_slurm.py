"""Clusters of Slurm jobs, on a real Slurm of this machine."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from distributed import Client
from distributed.security import Security

import clusters
from tests.clusters.slurm_machine import PARTITION, SlurmMachine, wait_until

ROOT = Path(__file__).parents[2]
SECRET = "s3cret 'in' $the clear"


@pytest.fixture
def options(slurm: SlurmMachine, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What all clusters here have in common; a test leaves no job, file, process or port."""
    shared = tmp_path / "shared"
    shared.mkdir()
    listening_before = listening(psutil.Process())
    quick = {
        "distributed.deploy.lost-worker-timeout": "500ms",
        "distributed.adaptive.interval": "200ms",
        "distributed.adaptive.wait-count": 2,
    }
    with dask.config.set(quick):
        yield {
            "queue": PARTITION,
            "walltime": "00:10:00",
            "memory": "500MB",
            "interface": "lo",
            "shared_directory": str(shared),
            "watch_every": 0.5,
            "start_timeout": 300,
            "env": {"PYTHONPATH": str(ROOT)},
        }
    wait_until(lambda: not slurm.jobs(), what="the end of all jobs")
    assert list(shared.iterdir()) == []
    wait_until(lambda: not processes_of_jobs(), what="the end of all processes")
    assert listening(psutil.Process()) <= listening_before


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    try:
        return {tuple(c.laddr) for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return set()


def processes_of_jobs() -> list[psutil.Process]:
    """Those that Slurm started and their children, by the variables that they have."""
    found = []
    for process in psutil.process_iter():
        try:
            variables = process.environ()
            ours = "SLURM_JOB_ID" in variables and variables.get("SLURM_CONF") == os.environ["SLURM_CONF"]
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def command_lines() -> str:
    lines = []
    for process in psutil.process_iter():
        try:
            lines.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return "\n".join(lines)


def workers(cluster: Any) -> int:
    return len(cluster.scheduler_info["workers"])


def test_it_computes_scales_and_leaves_nothing(slurm: SlurmMachine, options: dict[str, Any]) -> None:
    shared = Path(options["shared_directory"])
    this, before = psutil.Process(), listening(psutil.Process())
    options["env"] = {**options["env"], "OF_TEST": SECRET}
    assert clusters.check("slurm", workers=2, **options) == []
    with clusters.start("slurm", workers=1, **options) as cluster, cluster.get_client() as client:
        assert "dask_jobqueue.slurm" in {each.__module__ for each in type(cluster).__mro__}
        assert client.submit(os.getenv, "OF_TEST").result() == SECRET
        assert client.submit(in_a_task).result() == 3

        # TLS, and secrets where only this user reads them.
        assert cluster.scheduler_address.startswith("tls://127.0.0.1:")
        for security in (False, Security.temporary()):
            with pytest.raises(clusters.StartError, match="did not let us in"):
                clusters.connect(cluster.scheduler_address, security=security, timeout=1)
        (private,) = shared.iterdir()
        modes = {stat.S_IMODE(path.stat().st_mode) for path in private.iterdir() if path.is_file()}
        assert (stat.S_IMODE(private.stat().st_mode), modes) == (0o700, {0o600})
        key = (private / "worker-key.pem").read_text().splitlines()[1]
        for seen in (command_lines(), cluster.job_script(), *(log.read_text() for log in private.glob("logs/*"))):
            assert SECRET not in seen
            assert key not in seen

        # Nothing listens beyond loopback.
        ports = [listening(process) for process in processes_of_jobs()] + [listening(this) - before]
        assert {host for each in ports for host, _ in each} == {"127.0.0.1"}

        cluster.scale(2)
        wait_until(lambda: workers(cluster) == 2)
        cluster.scale(1)
        wait_until(lambda: workers(cluster) == len(slurm.jobs()) == 1)
    assert slurm.jobs() == {}


def in_a_task() -> int:
    from distributed import worker_client

    with worker_client() as client:
        return int(client.submit(sum, [1, 2]).result())


def test_it_adapts_and_ends_itself_when_idle(slurm: SlurmMachine, options: dict[str, Any], tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with clusters.start("slurm", workers=(0, 2), idle_timeout="8s", dashboard=None, **options) as cluster:
        assert workers(cluster) == 0
        assert slurm.jobs() == {}
        with Client(cluster) as client:
            with dask.config.set({"distributed.adaptive.target-duration": "100ms"}):
                futures = client.map(behind, range(40), gate=str(gate))
                wait_until(lambda: workers(cluster) == 2)
                gate.touch()
            assert client.gather(futures) == list(range(40))
            del futures
            wait_until(lambda: not workers(cluster) and not slurm.jobs())
        wait_until(lambda: cluster.status.name == "closed")
        wait_until(lambda: not list(Path(options["shared_directory"]).iterdir()))  # which it tidies up after that


def behind(number: int, gate: str) -> int:
    import os
    import time

    while not os.path.exists(gate):  # so that there is work until both workers are there
        time.sleep(0.05)
    return number


DRIVER = """
import sys, time, clusters
with clusters.start("slurm", workers=1, threads=3, death_timeout=30, **{options!r}) as cluster:
    cluster.scale(2)  # there are cores for one of them
    print("up", flush=True)
    sys.stdin.read()
"""


def test_jobs_of_a_killed_driver_end(slurm: SlurmMachine, options: dict[str, Any], tmp_path: Path) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER.format(options=options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "up\n"
        wait_until(lambda: sorted(slurm.jobs().values()) == ["PENDING", "RUNNING"])
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
    # The worker that runs misses its scheduler; the job that waits finds none when it gets its turn.
    wait_until(lambda: not slurm.jobs())

    # What the driver could not remove goes when another cluster starts there, an hour later.
    (private,) = Path(options["shared_directory"]).iterdir()
    os.utime(private / "in-use", (0, 0))
    with clusters.start("slurm", workers=(0, 1), **options):
        assert private not in Path(options["shared_directory"]).iterdir()


def test_a_job_that_fails_later_is_told_and_asked_for_again(
    slurm: SlurmMachine, options: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken"
    options |= {"prologue": [f"test ! -e {broken} || {{ echo the disk is full >&2; exit 3; }}"], "dashboard": None}
    with clusters.start("slurm", workers=(0, 1), **options) as cluster:
        broken.touch()
        with cluster.get_client() as client:
            future = client.submit(sum, [1, 2])
            wait_until(lambda: "the disk is full" in caplog.text)
            broken.unlink()
            assert future.result(timeout=300) == 3
    assert "a worker is missing, and is asked for again: job" in caplog.text
