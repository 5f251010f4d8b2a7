"""The commands on the journals of searches, in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from typer.testing import CliRunner

from dhpo.cli import app
from dhpo.history.events import PhaseReached, Planned, Stopped
from dhpo.journal import Header, Journal
from tests.unit.views.events import TWO_BRACKETS, dropped, reported, started

RUNNER = CliRunner(env={"COLUMNS": "100"})


def write(folder: Path, *more: Any) -> Journal:
    """A search with two trials, one of which failed, whose process still has the journal open."""
    journal = Journal(folder)
    journal.begin(Header({"max_iter": "9"}, 1))
    for event in [
        Planned(TWO_BRACKETS, 0.0),
        PhaseReached("training", 0.5),
        started(0, 1, alpha=0.25, layers=(64, 32)),
        started(1, 1, alpha=0.5, layers="none"),
        reported(0, 3, 0.75),
        reported(1, 1, float("nan")),
        dropped(0, "finished"),
        dropped(1, "failed"),
        *more,
    ]:
        journal.append(event)
    journal.commit()
    return journal


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    write(tmp_path / "a", Stopped("done", 61.0)).close()
    return tmp_path / "a"


def invoke(*arguments: Any) -> Any:
    return RUNNER.invoke(app, [str(argument) for argument in arguments])


def test_show_tells_how_a_search_ended(journal: Path) -> None:
    shown = invoke("show", journal)
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0] == f"{journal}: done"
    assert lines[1] == "best 0.7500 by trial 0 after 3 calls: alpha=0.25, layers=(64, 32)"
    assert lines[2] == "done after 1 min 01 s: 2 trials, 4 calls, 1 failed"
    first, second = (next(line.split() for line in lines if line.split()[:1] == [number]) for number in "01")
    assert first == ["0", "1", "0.75", "finished", "0.25", "(64,", "32)", "3", "-"]
    assert second[:7] == ["1", "-", "-", "failed", "0.5", "none", "1"]
    assert " ".join(second[7:]) == "the score is not a finite number"
    assert "1 trials" not in invoke("show", journal, "--rows", 1).stdout


def test_show_tells_why_a_search_failed(tmp_path: Path) -> None:
    error = "SearchFailed: 1 trial failed. The first failure:\nTraceback\nValueError: no"
    write(tmp_path, Stopped("failed", 61.0, error)).close()
    assert invoke("show", tmp_path).stdout.splitlines()[1] == error.replace("\nTraceback\n", " ")
    assert json.loads(invoke("show", tmp_path, "--json").stdout)["error"] == error
    invoke("report", tmp_path, "--output", tmp_path / "page.html")
    assert f"<pre>{error}</pre>" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("columns", ["100", "50"])
def test_show_tells_none_from_a_parameter_that_a_trial_does_not_have(tmp_path: Path, columns: str) -> None:
    journal = Journal(tmp_path)
    journal.begin(Header({"max_iter": "9"}, 1))
    for event in [Planned(TWO_BRACKETS, 0.0), started(0, 1, weight=None), reported(0, 3, 0.5), started(1, 1, other=8)]:
        journal.append(event)
    journal.commit()
    journal.close()
    shown = RUNNER.invoke(app, ["show", str(tmp_path)], env={"COLUMNS": columns}).stdout.splitlines()
    first, second = (next(line for line in shown if line.split()[:1] == [number]) for number in "01")
    assert "None" in first
    assert "None" not in second


def test_show_has_json_for_programs(journal: Path) -> None:
    facts = json.loads(invoke("show", journal, "--json").stdout)
    assert facts["status"] == facts["phase"] == "done"
    best = {"trial": 0, "score": 0.75, "resource": 3, "params": {"alpha": 0.25, "layers": [64, 32]}}
    assert facts["best"] == best
    assert facts["costs"]["partial_fit_calls"] == 4
    assert [row["rank"] for row in facts["trials"]] == [1, None]
    assert [row["score"] for row in facts["trials"]] == [0.75, None]


def test_values_are_shown_as_they_are(tmp_path: Path) -> None:
    pattern = r"(?u)[a-z]+[/x]"
    more = [started(2, 0, pattern=pattern, values=np.array([1.0, 2.0])), reported(2, 3, 0.875), Stopped("done", 5.0)]
    write(tmp_path / "[b]", *more).close()
    shown = invoke("show", tmp_path / "[b]").stdout
    assert pattern in shown
    assert f"{tmp_path / '[b]'}: done" in shown
    best = json.loads(invoke("show", tmp_path / "[b]", "--json").stdout)["best"]
    assert best["params"] == {"pattern": pattern, "values": [1.0, 2.0]}


def test_a_search_that_runs_is_told_from_one_whose_process_died(tmp_path: Path) -> None:
    journal = write(tmp_path)
    assert invoke("show", tmp_path).stdout.splitlines()[0] == f"{tmp_path}: running: training 36 %"
    journal.close()
    assert invoke("show", tmp_path).stdout.splitlines()[0] == f"{tmp_path}: unfinished: training 36 %"


def test_watch_prints_lines_where_there_is_no_terminal(journal: Path, tmp_path: Path) -> None:
    watched = invoke("watch", journal)
    assert watched.stdout.splitlines() == [
        "done after 1 min 01 s, best 0.7500 by trial 0 after 3 calls: alpha=0.25, layers=(64, 32), 1 failed"
    ]
    write(tmp_path / "died").close()
    died = invoke("watch", tmp_path / "died").stdout
    assert died == "unfinished after 0 s, its process has died: training 36 %, 1 failed\n"


def test_stop_asks_a_search_that_runs_alone(journal: Path, tmp_path: Path) -> None:
    refused = invoke("stop", journal)
    assert refused.exit_code == 1
    assert "is not in use by any process" in refused.stderr
    held = write(tmp_path / "runs")
    waited = invoke("stop", tmp_path / "runs", "--at-once", "--wait", 0.3)
    assert waited.exit_code == 1
    assert "still running after 0.3 s" in waited.stderr
    assert held.stop_request.look() is True
    held.close()


def test_compare_has_the_best_search_first(journal: Path, tmp_path: Path) -> None:
    write(tmp_path / "b", started(2, 0, alpha=1.0), reported(2, 3, 0.875), Stopped("stopped", 5.0)).close()
    records = json.loads(invoke("compare", journal, tmp_path / "b", "--json").stdout)
    assert [record["search"] for record in records] == [str(tmp_path / "b"), str(journal)]
    assert [record["score"] for record in records] == [0.875, 0.75]
    assert [record["status"] for record in records] == ["stopped", "done"]
    assert [record["trials"] for record in records] == [3, 2]
    assert [record["failed"] for record in records] == [1, 1]
    assert "alpha=1" in invoke("compare", journal, tmp_path / "b").stdout


def test_a_search_whose_process_died_is_unfinished_everywhere(tmp_path: Path) -> None:
    journal = write(tmp_path, started(2, 0, alpha=1.0, layers="none"))

    def states() -> tuple[str, dict[int, str]]:
        trials = json.loads(invoke("show", tmp_path, "--json").stdout)["trials"]
        compared = json.loads(invoke("compare", tmp_path, "--json").stdout)[0]["status"]
        return compared, {trial["trial"]: trial["status"] for trial in trials}

    assert states() == ("training 36 %", {0: "finished", 1: "failed", 2: "waiting"})
    journal.close()
    assert states() == ("unfinished", {0: "finished", 1: "failed", 2: "stopped"})
    invoke("report", tmp_path, "--output", tmp_path / "page.html")
    assert "its process has died" in (tmp_path / "page.html").read_text()


def test_a_narrow_comparison_leaves_columns_out_before_it_breaks_values(journal: Path, tmp_path: Path) -> None:
    def header(columns: int) -> list[str]:
        shown = RUNNER.invoke(app, ["compare", str(journal)], env={"COLUMNS": str(columns)}).stdout
        assert "0.75" in shown
        return next(line.split() for line in shown.splitlines() if "score" in line)

    long = len(str(journal))
    every = ["search", "status", "score", "trials", "resource", "failed", "seconds", "best", "params"]
    assert header(long + 120) == every
    assert header(long + 60) == ["search", "status", "score", "failed", "best", "params"]
    assert header(long + 45) == ["search", "status", "score", "best", "params"]


def test_export_writes_files_that_others_read(journal: Path, tmp_path: Path) -> None:
    csv, parquet = tmp_path / "a.csv", tmp_path / "a.parquet"
    assert invoke("export", journal, "--csv", csv, "--parquet", parquet).stdout == "2 trials written\n"
    for frame in (pd.read_csv(csv, index_col="trial"), pd.read_parquet(parquet)):
        assert frame["score"].tolist()[0] == 0.75
        assert frame["param_alpha"].tolist() == [0.25, 0.5]
        assert frame["param_layers"].tolist() == ["(64, 32)", "none"]
        assert frame["split0_test_score"].tolist()[0] == 0.75
    assert invoke("export", journal).exit_code == 1


def test_report_writes_a_page(journal: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert invoke("report", journal, "--output", page).stdout == f"{page} written\n"
    assert "<h2>The best trials</h2>" in page.read_text()
    assert invoke("report", tmp_path / "nothing").exit_code == 1


def test_export_writes_a_study_of_optuna(journal: Path, tmp_path: Path) -> None:
    storage = tmp_path / "study.db"
    exported = invoke("export", journal, "--optuna", storage)
    assert (exported.exit_code, exported.stdout) == (0, "2 trials written\n")
    study = optuna.load_study(study_name=str(journal), storage=f"sqlite:///{storage}")
    assert study.best_params == {"alpha": 0.25, "layers": "(64, 32)"}
    again = invoke("export", journal, "--optuna", storage)
    assert again.exit_code == 1
    assert "has a study" in again.stderr
    assert "--replace" in again.stderr
    assert invoke("export", journal, "--optuna", f"sqlite:///{storage}", "--replace").exit_code == 0
    assert invoke("export", journal, "--optuna", storage, "--study", "other").exit_code == 0
    assert optuna.get_all_study_names(f"sqlite:///{storage}") == [str(journal), "other"]


def test_a_storage_that_cannot_be_written_to_is_an_error_in_one_line(journal: Path, tmp_path: Path) -> None:
    failed = invoke("export", journal, "--optuna", tmp_path / "nowhere" / "study.db")
    assert failed.exit_code == 1
    assert f"dhpo: export: {tmp_path / 'nowhere' / 'study.db'} cannot be written to: " in failed.stderr


@pytest.mark.parametrize("command", ["show", "watch", "stop", "compare", "export"])
def test_what_is_no_journal_is_an_error_in_one_line(command: str, tmp_path: Path) -> None:
    options = ["--csv", str(tmp_path / "x.csv")] if command == "export" else []
    failed = invoke(command, tmp_path / "nothing", *options)
    assert failed.exit_code == 1
    assert failed.stderr.startswith(f"dhpo: {tmp_path / 'nothing'} is no journal of a search")
    assert len(failed.stderr.splitlines()) == 1
