"""Scripts submitted to this machine, and what is refused at the door."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import clusters
from clusters.submission import remote_run
from clusters.submission.backend import backend_named
from clusters.submission.plain_config import describe, restore
from clusters.submission.records import SubmissionRecord, read
from tests.clusters.submitting import (
    ROOT,
    SECRET,
    ended,
    home_of_tests,
    local,
    processes_below,
    said,
    state,
    wait_for_log,
    written,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from home_of_tests(tmp_path, monkeypatch)


# It heeds no Ctrl-C, and has a child that heeds nothing at all.
STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
code = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; print('deaf', flush=True); signal.pause()"
subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True)
while True:
    signal.pause()
"""
COUNTS = """
import os, pathlib, clusters
if __name__ == "__main__":
    runs = pathlib.Path("runs.txt")
    runs.write_text((runs.read_text() if runs.exists() else "") + "x")
    if len(runs.read_text()) == 1:
        with clusters.from_config() as cluster, cluster.get_client() as client:
            same = client.submit(os.getenv, "OF_TEST").result() == os.environ["OF_TEST"]
            print("sum", client.submit(sum, [1, 2]).result(), same)
"""


def test_from_submit_to_fetch_and_again(folder: Path) -> None:
    one = clusters.submit(local(), written(folder, "My Search.py", COUNTS), name="one")
    assert ended("one") == "done"
    assert one.logs() == "sum 3 True\n"
    assert said("fetch", "one", str(folder / "got")) == f"{folder / 'got'}\n"
    assert (folder / "got/runs.txt").read_text() == "x"
    said("submit", "--resume", "one")
    assert ended("one") == "done"
    # A second fetch replaces the first, and nothing of anybody else.
    assert one.fetch(folder / "got").joinpath("runs.txt").read_text() == "xx"
    assert "holds other files" in said("fetch", "one", str(folder), code=1)
    two = clusters.submit(local(), str(folder / "My Search.py"), workdir=str(folder / "elsewhere"))
    assert (two.name, two.folder) == ("my-search", str(folder / "elsewhere/my-search"))
    ended("my-search")
    table = said("status")
    assert "one" in table
    assert "my-search" in table
    assert table.count("done") == 2
    for name in ("one", "my-search"):
        said("cancel", name, "--remove")
    assert said("status") == "nothing was submitted\n"
    assert list((folder / "home").rglob("*.*")) == []


def test_cancel_ends_what_does_not_listen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusters.submission.backend.GRACE_SECONDS", 0.5)
    stubborn = clusters.submit(local(), written(folder, "stubborn.py", STUBBORN))
    wait_for_log("stubborn", "deaf")
    assert len(processes_below(folder)) == 3
    assert stubborn.cancel()
    assert processes_below(folder) == []
    assert state("stubborn") == "cancelled"
    assert stubborn.status().code == -signal.SIGKILL
    stubborn.remove()


def test_logs_are_followed_while_they_grow_and_let_go(folder: Path) -> None:
    script = "import pathlib, time\nprint('begun', flush=True)\n"
    script += "while not pathlib.Path('go').exists(): time.sleep(0.02)\nprint('over')"
    grows = clusters.submit(local(), written(folder, "grows.py", script))
    words = [sys.executable, "-c", "from dhpo.cli import app; app()", "logs", "--follow", "grows"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=ROOT, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "begun\n"
        first.send_signal(signal.SIGINT)
        assert first.wait(300) == 0
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=ROOT, text=True) as second:
        assert second.stdout is not None
        assert second.stdout.readline() == "begun\n"
        Path(grows.folder, "go").touch()
        assert second.stdout.read() == "over\n"
    assert second.returncode == 0
    grows.remove()


