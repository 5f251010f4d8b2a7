"""What Slurm's own commands tell of a job script, and of jobs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from clusters.errors import Problem

__all__ = ["SlurmQueue"]

# What Slurm says, and the setting that would change it.
_SETTINGS = (
    ("partition", "change queue="),
    ("node configuration is not available", "ask for less with memory= or threads=, or change directives="),
    ("memory specification", "ask for less with memory="),
    ("more processors", "ask for less with threads="),
    ("too many", "ask for fewer with workers="),
    ("submitlimit", "ask for fewer with workers=, or change account= or qos="),
    ("time limit", "change walltime="),
    ("--time", "change walltime="),
    ("account", "change account="),
    ("qos", "change qos="),
    ("generic resource", "change directives="),
    ("feature", "change directives="),
    ("option", "change directives="),
    ("controller", "see whether slurmctld runs, with `scontrol ping`"),
    ("configuration source", "point SLURM_CONF to slurm.conf, or start on a machine of the cluster"),
)
# Reasons for which Slurm lets a job wait that will not go away.
_FOR_EVER = {
    "PartitionTimeLimit": "ask for less with walltime=, or change queue=",
    "PartitionNodeLimit": "ask for less with memory= or threads=, or change queue=",
    "PartitionDown": "change queue=",
    "PartitionInactive": "change queue=",
    "BadConstraints": "change directives=",
    "AccountNotAllowed": "change account=",
    "InvalidAccount": "change account=",
    "InvalidQOS": "change qos=",
    "QOSNotAllowed": "change qos=",
    "JobHeldAdmin": "ask who runs Slurm, who held it",
}
_ENDING = re.compile(r"\b(JobState|Reason|ExitCode)=(\S+)")


class SlurmQueue:
    """Slurm as far as it can be asked."""

    def problem(self, script: str, within: float) -> Problem | None:
        """Why Slurm would refuse a job script; nothing is submitted."""
        # The other commands take half a minute to find out that nobody answers.
        answer = _run(["scontrol", "ping"], within)
        if answer.returncode != 0 and "UP" not in answer.stdout:
            said = _one_line(answer.stderr or answer.stdout).split(" ****")[0]
            return Problem(f"Slurm does not answer: {said}", self.explain(said or "controller").setting)
        answer = _run(["sbatch", "--test-only"], within, script)
        return None if answer.returncode == 0 else self.explain(answer.stderr)

    def explain(self, refusal: str) -> Problem:
        """What sbatch said, and the setting that would change it."""
        said = _one_line(refusal.rpartition("stderr:")[2])
        text = said.lower()
        settings = [setting for needle, setting in _SETTINGS if needle in text]
        if "DOWN" in said:
            settings = [_SETTINGS[-2][1]]
        setting = settings[0] if settings else "see what Slurm says, and change queue=, account= or directives="
        return Problem(f"Slurm refuses the job: {said}", f"{setting}{_known(setting)}")

    def states(self, within: float) -> dict[str, str] | None:
        """The state of each job of this user, with what it waits for; None where Slurm does not answer."""
        answer = _run(["squeue", "--noheader", f"--user={os.getuid()}", "--format=%A|%T|%r"], within)
        if answer.returncode != 0:
            return None
        states = {}
        for line in answer.stdout.splitlines():
            job, state, reason = line.split("|", 2)
            states[job] = state if reason in ("None", "") else f"{state}, {reason}"
        return states

    def stuck(self, state: str) -> Problem | None:
        """Why a job of this state will never start, where that shows."""
        reason = state.rpartition(", ")[2]
        setting = _FOR_EVER.get(reason)
        if setting is None:
            return None
        return Problem(f"Slurm lets the job wait for ever: {reason}", f"{setting}{_known(setting)}")

    def ending(self, job: str, within: float) -> str:
        """How a job ended, as long as Slurm remembers it."""
        answer = _run(["scontrol", "show", "job", "--oneliner", job], within)
        found = dict(_ENDING.findall(answer.stdout))
        return ", ".join(f"{name}={value}" for name, value in found.items() if value != "None")


def _known(setting: str) -> str:
    """What there is to choose from."""
    if setting == "change queue=":
        partitions = _run(["sinfo", "--noheader", "--format=%R"], 10).stdout.split()
        return f" (there are: {', '.join(sorted(set(partitions)))})" if partitions else ""
    if "memory=" in setting or "threads=" in setting:
        lines = set(_run(["sinfo", "--noheader", "--exact", "--format=%R|%c|%m"], 10).stdout.split())
        sizes = [line.split("|") for line in sorted(lines) if line.count("|") == 2]
        nodes = (f"{partition}: {cpus} cpus, {memory} MB" for partition, cpus, memory in sizes)
        return f" (nodes of {'; '.join(nodes)})" if sizes else ""
    return ""


def _one_line(text: str) -> str:
    return " ".join(text.replace("sbatch: error: ", "").replace("sbatch: ", "").split())


def _run(command: list[str], within: float, given: str = "") -> subprocess.CompletedProcess[str]:
    if shutil.which(command[0]) is None:
        return subprocess.CompletedProcess(command, 127, "", f"there is no {command[0]} on PATH")
    try:
        return subprocess.run(command, input=given, capture_output=True, text=True, timeout=within, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"the controller did not answer in {within:g} s")
