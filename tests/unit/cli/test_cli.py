from __future__ import annotations

import io
import subprocess
import sys

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from dhpo.cli import _show_result, app


def test_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhpo.cli.version", lambda name: "1.2.3")
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout == "dhpo 1.2.3\n"


def test_help_names_the_commands() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "demo" in result.stdout


def test_a_wrong_option_is_refused() -> None:
    result = CliRunner().invoke(app, ["demo", "--workers", "0"])
    assert result.exit_code == 2
    assert "workers" in result.stderr


def test_importing_the_command_line_is_light() -> None:
    code = "import sys, dhpo.cli; print([m for m in ('sklearn', 'dask', 'pandas', 'distributed') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_result_is_a_table_of_the_best() -> None:
    summary = pd.DataFrame(
        {
            "bracket": [1, 0, 0],
            "status": ["not promoted", "finished", "failed"],
            "resource": [1, 9, 1],
            "score": [0.5, 0.75, float("nan")],
            "rank": pd.array([2, 1, None], dtype="Int64"),
            "error": [None, None, None],
            "param_alpha": [0.1, 0.00012345, 1.0],
            "param_layers": [(64,), (64, 32), (8,)],
        }
    )
    console = Console(record=True, width=100, file=io.StringIO())
    _show_result(console, {"alpha": 0.00012345}, 0.75, 0.7, summary)
    text = console.export_text()
    first = next(line for line in text.splitlines() if "(64, 32)" in line)
    assert first.split() == ["1", "1", "0.75", "finished", "0.0001234", "(64,", "32)", "9"]
    assert "alpha = 0.000123" in text
    assert "held-out accuracy    0.7000" in text
