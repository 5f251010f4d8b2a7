"""The process of its own in which a step runs, with nobody else in it; see `dhpo.worker.isolated_step`.

python -m dhpo.worker.isolated_process STEP RESULT PARENT
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

_LOOK_SECONDS = 0.1


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def _die_of(number: int, frame: FrameType | None) -> None:
    """End as by a signal that nobody handles: KeyboardInterrupt could be raised wherever the step is by then."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def main() -> None:
    """Run the step of a file, and write its result into another."""
    signal.signal(signal.SIGINT, _die_of)
    asked, found, parent = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    # Imported last, for it takes seconds: the process of a worker that has died would go on with it for nothing.
    import cloudpickle

    from dhpo.errors.user_code import said, told
    from dhpo.worker.messages import StepResult
    from dhpo.worker.step import run_step

    run, context, step, names, values = pickle.loads(asked.read_bytes())
    try:
        result: StepResult | str = run_step(run, context, step, names, values)
    except Exception as error:
        result = f"{said(error)}\nThe traceback in the process of its own:\n{told(error)}"
    partial = found.with_suffix(".partial")
    partial.write_bytes(cloudpickle.dumps(result, protocol=5))
    os.replace(partial, found)


if __name__ == "__main__":
    main()
