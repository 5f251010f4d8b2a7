"""A Slurm of one machine, thrown away afterwards: munge, a controller and a node, all on loopback and all our children.

It needs root, and on Debian `apt-get install slurm-wlm slurm-client munge`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo", "scontrol")
CPUS = 4
MEMORY_MB = 4000
PARTITION = "debug"

_CONF = """\
ClusterName=dhpo
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
MpiDefault=none
ReturnToService=2
KillWait=2
# More cores than this machine may have.
SlurmdParameters=config_overrides
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port} CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName={partition} Nodes=ALL Default=YES MaxTime=12:00:00 State=UP
"""


def wait_until(condition: Callable[[], bool], seconds: float = 300.0, what: str = "it") -> None:
    """Poll until something holds; fail where it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come within {seconds:g} s"
        time.sleep(0.05)


def missing() -> str | None:
    """Why there can be no Slurm here."""
    absent = [name for name in NEEDED if located(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (apt-get install slurm-wlm slurm-client munge)"
    return None if os.geteuid() == 0 else "a Slurm of one machine needs root"


def located(name: str) -> str | None:
    """Where a program is; daemons are not on everybody's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@dataclass
class SlurmMachine:
    """Slurm on this machine.

    Parameters
    ----------
    folder : Path
        Where all of it lives.
    """

    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def jobs(self) -> dict[str, str]:
        """The state of each job in the queue, by id."""
        lines = self.ask("squeue", "--noheader", "--format=%A|%T").splitlines()
        return {line.split("|")[0]: line.split("|")[1] for line in lines}

    def ask(self, *command: str) -> str:
        """What a command of Slurm prints."""
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout

    def answers(self) -> bool:
        """Whether the node takes jobs."""
        asked = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, timeout=300, check=False
        )
        assert all(daemon.poll() is None for daemon in self.daemons.values()), self.logs()
        return asked.stdout.split() == ["idle"]

    def start(self, name: str, *arguments: str, user: str | None = None) -> None:
        """Start a daemon in the foreground."""
        program = located(name)
        assert program is not None
        with open(self.folder / f"{name}.log", "ab") as log:
            self.daemons[name] = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=[] if user else None,
            )

    def stop(self, name: str) -> None:
        """End a daemon, by force if it does not listen."""
        process = self.daemons.pop(name)
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def logs(self) -> str:
        """What the daemons wrote."""
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')}" for path in self.folder.glob("*.log"))


@contextlib.contextmanager
def slurm_machine() -> Iterator[SlurmMachine]:
    """Start Slurm, with `SLURM_CONF` set for this process and its children; at the end nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-machine-", dir="/tmp"))
    folder.chmod(0o755)
    machine = SlurmMachine(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        try:
            _start_munge(machine)
            _start_slurm(machine)
            yield machine
        finally:
            if {"slurmctld", "slurmd"} <= set(machine.daemons):
                with contextlib.suppress(subprocess.SubprocessError):
                    machine.ask("scancel", "--full", f"--user={os.getuid()}")
                    wait_until(lambda: not machine.jobs(), what="the end of all jobs")
            for name in list(reversed(machine.daemons)):
                machine.stop(name)
            shutil.rmtree(folder, ignore_errors=True)


def _start_munge(machine: SlurmMachine) -> None:
    home = machine.folder / "munge"
    home.mkdir()
    key = home / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    for path in (home, key):
        shutil.chown(path, "munge", "munge")
    options = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    machine.start("munged", "--foreground", "--force", *(f"--{k}={home / v}" for k, v in options.items()), user="munge")
    wait_until(lambda: (home / "socket").exists(), 300, "munge")


def _start_slurm(machine: SlurmMachine) -> None:
    folder = machine.folder
    (folder / "state").mkdir()
    with socket.socket() as controller, socket.socket() as node:
        for each in (controller, node):
            each.bind(("127.0.0.1", 0))
        conf = _CONF.format(
            host=socket.gethostname().split(".")[0],
            folder=folder,
            controller_port=controller.getsockname()[1],
            node_port=node.getsockname()[1],
            cpus=CPUS,
            memory=MEMORY_MB,
            partition=PARTITION,
        )
    (folder / "slurm.conf").write_text(conf)
    machine.start("slurmctld", "-D", "-i")
    machine.start("slurmd", "-D", "-N", "node")

    wait_until(machine.answers, 300, "Slurm")
