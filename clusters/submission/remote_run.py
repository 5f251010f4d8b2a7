"""What is done with a run where it is: placed, started, asked about, shown, ended, packed and removed.

The text of this file, after that of `runner`, goes there through the standard input of `python -c BOOT`, in a line of
JSON with what is to be done: so no command line shows what the line holds, and nothing of ours has to be there.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # There, it is what comes before.
    from clusters.submission.runner import CONTROL, LOG, alive, environment, known

BOOT = (
    "import sys,json;sys.path[:]=filter(None,sys.path);"
    "code,part,order=json.loads(sys.stdin.buffer.readline());m={};"
    "[exec(text,m) for text in code];sys.exit(m['main'](part,order))"
)
MARK = "clusters-submission: "
_START_SECONDS = 20.0
_CHECK_SECONDS = 120.0
_END_SECONDS = 12.0
_PAUSE_SECONDS = 0.1
_CHUNK = 65536
# Both imports fail where dhpo is not installed for this Python.
_CHECK = (
    "import sys, clusters\n"
    "problems = clusters.check(clusters.load(sys.argv[1]))\n"
    "print(*problems, sep='; ', file=sys.stderr)\n"
    "sys.exit(3 if problems else 0)\n"
)


class RunFailed(Exception):
    """Why something was not done, and the setting to change."""


def main(part: str, order: dict[str, Any]) -> int:
    """Do one thing, and report on the error stream: the output is for what is asked for."""
    os.umask(0o077)
    # A name below the home of whoever logs in here.
    order["folder"] = os.path.abspath(os.path.expanduser(order["folder"]))
    try:
        answer = PARTS[part](order)
    except RunFailed as failure:
        cause, setting = failure.args
        answer = {"event": "failed", "cause": cause, "setting": setting}
    except OSError as error:
        cause = f"{error.filename or order['folder']}: {error.strerror or error}"
        answer = {"event": "failed", "cause": cause, "setting": "change workdir="}
    except tarfile.TarError as error:
        answer = {"event": "failed", "cause": f"{order['folder']}: {error}", "setting": ""}
    else:
        answer = {"event": "done", **answer}
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        sys.stderr.write("\n" + MARK + json.dumps(answer) + "\n")
        sys.stderr.flush()
    return 0


def place(order: dict[str, Any]) -> dict[str, Any]:
    """Unpack what comes through the standard input into a new folder; check and start it, if that is asked for."""
    folder = order["folder"]
    os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        raise RunFailed(f"{folder} is there already", "change name= or workdir=, or remove it") from None
    try:
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
            archive.extractall(folder, filter="data")
        if order["check"]:
            check(folder)
        return {"folder": folder, **(launch(folder) if order["launch"] else {})}
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def check(folder: str) -> None:
    """Refuse to start a script where the cluster that it is to start would not start."""
    words = [sys.executable, "-c", _CHECK, os.path.join(folder, CONTROL, "cluster.yaml")]
    try:
        asked = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, env=environment(folder), timeout=_CHECK_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise RunFailed(
            f"no answer from {sys.executable} within {_CHECK_SECONDS:g} s", "see that it runs there"
        ) from None
    said = asked.stderr.decode(errors="replace").strip()
    last = said.splitlines()[-1] if said else f"exit code {asked.returncode}"
    if asked.returncode == 3:
        raise RunFailed(f"the cluster would not start from there: {last}", "see that this host may start it")
    if "No module named 'clusters'" in said:
        raise RunFailed(f"{sys.executable} has no dhpo there", "install it there, or change python=")
    if asked.returncode != 0:
        raise RunFailed(f"{sys.executable} cannot read the cluster there: {last}", "install the dhpo of here there")


def launch(folder: str) -> dict[str, Any]:
    """Start the runner, which lives on when whoever asked for it goes."""
    words = [sys.executable, os.path.join(folder, CONTROL, "runner.py"), folder]
    with open(os.path.join(folder, LOG), "ab") as log:
        runner = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    end = time.monotonic() + _START_SECONDS
    while not known(folder):
        if runner.poll() is not None or time.monotonic() > end:
            if known(folder):
                # It has begun, and ended, between the two questions.
                break
            with contextlib.suppress(OSError):
                runner.kill()
            raise RunFailed(f"{sys.executable} did not start the script: {tail(folder)}")
        time.sleep(_PAUSE_SECONDS)
    return {}


def relaunch(order: dict[str, Any]) -> dict[str, Any]:
    """Start it again, in the folder where it ran before."""
    folder = existing(order)
    if alive(folder):
        raise RunFailed(f"the script in {folder} runs", "cancel it first")
    with contextlib.suppress(FileNotFoundError):
        os.remove(os.path.join(folder, CONTROL, "state.json"))
    return launch(folder) if order["launch"] else {}


def find(order: dict[str, Any]) -> dict[str, Any]:
    """Which of some files are here."""
    return {"found": [path for path in order["paths"] if os.path.isfile(os.path.expanduser(path))]}


def ask(order: dict[str, Any]) -> dict[str, Any]:
    """Whether it runs, how it ended, and the last lines of its log."""
    folder = existing(order)
    running = alive(folder)
    return {"running": running, "state": known(folder), "tail": tail(folder)}


def show(order: dict[str, Any]) -> dict[str, Any]:
    """Write its log to the output, and go on while it runs if that is asked for."""

    def left() -> bool:
        # Whoever asked holds the other end of the standard input.
        ready, _, _ = select.select([0], [], [], _PAUSE_SECONDS)
        return bool(ready) and not os.read(0, 1)

    folder = existing(order)
    for chunk in grown(folder, lambda: order["follow"] and alive(folder) and not left()):
        os.write(1, chunk)
    return {}


def grown(folder: str, goes_on: Callable[[], bool]) -> Iterator[bytes]:
    """The log, as far as it is written when it does not go on any more."""
    with open(os.path.join(folder, LOG), "ab+") as log:
        log.seek(0)
        last = False
        while True:
            while chunk := log.read(_CHUNK):
                yield chunk
            if last:
                return
            # What is written between the last look and the end is read once more.
            last = not goes_on()


def cancel(order: dict[str, Any]) -> dict[str, Any]:
    """End it with all that it started, and wait until that is done."""
    folder = existing(order)
    state = known(folder)
    if not alive(folder) or not state:
        return {"was_running": False}
    os.kill(state["pid"], signal.SIGTERM)
    end = time.monotonic() + order["grace"] + _END_SECONDS
    while alive(folder):
        if time.monotonic() > end:
            raise RunFailed(f"process {state['pid']} did not end", "look at it there")
        time.sleep(_PAUSE_SECONDS)
    return {"was_running": True}


def pack(order: dict[str, Any]) -> dict[str, Any]:
    """Write all that is in its folder to the output, as an archive."""
    folder = existing(order)
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
        for where, folders, files in os.walk(folder):
            if where == folder and CONTROL in folders:
                folders.remove(CONTROL)
            for name in sorted(folders) + sorted(files):
                path = os.path.join(where, name)
                inside = os.path.relpath(path, folder)
                # What a running search has replaced or removed meanwhile is not there any more.
                with contextlib.suppress(FileNotFoundError):
                    if os.path.isdir(path) or os.path.islink(path):
                        archive.add(path, inside, recursive=False)
                    elif os.path.isfile(path):
                        with open(path, "rb") as file:
                            archive.addfile(archive.gettarinfo(arcname=inside, fileobj=file), file)
    return {}


def remove(order: dict[str, Any]) -> dict[str, Any]:
    """Delete its folder."""
    if not os.path.isdir(order["folder"]):
        return {}
    folder = existing(order)
    if alive(folder):
        raise RunFailed(f"the script in {folder} runs", "cancel it first")
    shutil.rmtree(folder)
    return {}


def settle(order: dict[str, Any]) -> dict[str, Any]:
    """Note that it was cancelled, where its runner could not."""
    folder = existing(order)
    state = known(folder)
    if "code" not in state:
        path = os.path.join(folder, CONTROL, "state.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({**state, "code": -int(signal.SIGTERM), "cancelled": True}, file)
    return {}


PARTS = {
    "find": find,
    "place": place,
    "relaunch": relaunch,
    "ask": ask,
    "show": show,
    "cancel": cancel,
    "pack": pack,
    "remove": remove,
    "settle": settle,
}


def existing(order: dict[str, Any]) -> str:
    """The folder of the run, which has to be one of ours."""
    folder: str = order["folder"]
    if not os.path.isfile(os.path.join(folder, CONTROL, "order.json")):
        raise RunFailed(f"{folder} is not there any more", "submit the script again")
    return folder


def tail(folder: str, lines: int = 20) -> str:
    """The last lines of its log."""
    try:
        with open(os.path.join(folder, LOG), "rb") as log:
            log.seek(-min(_CHUNK, os.fstat(log.fileno()).st_size), os.SEEK_END)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