def test_what_is_wrong_is_told_before_anything_starts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = written(folder, "s.py", "")
    (folder / "b").mkdir()
    latin = folder / "latin.py"
    latin.write_bytes(b"# caf\xe9")
    twice = [written(folder, "a.txt", ""), written(folder / "b", "a.txt", "")]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"script": folder / "no.py"}, "no.py': there is no such file: expected a Python script"),
        ({"script": folder}, "is a folder"),
        ({"name": "A b"}, "name='A b': expected up to 50 small letters"),
        ({"files": [folder / "no.csv"]}, "no.csv': there is no such file or folder: change file="),
        ({"files": ["~nobody-of-this-name/a.csv"]}, "a.csv': there is no such file or folder: change file="),
        ({"files": twice}, "'a.txt' would be there twice"),
        ({"time": "1:00:00"}, "time='1:00:00': means nothing to a cluster of kind local"),
        ({"config": local(dashboard="192.0.2.1:1")}, "cannot be listened on"),
        ({"config": local(security={"ca_file": script, "cert": script, "key": script}, kind="ssh", hosts=["a"],
                          workers=1)}, "takes no certificates along"),
        ({"config": {"kind": "kubernetes", "image": "x"}, "script": latin}, "cannot be read"),
    ]  # fmt: skip
    for options, cause in wrong:
        with pytest.raises(clusters.ClusterError) as caught:
            clusters.submit(**{"config": local(), "script": script, **options})
        assert cause in str(caught.value)
    (folder / "taken/s").mkdir(parents=True)
    with pytest.raises(clusters.SubmissionError, match="taken/s is there already: change name="):
        clusters.submit(local(), script, workdir=str(folder / "taken"))
    assert clusters.submissions() == []
    assert not (folder / "home/runs").exists()
    with pytest.raises(clusters.SubmissionError, match="unknown submission 'x'"):
        clusters.submitted("x")

    clusters.submit(local(), script, name="mine")
    assert "did you mean 'mine'" in said("status", "mime", code=1)
    ended("mine")
    monkeypatch.setattr("socket.gethostname", lambda: "other")
    assert "and this is other" in said("status", "mine", code=1)
    monkeypatch.undo()
    monkeypatch.setenv("DHPO_HOME", str(folder / "home"))
    clusters.submitted("mine").remove()


def test_a_configuration_is_the_same_elsewhere() -> None:
    hosts = ["me@a:22", {"host": "b", "python": "/p"}]
    for config in (
        clusters.load(local()),
        clusters.configure("ssh", hosts=hosts, workers=(1, 2), idle_timeout="1 hour", env={"A": "b"}),
        clusters.configure("slurm", workers=2, walltime="1:00:00", grace="1 minute", prologue=["module load gcc"]),
    ):
        assert restore(describe(config, secrets=True, same_files=False)) == config
        assert clusters.load(describe(config, secrets=True, same_files=False)) == config
        plain = describe(config, secrets=False, same_files=False)
        assert "env" not in plain
    assert restore(describe(clusters.load(local()), True, True)).env["OF_TEST"] == SecretStr(SECRET)


def test_a_record_says_who_may_read_it(folder: Path) -> None:
    one = clusters.submit(local(), written(folder, "s.py", "print(1)"), name="one")
    ended("one")
    record = folder / "home/submissions/one.json"
    assert record.stat().st_mode & 0o777 == 0o600
    assert record.parent.stat().st_mode & 0o777 == 0o700
    assert SECRET not in record.read_text()
    text = record.read_text()
    record.write_text("no")
    with pytest.raises(clusters.SubmissionError, match="is no record of a submission"):
        read("one")
    record.write_text(text)
    one.remove()


# What it leaves in its folder is brought as it is, but for links that lead out of it.
LEAVES = """
import os, sys
os.symlink("/etc/hostname", "absolute")
os.symlink("../../outside", "outside")
os.symlink("z result.txt", "link")
os.makedirs("empty")
os.mkfifo("pipe")
os.write(1, b"latin \\xe9\\n")
open(b"caf\\xe9", "w").close()
open("z result.txt", "w").write(open("data.csv").read() + " ".join(sys.argv[1:]))
"""


