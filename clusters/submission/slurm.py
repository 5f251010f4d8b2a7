"""Scripts that run in a job of Slurm, and whose cluster are further jobs.

The folder of the run is in a directory that this machine and the nodes share. The job of the script takes one core, and
the memory of one worker.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dask.utils import parse_bytes
from pydantic import TypeAdapter, ValidationError

from clusters import start_up
from clusters.errors import SubmissionError
from clusters.kinds.jobqueue.options import Folder
from clusters.kinds.jobqueue.script import python_of
from clusters.kinds.jobqueue.slurm_queue import SlurmQueue
from clusters.kinds.jobqueue.walltime import clock, parse_walltime
from clusters.kinds.slurm import SlurmConfig
from clusters.submission import runner
from clusters.submission.backend import GRACE_SECONDS, Backend, Status, status_of
from clusters.submission.channels import LocalChannel, Take
from clusters.submission.package import Package
from clusters.submission.records import SubmissionRecord

__all__ = ["BACKEND"]

_WITHIN_SECONDS = 30.0
_END_SECONDS = 15.0
_POLL_SECONDS = 0.5
_CHUNK = 65536
# Before its time is over, the script is asked to end; its journal is whole then.
_WARNED_SECONDS = 60.0


class SlurmBackend(Backend):
    """Jobs of Slurm."""

    def channel(self, config: SlurmConfig) -> LocalChannel:
        """To this machine, which shares the folder with the nodes."""
        return LocalChannel(sys.executable)

    def place(self, config: SlurmConfig) -> str:
        """The partition."""
        return f"Slurm, partition {config.slurm.queue}" if config.slurm.queue else "Slurm"

    def python(self, config: SlurmConfig) -> list[str]:
        """The Python of the jobs."""
        return python_of(config)

    def folder(self, config: SlurmConfig, name: str, workdir: str | None) -> str:
        """In the directory that is shared."""
        try:
            parent = TypeAdapter(Folder).validate_python(workdir or f"{config.shared_folder}/dhpo-runs")
        except ValidationError as error:
            said = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise SubmissionError(f"workdir={workdir!r}", said) from None
        return super().folder(config, name, str(Path(parent).expanduser()))

    def check_package(self, package: Package) -> None:
        """Refuse a time that is none."""
        _seconds(package.config, package.time)

    def cluster(self, config: SlurmConfig, secrets: bool) -> dict[str, Any]:
        """The cluster as a node sees it: the address of this machine is not its own."""
        said = super().cluster(config, secrets)
        said.get("slurm", {}).pop("host", None)
        return said

    def shown(self, package: Package) -> list[str]:
        """The job script."""
        return [
            "sbatch <<'END'",
            *_script(package.config, package.name, package.folder, package.time).splitlines(),
            "END",
        ]

    def submit(self, package: Package) -> tuple[str, dict[str, Any]]:
        """Place it, and submit its job."""
        self.check_package(package)
        config = package.config
        for problem in start_up.check(config):
            raise SubmissionError(problem.cause, problem.setting)
        channel = self.channel(config)
        order = {"folder": package.folder, "check": False, "launch": False}
        with package.archive(self.cluster_there(config), config.environment(), GRACE_SECONDS) as archive:
            folder = channel.run("place", order, archive)["folder"]
        try:
            script = _script(config, package.name, folder, package.time)
            return folder, {"job": _submitted(script), "script": script}
        except BaseException:
            channel.run("remove", {"folder": folder})
            raise

    def resume(self, record: SubmissionRecord, config: SlurmConfig) -> dict[str, Any]:
        """Submit its job again."""
        self._refuse_if_there(record, config)
        self._ask("relaunch", record, config, launch=False)
        return {**record.facts, "job": _submitted(record.facts["script"])}

    def status(self, record: SubmissionRecord, config: SlurmConfig) -> Status:
        """What its folder and Slurm tell."""
        job = _job(record)
        states = SlurmQueue().states(_WITHIN_SECONDS)
        # Asked after Slurm: what has ended meanwhile has written so.
        found = self._ask("ask", record, config)
        ended = status_of(found["state"], False, found["tail"])
        if ended.code is not None:
            return ended
        if states is None:
            raise SubmissionError("Slurm does not answer", "see `scontrol ping`")
        if job not in states:
            return Status("lost", None, ended.started, None, ended.tail, SlurmQueue().ending(job, _WITHIN_SECONDS))
        state, _, reason = states[job].partition(", ")
        waits = state in ("PENDING", "CONFIGURING", "REQUEUED")
        return Status("waiting" if waits else "running", None, ended.started, None, ended.tail, reason)

    def logs(self, record: SubmissionRecord, config: SlurmConfig, follow: bool, take: Take) -> None:
        """Read its log, which a node writes; locks of other nodes may tell nothing here."""
        with (Path(record.folder) / runner.LOG).open("ab+") as log:
            log.seek(0)
            last = False
            while True:
                while chunk := log.read(_CHUNK):
                    take(chunk)
                if last:
                    return
                last = not follow or self.status(record, config).over
                if not last:
                    time.sleep(_POLL_SECONDS)

    def cancel(self, record: SubmissionRecord, config: SlurmConfig) -> bool:
        """Ask the script to end, and make its job end after a while."""
        became = self.status(record, config)
        job = _job(record)
        if became.over:
            return False
        if became.state == "running":
            _run("scancel", "--batch", "--signal=TERM", job)
            self._wait(job, GRACE_SECONDS + _END_SECONDS)
        if self._there(job):
            _run("scancel", job)
            if not self._wait(job, GRACE_SECONDS + _END_SECONDS):
                raise SubmissionError(f"job {job} did not end", f"see `scontrol show job {job}`")
            self._ask("settle", record, config)
        return True

    def remove(self, record: SubmissionRecord, config: SlurmConfig) -> None:
        """Delete its folder."""
        self._refuse_if_there(record, config)
        super().remove(record, config)

    def _refuse_if_there(self, record: SubmissionRecord, config: SlurmConfig) -> None:
        if self._there(_job(record)):
            raise SubmissionError(f"job {_job(record)} waits or runs", "cancel it first")

    def _there(self, job: str) -> bool:
        states = SlurmQueue().states(_WITHIN_SECONDS)
        return states is None or job in states

    def _wait(self, job: str, seconds: float) -> bool:
        """Whether a job has ended within so many seconds."""
        end = time.monotonic() + seconds
        while there := self._there(job):
            if time.monotonic() > end:
                break
            time.sleep(_POLL_SECONDS)
        return not there


def _job(record: SubmissionRecord) -> str:
    """The id of its job; of one whose submission was interrupted there is none."""
    return str(record.facts.get("job", "none"))


def _script(config: SlurmConfig, name: str, folder: str, time: str | None) -> str:
    options = config.slurm
    seconds = _seconds(config, time)
    chosen = {
        "job-name": f"dhpo-{name}",
        "partition": options.queue or config.of_the_site("queue"),
        "account": options.account or config.of_the_site("account"),
        "qos": options.qos,
        "nodes": 1,
        "ntasks": 1,
        "cpus-per-task": 1,
        "mem": f"{-(-parse_bytes(config.job_memory) // 2**20)}M",
        "time": clock(seconds),
        "signal": f"B:USR1@{round(min(_WARNED_SECONDS, seconds / 4))}",
        "chdir": folder,
        "output": f"{folder}/{runner.LOG}",
        "open-mode": "append",
    }
    lines = [f"#SBATCH --{key}={value}" for key, value in chosen.items() if value is not None]
    prologue = options.prologue if options.prologue is not None else config.of_the_site("job-script-prologue") or ()
    run = shlex.join([*python_of(config), f"{runner.CONTROL}/runner.py", folder])
    return "\n".join(["#!/usr/bin/env bash", *lines, "#SBATCH --no-requeue", *prologue, f"exec {run}"]) + "\n"


def _seconds(config: SlurmConfig, time: str | None) -> float:
    try:
        return parse_walltime(time) if time is not None else config.walltime or config.default_walltime
    except ValueError as error:
        raise SubmissionError(f"time={time!r}" if time is not None else "walltime", str(error)) from None


def _submitted(script: str) -> str:
    """The id of the job of a script."""
    done = _run("sbatch", "--parsable", given=script)
    if done.returncode != 0:
        problem = SlurmQueue().explain(done.stderr)
        raise SubmissionError(problem.cause, problem.setting)
    return done.stdout.strip().partition(";")[0]


def _run(*command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=_WITHIN_SECONDS, check=False
        )
    except FileNotFoundError:
        raise SubmissionError(f"there is no {command[0]} on PATH", "ask on a machine of the cluster") from None
    except subprocess.TimeoutExpired:
        raise SubmissionError("Slurm does not answer", "see `scontrol ping`") from None


BACKEND = SlurmBackend()
