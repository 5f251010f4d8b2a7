"""Tells a script that its worker processes would import it, and start the cluster again."""

from __future__ import annotations

import ast
import inspect
import sys
from types import FrameType

import dask

__all__ = ["UnguardedScript", "refuse_unguarded_script", "runs_on_import"]


class UnguardedScript(RuntimeError):
    """A script starts a cluster of processes where each of them, importing the script, would do so again."""


def refuse_unguarded_script() -> None:
    """Raise UnguardedScript if a worker process would come to this call by importing the script, or has come to it."""
    for frame in _module_frames():
        script, line = frame.f_code.co_filename, frame.f_lineno
        # The name that multiprocessing gives to the script while a new process imports it.
        imported = frame.f_globals.get("__name__") == "__mp_main__"
        if imported or (_is_imported_again(frame) and runs_on_import(_source(script), line)):
            raise UnguardedScript(
                f"worker processes begin by importing {script}, and line {line} of it starts a cluster of processes: "
                'put the code that starts the cluster below `if __name__ == "__main__":`'
            )


def _module_frames() -> list[FrameType]:
    frames = []
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            frames.append(frame)
        frame = frame.f_back
    return frames


def _is_imported_again(frame: FrameType) -> bool:
    """Whether this is the script of this process, and new processes import it."""
    main = sys.modules.get("__main__")
    if main is None or frame.f_globals is not vars(main) or getattr(main, "__file__", None) is None:
        return False
    # multiprocessing spares the `__main__` of a package, as of `python -m unittest`.
    name = getattr(getattr(main, "__spec__", None), "name", "")
    return (
        not name.endswith("__main__")
        and dask.config.get("distributed.worker.multiprocessing-method", "spawn") != "fork"
    )


def _source(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


def runs_on_import(source: str, line: int) -> bool:
    """Whether a line of a script runs whenever the script is imported, for certain.

    Parameters
    ----------
    source : str
        Of the script.
    line : int
        Counted from 1.

    Returns
    -------
    bool
        False, too, where the line is below a condition, or the script compares its `__name__` anywhere.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(
            isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(node)
        ):
            return False
    statements = tree.body
    while True:
        around = next((node for node in statements if node.lineno <= line <= (node.end_lineno or node.lineno)), None)
        if around is None or isinstance(around, ast.If | ast.For | ast.While | ast.Match):
            return False
        if not isinstance(around, ast.With | ast.Try) or line < around.body[0].lineno:
            return True
        statements = around.body
