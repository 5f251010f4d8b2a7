"""Ways to the place where a script runs: a Python there is told what to do, given an archive, and heard."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from typing import IO, Any, Protocol

from clusters.errors import SubmissionError
from clusters.submission import remote_run, runner

__all__ = ["Channel", "LocalChannel", "answer_of", "opening"]

_CHUNK = 2**18
Take = Callable[[bytes], Any]


class Channel(Protocol):
    """A way to the place where scripts run."""

    def run(self, part: str, order: dict[str, Any], give: IO[bytes] | None = None, take: Take = ...) -> dict[str, Any]:
        """Have one thing done there.

        Parameters
        ----------
        part : str
            One of `remote_run.PARTS`.
        order : dict
            What it has to know.
        give : file, optional
            What it reads.
        take : callable
            What is done with what it writes.

        Returns
        -------
        dict
            Its answer.

        Raises
        ------
        SubmissionError, StartError
            If it was not done.
        """


def nothing(_: bytes) -> None:
    """Take nothing."""


class LocalChannel:
    """To this machine.

    Parameters
    ----------
    python : str
        The Python that is told.
    """

    def __init__(self, python: str) -> None:
        self._python = python

    def run(
        self, part: str, order: dict[str, Any], give: IO[bytes] | None = None, take: Take = nothing
    ) -> dict[str, Any]:
        """Have one thing done here, by another process: what it does concerns no thread of this one."""
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    [self._python, "-c", remote_run.BOOT],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    # Ctrl-C here is for us to heed.
                    start_new_session=True,
                )
            except OSError as error:
                raise SubmissionError(f"{self._python} does not run ({error.strerror})", "change python=") from None
            assert process.stdin is not None
            assert process.stdout is not None
            with process:
                try:
                    with contextlib.suppress(BrokenPipeError):
                        process.stdin.write(opening(part, order))
                        if give is not None:
                            shutil.copyfileobj(give, process.stdin)
                        process.stdin.flush()
                    while chunk := os.read(process.stdout.fileno(), _CHUNK):
                        take(chunk)
                finally:
                    # It may still be at work, and ends when it hears the end of this.
                    with contextlib.suppress(BrokenPipeError):
                        process.stdin.close()
            said.seek(0)
            return answer_of(said.read(), "this machine", self._python)


def opening(part: str, order: dict[str, Any]) -> bytes:
    """The first line that a Python there reads."""
    code = [inspect.getsource(runner), inspect.getsource(remote_run)]
    return json.dumps([code, part, order]).encode() + b"\n"


def answer_of(said: bytes, where: str, python: str) -> dict[str, Any]:
    """What a Python there said last, if it is an answer.

    Raises
    ------
    SubmissionError
        If it is none, or that it failed.
    """
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    if not lines or not lines[-1].startswith(remote_run.MARK):
        words = f"; its last words: {lines[-1].strip()}" if lines else ""
        raise SubmissionError(f"{where}: {python} does not run{words}", "change python=, or install it there")
    answer: dict[str, Any] = json.loads(lines[-1].removeprefix(remote_run.MARK))
    if answer["event"] == "failed":
        raise SubmissionError(f"{where}: {answer['cause']}", answer["setting"])
    return answer
