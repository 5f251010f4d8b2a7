"""Scripts submitted to hosts with real SSH servers."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

import clusters
from tests.clusters.sshd import SshHosts, wait_until
from tests.clusters.submitting import (
    ENV,
    SEARCH,
    SECRET,
    ended,
    home_of_tests,
    processes_below,
    said,
    state,
    told,
    wait_for_log,
    written,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from home_of_tests(tmp_path, monkeypatch)


def over_ssh(hosts: list[str], login: dict[str, Any], **options: Any) -> dict[str, Any]:
    """A cluster, in the words of a file."""
    return {"kind": "ssh", "hosts": hosts, "dashboard": None, "env": ENV, "start_timeout": 60, **login, **options}


@pytest.mark.benchmarks
def test_a_search_runs_unattended_is_cancelled_and_goes_on(ssh_hosts: SshHosts, folder: Path) -> None:
    cluster = folder / "cluster.yaml"
    cluster.write_text(yaml.safe_dump(over_ssh(ssh_hosts.reached, ssh_hosts.login, workers=2)))
    options = ["--cluster", str(cluster), "--name", "digits", "--workdir", str(folder / "runs")]
    answer = told("submit", *options, written(folder, "search.py", SEARCH), "--max", "3")
    run = folder / "runs" / "digits"
    assert answer == f"digits on host {ssh_hosts.reached[0]}, in {run}\n"

    # Whoever submitted it is gone; it starts a cluster over both hosts, and a search with a journal.
    wait_for_log("digits", "best ")
    assert said("status", "digits").startswith("digits: running\n")
    assert "running" in said("status")
    log = said("logs", "digits")
    assert f"workers 2 secret {len(SECRET)}\n" in log
    lines = [word for process in ssh_hosts.processes() for word in process.cmdline()]
    record = (folder / "home/submissions/digits.json").read_text()
    assert not any(SECRET in text for text in [*lines, record, log])
    private = [path for path in [run, *run.glob(".dhpo/*"), *folder.glob("home/submissions/*")] if path.exists()]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in private} == {0}

    # Cancelled is gone, with all that it started on both hosts.
    assert said("cancel", "digits") == "digits: cancelled\n"
    wait_until(lambda: not ssh_hosts.processes(), seconds=300)
    assert state("digits") == "cancelled"
    journal = {path: path.read_bytes() for path in run.glob("journal/*.jsonl")}
    assert journal

    # Submitted again, the search goes on with its journal; what it has done it does not do again.
    (run / "go").touch()
    assert said("submit", "--resume", "digits").startswith("digits on host")
    assert ended("digits") == "done", said("logs", "digits")
    first, second = [line for line in said("logs", "digits").splitlines() if line.startswith("best ")]
    assert first == second
    assert first.endswith("['--max', '3']")
    for path, content in journal.items():
        assert b'"report"' not in path.read_bytes()[len(content) :]
    got = folder / "got"
    assert said("fetch", "digits", str(got)) == f"{got}\n"
    assert (got / "best.txt").read_text() == first.split()[1]
    assert {path.name for path in got.iterdir()} == {
        ".dhpo-fetched", "best.txt", "go", "journal", "output.log", "search.py"
    }  # fmt: skip
    assert said("cancel", "digits", "--remove") == "digits: was not running, and removed\n"
    assert not run.exists()


# It leaves a process behind in a session of its own.
FAILS = """
import subprocess, sys
subprocess.Popen([sys.executable, "-S", "-c", "import signal; signal.pause()"], start_new_session=True)
print(open("data/rows.txt").read(), *sys.argv[1:])
sys.exit("no luck")
"""
WAITS = "import signal; print('waits', flush=True); signal.pause()"


def test_on_one_host_no_further_login_is_needed(loopback_hosts: SshHosts, folder: Path) -> None:
    options = over_ssh(loopback_hosts.reached[:1], loopback_hosts.login, workers=1, bastion=loopback_hosts.reached[1])
    (folder / "data").mkdir()
    (folder / "data/rows.txt").write_text("rows")
    script, runs = written(folder, "fails.py", FAILS), str(folder / "runs")
    one = clusters.submit(options, script, ["a b"], files=[folder / "data"], workdir=runs)
    assert one.name == "fails"
    assert ended("fails") == "failed"
    answer = said("status", "fails")
    assert answer.startswith("fails: failed with exit code 1\n")
    assert "  rows a b\n  no luck\n" in answer
    wait_until(lambda: processes_below(folder) == [])
    there = yaml.safe_load((folder / "runs/fails/.dhpo/cluster.yaml").read_text())
    assert (there["kind"], there["workers"], there["memory"]) == ("local", 1, 500_000_000)

    two = clusters.submit(options, written(folder, "waits.py", WAITS), workdir=runs, name="waits")
    wait_for_log("waits", "waits")
    with pytest.raises(clusters.SubmissionError, match="name='waits': is taken"):
        clusters.submit(options, script, workdir=runs, name="waits")
    for refused in (two.remove, two.resume):
        with pytest.raises(clusters.SubmissionError, match="runs: cancel it first"):
            refused()
    # Where nobody is left to watch over it, it ends, and nothing tells how it ended.
    os.kill(json.loads((folder / "runs/waits/.dhpo/state.json").read_text())["pid"], signal.SIGKILL)
    wait_until(lambda: processes_below(folder) == [])
    wait_until(lambda: two.status().state == "lost")
    assert not two.cancel()
    for each in (one, two):
        each.remove()


def test_what_stands_in_the_way_is_told(loopback_hosts: SshHosts, folder: Path) -> None:
    script, runs = written(folder, "waits.py", WAITS), str(folder / "runs")
    login, reached = loopback_hosts.login, loopback_hosts.reached
    # Before what may be installed there.
    hidden = folder / "hidden"
    hidden.mkdir()
    (hidden / "clusters.py").write_text("raise ModuleNotFoundError(\"No module named 'clusters'\")")
    wrong: list[tuple[dict[str, Any], str]] = [
        (over_ssh(["127.0.0.1:1"], login), "nothing listens on port 1: change port="),
        (over_ssh(reached[:1], {**login, "keys": [str(loopback_hosts.folder / "other_id")]}), "was refused"),
        (over_ssh(reached[:1], login, python="/no/python"), "/no/python does not run"),
        (over_ssh(reached[:1], login, env={"PYTHONPATH": str(hidden)}), "has no dhpo there: install it there"),
        (over_ssh([reached[0], "127.0.0.1:1"], login), "the cluster would not start from there: host 127.0.0.1:1"),
    ]
    for options, cause in wrong:
        with pytest.raises(clusters.ClusterError) as caught:
            clusters.submit(options, script, workdir=runs)
        assert cause in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not any((folder / "runs").glob("*"))
    assert not [process for process in loopback_hosts.processes() if process.status() != psutil.STATUS_ZOMBIE]


def test_rendering_touches_nothing_and_shows_no_secret() -> None:
    options = over_ssh(["a", "me@b:2222"], {}, bastion="door", python="/opt/python")
    text = clusters.render_submission(options, __file__, ["--fast"], name="n", workdir="~/runs")
    assert "# on host a, in the new folder ~/runs/n" in text
    assert "/opt/python -u test_submission_ssh.py --fast" in text
    assert "OF_TEST" in text
    assert SECRET not in text
    assert "door" not in text, "the first host is behind the bastion"