def test_odd_names_links_and_output(folder: Path) -> None:
    target = written(folder, "target", "rows ")
    (folder / "data.csv").symlink_to(target)
    Path(written(folder, "v2.py", LEAVES)).rename(folder / "my [red] script.py")
    (folder / "a link.py").symlink_to(folder / "my [red] script.py")
    script, arguments = str(folder / "a link.py"), ["a b", "--x=1", "$HOME"]
    shown = clusters.render_submission(local(), script, arguments, files=[folder / "data.csv"], workdir="~/my runs")
    assert shown.endswith("-u 'a link.py' 'a b' --x=1 '$HOME'\n")
    assert ".dhpo/runner.py ~/'my runs/a-link' >> " in shown
    one = clusters.submit(local(), script, arguments, files=[folder / "data.csv"])
    assert ended("a-link") == "done", one.logs()
    for _ in range(2):
        one.fetch(folder / "got")
        assert (folder / "got/link").read_text() == "rows a b --x=1 $HOME"
    left = {os.fsencode(path.name) for path in (folder / "got").iterdir()}
    brought = {b".dhpo-fetched", b"output.log", b"a link.py", b"data.csv", b"z result.txt", b"link", b"empty"}
    assert left == {*brought, b"caf\xe9"}
    assert one.logs() == "latin \N{REPLACEMENT CHARACTER}\n"
    one.remove()
    two = clusters.submit(local(), str(folder / "my [red] script.py"), files=[folder / "data.csv"], name="two")
    ended("two")
    assert "my [red]" in said("status")
    two.remove()


def test_a_submission_that_is_interrupted_or_fails_is_let_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = written(folder, "s.py", "")
    broken = {"local": RuntimeError, "slurm": KeyboardInterrupt, "kubernetes": KeyboardInterrupt}
    for kind, error in broken.items():

        def submit(plan: Any, error: type[BaseException] = error) -> None:
            raise error

        monkeypatch.setattr(backend_named(kind), "submit", submit)
        config = local() if kind == "local" else {"kind": kind, "workers": 1, "image": "x"}
        if kind == "slurm":
            config = {"kind": kind, "workers": 1, "shared_directory": str(folder)}
            monkeypatch.setattr("clusters.submission.slurm.SlurmQueue.states", lambda *_: {})
        with pytest.raises(error):
            clusters.submit(config, script, name=kind)
    assert [found.name for found in clusters.submissions()] == ["slurm", "kubernetes"]
    assert "slurm is not there any more" in said("status", "slurm", code=1)
    assert said("cancel", "slurm", "--remove") == "slurm: not found, and removed\n"
    read("kubernetes").forget()


def test_a_script_that_begins_and_ends_between_two_looks_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([{}, {"pid": 1}])
    monkeypatch.setattr(remote_run, "known", lambda folder: next(looks), raising=False)
    monkeypatch.setattr(remote_run, "CONTROL", ".dhpo", raising=False)
    monkeypatch.setattr(remote_run, "LOG", os.devnull, raising=False)
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: gone)
    assert remote_run.launch("/") == {}


def test_a_record_whose_files_are_gone_is_told(folder: Path) -> None:
    files = {name: written(folder, name, "") for name in ("ca_file", "cert", "key")}
    config = clusters.configure("local", security=files)
    record = SubmissionRecord(
        "one", describe(config, secrets=False, same_files=True), "here", str(folder), "s.py", [], 0.0
    )
    record.reserve()
    Path(files["key"]).unlink()
    assert "'one': its cluster is not described any more as it was: key is not a file" in said("status", code=1)
    record.forget()


def test_without_a_home_it_is_told_where_to_say_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DHPO_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert "this user has no home" in said("status", code=1)


def test_a_running_cluster_is_found_by_what_dask_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DHPO_CLUSTER_CONFIG", raising=False)
    with pytest.raises(clusters.ConfigError, match="no cluster is named"):
        clusters.from_config()
