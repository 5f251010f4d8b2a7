"""Has a step run in a process of its own: for a trial that workers were training when they died.

If the trial ends processes, it ends this one, and the worker goes on: so the cause is known for certain.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import psutil
from dask.typing import Key

from dhpo.errors.user_code import guarded
from dhpo.history.events import StepStats
from dhpo.worker.breadcrumbs import read_crumb, remove_crumb
from dhpo.worker.ended_searches import silent_after_end
from dhpo.worker.messages import Outcome, Step, StepResult

__all__ = ["run_quarantined"]

_LOOK_SECONDS = 0.1
# For the process to end once its result is there.
_END_SECONDS = 2.0
# Of the memory limit of the worker; Dask restarts a worker at 0.95.
_MEMORY_SHARE = 0.9


@guarded
@silent_after_end(lambda: StepResult([], StepStats()))
def run_quarantined(
    run: str, context: bytes, step: Step, names: Sequence[Key] = (), values: Sequence[Any] = ()
) -> StepResult:
    """Do what `run_step` does, in a process of its own; a death of that process is a failure of its trial.

    Parameters
    ----------
    run, context, step, names, values
        As for `run_step`.
    """
    # Beside the notes, where it goes with the search, should this worker die.
    beside = os.path.dirname(step.crumb) or None
    with tempfile.TemporaryDirectory(prefix="dhpo-quarantine-", dir=beside) as folder:
        asked, found = Path(folder) / "step", Path(folder) / "result"
        asked.write_bytes(cloudpickle.dumps((run, context, step, list(names), list(values)), protocol=5))
        command = [sys.executable, "-m", "dhpo.worker.isolated_process", str(asked), str(found), str(os.getpid())]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        # In a session of its own: Ctrl-C in the terminal of the worker would reach it as well, and look like its death.
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True) as process:
            ending = _watched(process, step.memory_limit, found)
        if found.exists():
            result: StepResult | str = pickle.loads(found.read_bytes())
            if isinstance(result, str):  # no deed of the trial: its data could not be read, for instance
                raise RuntimeError(result)
            return result
    crumb = read_crumb(step.crumb)
    remove_crumb(step.crumb)
    doing = "its preparation" if crumb is None else crumb.doing
    error = (
        f"WorkerKilled: workers died in {doing} of this trial; a process of its own, which it then had, {ending} there"
    )
    return StepResult([Outcome(work.state, error=error) for work in step.works], StepStats())


def _watched(process: subprocess.Popen[bytes], memory_limit: int, found: Path) -> str:
    """Wait for the end of a process, and say what it was; one that takes too much memory is killed."""
    watched = psutil.Process(process.pid)
    ended_at = 0.0
    while True:
        try:
            code = process.wait(_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            try:
                used = watched.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            if found.exists():  # a thread that the estimator began may keep the process alive for ever
                ended_at = ended_at or time.monotonic()
                if time.monotonic() - ended_at > _END_SECONDS:
                    process.kill()
                continue
            if memory_limit and used > memory_limit * _MEMORY_SHARE:
                process.kill()
                process.wait()
                return (
                    f"was killed because it took {used / 1e6:,.0f} MB, of the {memory_limit / 1e6:,.0f} MB of a worker,"
                )
            continue
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"
