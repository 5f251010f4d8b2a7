from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import yaml
from distributed.security import Security
from typer.testing import CliRunner

from clusters.connection_files import ConnectionFile
from dhpo.cli import app
from dhpo.cli.cluster import _signals

ROOT = Path(__file__).parents[3]
SECRET = "s3cret-in-the-clear"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DHPO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "cluster.yaml"
    said = {"kind": "local", "workers": 1, "memory": "500MB", "security": True, "env": {"TOKEN": SECRET}}
    path.write_text(yaml.safe_dump(said))
    return str(path)


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done.output


def test_check_and_render(config: str) -> None:
    assert run("cluster", "check", config) == "nothing stands in the way\n"
    assert run("cluster", "check", "local", "--set", "workers=1") == "nothing stands in the way\n"
    taken = run("cluster", "check", config, "--set", "dashboard=192.0.2.1:1", code=1)
    assert taken.startswith("dashboard='192.0.2.1:1' cannot be listened on")
    text = run("cluster", "render", config, "--set", "workers=[1, 2]")
    assert "adapt(minimum=1, maximum=2)" in text
    assert "TOKEN" in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["cluster", "check", "no.yaml"], "dhpo: no.yaml: there is no such file\n"),
        (["cluster", "check", "lokal"], "unknown profile 'lokal'"),
        (["cluster", "check", "local", "--set", "wokers=1"], "unknown key 'wokers'; did you mean 'workers'?"),
        (["cluster", "check", "local", "--set", "workers"], "--set workers: expected KEY=VALUE"),
        (["cluster", "check", "local", "--set", "workers=2024-99-99"], "--set workers: expected a value as in YAML"),
        (["cluster", "up", "local", "--connection", "x.json"], "connection='x.json': expected a name that ends in"),
        (["cluster", "down", "no.yaml"], "no.yaml: there is no such file"),
        (["cluster", "down", "pyproject.toml"], "pyproject.toml: is no connection file"),
        (["submit", "x.py"], "submit: expected --cluster CONFIG and SCRIPT, or --resume NAME"),
        (["submit", "--cluster", "local", "no.py"], "script='no.py': there is no such file"),
        (["submit", "--resume", "x", "no.py"], "--resume: takes script"),
        (["logs", "x"], "unknown submission 'x'"),
        (["cancel", "x"], "unknown submission 'x'"),
        (["fetch", "x"], "unknown submission 'x'"),
    ],
)
def test_what_is_wrong_is_one_line(words: list[str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    said = run(*words, code=1)
    assert told in said
    assert said.count("\n") == 1


def test_render_of_a_submission_starts_nothing(config: str, home: Path) -> None:
    text = run("submit", "--render", "--cluster", config, "--name", "n", __file__, "--fast", "--name", "theirs")
    assert text.splitlines()[-1].endswith(f"-u {Path(__file__).name} --fast --name theirs")
    assert SECRET not in text
    assert not home.exists()


@pytest.fixture
def up(config: str, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    file = tmp_path / "connection.yaml"
    words = [sys.executable, "-c", "from dhpo.cli import app; app()", "cluster", "up", config]
    with subprocess.Popen(
        [*words, "--workers", "1", "--connection", str(file)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        try:
            yield process, file
        finally:
            process.kill()


CLIENT = """
import clusters
with clusters.from_config() as cluster, cluster.get_client() as client:
    print(client.submit(sum, [1, 2]).result())
"""


def test_up_is_reached_and_ended_by_others(up: tuple[subprocess.Popen[str], Path]) -> None:
    process, file = up
    assert process.stdout is not None
    said = dict(process.stdout.readline().split(maxsplit=1) for _ in range(4))
    assert said["scheduler"].startswith("tls://127.0.0.1:")
    assert said["connection"] == f"{file}\n"
    assert said["workers"] == "1\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    children = psutil.Process(process.pid).children(recursive=True)
    assert children

    env = {**os.environ, "DASK_CONFIG": str(file)}
    client = subprocess.run([sys.executable, "-c", CLIENT], env=env, capture_output=True, text=True, cwd=ROOT)
    assert client.stdout == "3\n", client.stderr

    assert "is there already" in run("cluster", "up", "local", "--connection", str(file), code=1)
    assert run("cluster", "down", str(file)) == "closed\n"
    assert process.stdout.read() == "closed\n"
    assert process.wait(300) == 0
    assert not file.exists()
    assert psutil.wait_procs(children, timeout=300)[1] == []


def test_up_ends_with_a_cluster_that_ends_itself(tmp_path: Path) -> None:
    file = tmp_path / "connection.yaml"
    words = [sys.executable, "-c", "from dhpo.cli import app; app()", "cluster", "up", "local"]
    words += ["--set", "workers=1", "--set", "idle_timeout=1", "--connection", str(file)]
    # A call to the scheduler, which is gone, would last as long.
    env = {**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1 hour"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 1
    assert "dhpo: the scheduler is gone\n" in done.stderr
    assert not file.exists()


@pytest.mark.parametrize("words", [["cluster", "check", "CONFIG"], ["submit", "--cluster", "CONFIG", __file__]])
def test_ctrl_c_while_a_host_does_not_answer(words: list[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        path = tmp_path / "cluster.yaml"
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        path.write_text(yaml.safe_dump({"kind": "ssh", "hosts": [host], "start_timeout": "1 hour"}))
        command = [sys.executable, "-c", "from dhpo.cli import app; app()"]
        command += [str(path) if word == "CONFIG" else word for word in words]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                called, _ = silent.accept()
                process.send_signal(signal.SIGINT)
                assert process.wait(300) != 0
            finally:
                process.kill()
            called.close()


def test_down_ends_a_start_and_clears_up_after_one_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    code = "import os, sys; from pathlib import Path; from clusters.connection_files import ConnectionFile\n"
    code += "kept = ConnectionFile.reserved(Path(sys.argv[1]), 'local'); kept.__enter__(); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False).returncode == 9
    assert run("cluster", "down", str(path)) == "was not running any more; the file is removed\n"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        command = [sys.executable, "-c", "from dhpo.cli import app; app()", "cluster", "up", "ssh"]
        command += ["--set", f"hosts=['127.0.0.1:{silent.getsockname()[1]}']", "--set", "start_timeout=1 hour"]
        with subprocess.Popen([*command, "--connection", str(path)], cwd=ROOT, stdout=subprocess.PIPE) as process:
            try:
                called, _ = silent.accept()
                assert run("cluster", "down", str(path)) == "closed\n"
                assert process.wait(300) == 0
            finally:
                process.kill()
            called.close()
    assert list(tmp_path.iterdir()) == []


def test_a_connection_file_replaces_nothing_of_others(tmp_path: Path) -> None:
    others = tmp_path / "lab.new"
    others.write_text("mine")
    cluster: Any = SimpleNamespace(security=Security(require_encryption=False), scheduler_address="tcp://127.0.0.1:1")
    with ConnectionFile.reserved(tmp_path / "lab.yaml", "local") as file:
        file.fill(cluster)
        assert yaml.safe_load(file.path.read_text())["scheduler-address"] == "tcp://127.0.0.1:1"
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert others.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [others]


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _signals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


# The signal comes at another moment of the waiting each time.
SIGNALS = """
import signal
from dhpo.cli.cluster import _Asked
for number in range(2000):
    asked = _Asked()
    asked.running = True
    signal.signal(signal.SIGALRM, asked)
    signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + number % 40))
    while not asked.event.wait(1e-5):
        pass
"""


def test_a_signal_at_any_moment_ends_the_waiting() -> None:
    assert subprocess.run([sys.executable, "-c", SIGNALS], cwd=ROOT, timeout=300, check=False).returncode == 0


def test_down_after_a_kill_removes_the_file(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    file = tmp_path / "c.yaml"
    keeper = {"machine": socket.gethostname(), "pid": gone.pid, "started": 1.0}
    file.write_text(yaml.safe_dump({"dhpo-cluster": keeper}))
    assert run("cluster", "down", str(file)) == "was not running any more; the file is removed\n"
    assert not file.exists()
    file.write_text(yaml.safe_dump({"dhpo-cluster": {**keeper, "machine": "other"}}))
    assert "is kept on other" in run("cluster", "down", str(file), code=1)
