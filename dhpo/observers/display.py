"""Which of the displays of progress a search has: that of a notebook, of a terminal, or lines of a log."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console

from dhpo.observers.base import Observer
from dhpo.observers.log_lines import LogLines
from dhpo.observers.notebook import Notebook
from dhpo.observers.terminal import Terminal

__all__ = ["make_display"]


def make_display(verbose: int, console: Console | None = None) -> Observer | None:
    """Make the observer that shows progress, if anyone wants to see it.

    Parameters
    ----------
    verbose : int
        0 shows nothing.
    console : rich.console.Console, optional
        Where to draw. Default: standard error, so that standard output stays clean for what the program says.

    Returns
    -------
    Observer or None
        None if `verbose` is 0. `Notebook` where this process is the kernel of one, `Terminal` where there is one, else
        `LogLines`.
    """
    if verbose <= 0:
        return None
    if console is None and _is_kernel():
        return Notebook()
    console = console or Console(stderr=True)
    return Terminal(console) if console.is_terminal else LogLines()


def _is_kernel() -> bool:
    """Whether this process is the kernel of a notebook, and not IPython in a terminal."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
