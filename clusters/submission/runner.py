"""Watches over a submitted script: the text of this file is in the folder of the run, as `python runner.py FOLDER`.

It keeps to the standard library, since it may be read before it is known what is installed there. A run lives as long
as its runner holds a lock, so no number of a process is ever mistaken for that of another one.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

CONTROL = ".dhpo"
LOG = "output.log"
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_TERM_SECONDS = 3.0
_POLL_SECONDS = 0.1


def prctl(option: int, value: int) -> None:
    """Ask the kernel for something that only Linux has."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def environment(folder: str) -> dict[str, str]:
    """The variables of the script."""
    own = {"DHPO_CLUSTER_CONFIG": os.path.join(folder, CONTROL, "cluster.yaml")}
    return {**os.environ, **read(folder, "order.json")["env"], **own}


def read(folder: str, name: str) -> dict[str, Any]:
    """One of our files."""
    with open(os.path.join(folder, CONTROL, name), encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found


def known(folder: str) -> dict[str, Any]:
    """What the runner wrote last; nothing before it has begun."""
    try:
        return read(folder, "state.json")
    except FileNotFoundError:
        return {}


def alive(folder: str) -> bool:
    """Whether its runner lives, which holds the lock."""
    with open(os.path.join(folder, CONTROL, "lock"), "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class Runner:
    """Runs the script, and ends all that it started when it ends or is asked to end.

    Parameters
    ----------
    folder : str
        The folder of the run.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.order = read(folder, "order.json")
        self.child: subprocess.Popen[bytes] | None = None
        self.cancelled = False
        self.late = False

    def run(self) -> int:
        """Run it to its end; its exit code is ours."""
        lock = open(os.path.join(self.folder, CONTROL, "lock"), "ab")  # noqa: SIM115 - it is held until we end
        with contextlib.suppress(OSError):  # some shared file systems know no locks; a batch system knows its jobs
            fcntl.flock(lock, fcntl.LOCK_EX)
        prctl(_SUBREAPER, 1)
        # Set before the script starts, and so reset in it: what a shell starts in the background ignores Ctrl-C.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, self.stop)
        state = {"pid": os.getpid(), "started": time.time()}
        self.write(state)
        env = environment(self.folder)
        try:
            self.child = subprocess.Popen(
                [sys.executable, *self.order["arguments"]],
                stdin=subprocess.DEVNULL,
                env=env,
                cwd=self.folder,
                start_new_session=True,
                # Nobody could end it any more.
                preexec_fn=lambda: prctl(_DEATH_SIGNAL, signal.SIGKILL),
            )
        except OSError as error:
            print(f"{sys.executable}: {error.strerror}", file=sys.stderr, flush=True)
            code = 127
        else:
            if self.cancelled or self.late:
                self.interrupt()
            code = self.child.wait()
            self.end_the_rest()
        self.write({**state, "code": code, "cancelled": self.cancelled, "late": self.late, "ended": time.time()})
        return code if code >= 0 else 128 - code

    def stop(self, number: int, _: object) -> None:
        """Ask the script to end, as Ctrl-C does, so that it closes its cluster; make it after a while."""
        first = not (self.cancelled or self.late)
        # How a batch system says that the time of its job is over soon.
        self.late |= number == signal.SIGUSR1
        self.cancelled |= number != signal.SIGUSR1
        if first and self.child is not None:
            self.interrupt()

    def interrupt(self) -> None:
        """Ctrl-C for the script, and force where it does not heed it."""
        assert self.child is not None
        self.child.send_signal(signal.SIGINT)
        force = threading.Timer(self.order["grace"], self.child.kill)
        force.daemon = True
        force.start()

    def end_the_rest(self) -> None:
        """End what the script left behind."""
        begin = time.monotonic()
        while left := self.descendants():
            waited = time.monotonic() - begin
            if waited > 3 * _TERM_SECONDS:
                return
            for number in left:
                with contextlib.suppress(OSError):
                    os.kill(number, signal.SIGTERM if waited < _TERM_SECONDS else signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass

    def descendants(self) -> list[int]:
        """All processes below this one; those whose parent ended are ours then."""
        parents = {}
        for name in filter(str.isdecimal, os.listdir("/proc") if os.path.isdir("/proc") else ()):
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:
                # The name of a program, in brackets, may hold anything.
                state, parent = stat.read().rpartition(b")")[2].split()[:2]
                if state != b"Z":
                    parents[int(name)] = int(parent)
        found: list[int] = []
        wanted = {os.getpid()}
        while wanted:
            wanted = {child for child, parent in parents.items() if parent in wanted}
            found += wanted
        return found

    def write(self, state: dict[str, Any]) -> None:
        """Replace what is known of the run."""
        path = os.path.join(self.folder, CONTROL, "state.json")
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(state, file)
        os.replace(f"{path}.new", path)


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(Runner(sys.argv[1]).run())
