from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from dhpo.observers.display import make_display
from dhpo.observers.log_lines import LogLines
from dhpo.observers.notebook import Notebook
from dhpo.observers.terminal import Terminal


def test_nothing_is_shown_to_those_who_want_nothing() -> None:
    assert make_display(0, Console(file=io.StringIO(), force_terminal=True)) is None


def test_a_terminal_has_its_picture_and_a_file_has_lines() -> None:
    assert isinstance(make_display(1, Console(file=io.StringIO(), force_terminal=True)), Terminal)
    assert isinstance(make_display(1, Console(file=io.StringIO())), LogLines)


@pytest.mark.parametrize(
    ("shell", "display"),
    [(SimpleNamespace(kernel=object()), Notebook), (SimpleNamespace(), LogLines), (None, LogLines)],
)
def test_the_kernel_of_a_notebook_is_told_from_ipython_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch, shell: object, display: type
) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(make_display(True), display)
