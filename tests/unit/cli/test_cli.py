from __future__ import annotations

import io
import subprocess
import sys

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from dhpo.cli import _show_result, app
from dhpo.cli.tables import trials_table


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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def summary() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "bracket": [1, 0, 0],
            "status": ["finished", "not promoted", "failed"],
            "resource": [9, 1, 1],
            "score": [0.75, 0.5, float("nan")],
            "rank": pd.array([1, 2, None], dtype="Int64"),
            "error": [None, None, None],
            "param_alpha": [0.00012345, 0.1, 1.0],
            "param_hidden_layer_sizes": [(64, 32), (64,), (8,)],
            "param_momentum": [0.9, None, None],
        },
        index=pd.RangeIndex(3, name="trial"),
    )


def test_the_result_is_a_table_of_the_best(summary: pd.DataFrame) -> None:
    console = Console(record=True, width=120, file=io.StringIO())
    _show_result(console, {"alpha": 0.00012345}, 0.75, 0.7, summary)
    text = console.export_text()
    first = next(line for line in text.splitlines() if "(64, 32)" in line)
    assert first.split() == ["0", "1", "0.75", "finished", "0.0001234", "(64,", "32)", "0.9", "9"]
    assert "alpha = 0.000123" in text
    assert "held-out accuracy    0.7000" in text


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (80, ["trial", "rank", "score", "status", "resource", "parameters"]),
        (60, ["trial", "score", "parameters"]),
    ],
)
def test_where_parameters_have_no_room_they_share_a_column(
    summary: pd.DataFrame, width: int, columns: list[str]
) -> None:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(trials_table(summary.assign(param_learning_rate_init=0.1, param_batch_size=8), 3, console))
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    assert max(map(len, lines)) <= width
    assert lines[2].split() == columns
    parameters = " ".join(line[lines[2].index("parameters") :].strip() for line in lines[4:])
    of_trials = (
        "alpha=0.000123, hidden_layer_sizes=(64, 32), momentum=0.9, learning_rate_init=0.1, batch_size=8",
        "alpha=0.1, hidden_layer_sizes=(64,), learning_rate_init=0.1, batch_size=8",  # it has no momentum
        "alpha=1, hidden_layer_sizes=(8,), learning_rate_init=0.1, batch_size=8",
    )
    assert parameters.strip() == " ".join(of_trials)


def test_a_search_without_parameters_is_a_table_too(summary: pd.DataFrame) -> None:
    console = Console(record=True, width=40, file=io.StringIO())
    console.print(trials_table(summary.filter(regex="^(?!param_)"), 3, console))
    assert "not promoted" in console.export_text()
