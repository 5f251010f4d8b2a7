from __future__ import annotations

import io
import threading

from rich.console import Console

from dhpo.observers.terminal import Terminal
from tests.unit.observers.driven import drive


def test_live_from_another_thread_does_not_flood() -> None:
    file = io.StringIO()
    terminal = Terminal(Console(file=file, force_terminal=True, width=80, _environ={"TERM": "xterm"}))
    thread = threading.Thread(target=drive, args=(terminal, 20_000))
    thread.start()
    thread.join()
    assert "20,000/20,000" in file.getvalue()
    assert file.getvalue().count("bracket") < 20
    assert file.getvalue().endswith("\x1b[?25h")  # the cursor is back


def test_dumb_terminal_gets_the_last_picture() -> None:
    file = io.StringIO()
    drive(Terminal(Console(file=file, force_terminal=True, width=80, _environ={"TERM": "dumb"})), 100)
    assert file.getvalue().count("bracket") == 1
    assert "\x1b[?25" not in file.getvalue()
    assert "done after" in file.getvalue()


def test_stop_without_start() -> None:
    Terminal(Console(file=io.StringIO())).stop()
