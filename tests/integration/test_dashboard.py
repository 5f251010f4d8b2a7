"""The page of searches in Dask's dashboard: on clusters of all kinds, and as a browser sees it."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from bokeh.util.token import generate_jwt_token, generate_session_id
from distributed import Client
from tornado.websocket import websocket_connect

import dhpo.observers.dashboard
from dhpo.history.events import Planned
from dhpo.observers.base import ObservedSearch
from dhpo.observers.dashboard import DashboardPage
from tests.conftest import threads_of_this_process
from tests.integration import shown
from tests.unit.views.events import TWO_BRACKETS, history_of, started

HERE = Path(__file__).parent
TIMEOUT = 300  # seconds; nothing takes as long
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

# For schedulers and workers whose environment does not have dhpo.
WITHOUT_DHPO = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "dhpo":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def wait_until(condition: Callable[[], Any]) -> Any:
    ends_at = time.monotonic() + TIMEOUT
    while not (found := condition()):
        assert time.monotonic() < ends_at
        time.sleep(0.05)
    return found


def get(url: str) -> str | None:
    """The page at an address; None if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def is_gone(url: str) -> bool:
    try:
        return get(url) is None
    except urllib.error.HTTPError:  # bokeh was making the page when it went
        return False


def pages(client: Client) -> list[str]:
    """The searches that the scheduler shows."""
    found: list[str] = client.run_on_scheduler(
        lambda dask_scheduler: [n for n in dask_scheduler.plugins if "dhpo" in n]
    )
    return found


@pytest.fixture
def threads() -> Iterator[Client]:
    with threads_of_this_process(2) as cluster, cluster.get_client() as client:
        yield client


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of a scheduler of its own, and that of its dashboard, which has a prefix."""
    yield from start_remote(tmp_path, n_workers=2)


@pytest.fixture
def without_dhpo(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The same of a scheduler whose environment does not have dhpo, and that has no workers."""
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "sitecustomize.py").write_text(WITHOUT_DHPO)
    yield from start_remote(tmp_path, n_workers=0, path=tmp_path / "blocked")


def start_remote(tmp_path: Path, n_workers: int, path: Path = HERE.parents[1]) -> Iterator[tuple[str, str]]:
    connection = tmp_path / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(path)}
    options = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0", "--dashboard-prefix", "pre"]
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--scheduler-file", connection, *options]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", connection, "--no-dashboard"]
    worker += ["--host", "127.0.0.1", "--nthreads", "1"]
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    processes = [subprocess.Popen(command, env=environment, **quiet)]
    try:
        wait_until(lambda: connection.exists() and connection.read_text())
        processes += [subprocess.Popen(worker, env=environment, **quiet) for _ in range(n_workers)]
        with Client(scheduler_file=str(connection), set_as_default=False) as client:
            while len(client.scheduler_info(n_workers=-1)["workers"]) < n_workers:
                time.sleep(0.05)
            address, port = client.scheduler.address, client.scheduler_info()["services"]["dashboard"]
        yield address, f"http://127.0.0.1:{port}/pre"
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(timeout=TIMEOUT)


def test_there_is_a_page_while_a_search_runs(threads: Client) -> None:
    base = str(threads.dashboard_link).removesuffix("/status")
    assert get(f"{base}/dhpo") is None
    search, arrays = shown.make(seconds=0.05, max_iter=81)  # far longer than the test
    run = search.start(*arrays, classes=[0, 1])
    wait_until(lambda: get(f"{base}/dhpo"))
    assert 'href="dhpo"' in (get(f"{base}/status") or "")
    assert "individual-dhpo" in (get(f"{base}/individual-plots.json") or "")
    assert not run.done
    run.stop()
    run.result()
    wait_until(lambda: is_gone(f"{base}/dhpo"))
    assert 'href="dhpo"' not in (get(f"{base}/status") or "")
    assert "individual-dhpo" not in (get(f"{base}/individual-plots.json") or "")
    assert pages(threads) == []


def test_searches_share_the_page_and_the_last_takes_it_away(threads: Client) -> None:
    base = str(threads.dashboard_link).removesuffix("/status")
    runs = []
    for seed in range(2):
        search, arrays = shown.make(seed, seconds=0.05, max_iter=81)
        runs.append(search.start(*arrays, classes=[0, 1]))
    wait_until(lambda: len(pages(threads)) == 2)
    runs[0].stop()
    runs[0].result()
    wait_until(lambda: len(pages(threads)) == 1)
    assert get(f"{base}/dhpo")
    runs[1].stop()
    runs[1].result()
    wait_until(lambda: is_gone(f"{base}/dhpo"))


def test_a_scheduler_without_dhpo_is_sent_the_page(without_dhpo: tuple[str, str]) -> None:
    address, base = without_dhpo
    with Client(address, set_as_default=False) as client:
        history = history_of(Planned(TWO_BRACKETS, 0.0, "a search", {"alpha": "log"}), started(0, 1, alpha=0.5))
        search = ObservedSearch(TWO_BRACKETS, history, client, lambda at_once=False: None, lambda: 1.0)
        page = DashboardPage(after=0.0)

        async def begin() -> None:
            page.start(search)

        async def end() -> None:
            page.stop()

        client.sync(begin)
        wait_until(lambda: get(f"{base}/dhpo"))
        assert 'href="dhpo"' in (get(f"{base}/status") or "")
        assert not client.run_on_scheduler(lambda: "dhpo" in sys.modules)
        client.sync(end)
        wait_until(lambda: is_gone(f"{base}/dhpo"))


def test_a_viewer_who_stays_longer_than_the_search_leaves_quietly(
    threads: Client, caplog: pytest.LogCaptureFixture
) -> None:
    base = str(threads.dashboard_link).removesuffix("/status")
    search, arrays = shown.make(seconds=0.05, max_iter=81)
    run = search.start(*arrays, classes=[0, 1])
    wait_until(lambda: get(f"{base}/dhpo"))

    async def stay() -> None:
        protocols = ["bokeh", generate_jwt_token(generate_session_id())]
        viewer = await websocket_connect(f"{base.replace('http', 'ws')}/dhpo/ws", subprotocols=protocols)
        await viewer.read_message()  # the session is there
        run.stop()
        await asyncio.to_thread(run.result)
        await asyncio.to_thread(wait_until, lambda: is_gone(f"{base}/dhpo"))
        viewer.close()
        while await viewer.read_message() is not None:
            pass

    asyncio.run(stay())
    time.sleep(0.5)  # for what would be said
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_the_page_goes_with_a_driver_that_is_killed(remote: tuple[str, str], tmp_path: Path) -> None:
    address, base = remote
    # What it leaves is nobody's.
    here = {"PYTHONPATH": str(HERE.parents[1]), "TMPDIR": str(tmp_path), "DASK_TEMPORARY_DIRECTORY": str(tmp_path)}
    driver = subprocess.Popen([sys.executable, HERE / "shown.py", address, "0.05"], env={**os.environ, **here})
    try:
        wait_until(lambda: get(f"{base}/dhpo"))
        with Client(address, set_as_default=False) as client:
            assert len(pages(client)) == 1
            driver.send_signal(signal.SIGKILL)
            wait_until(lambda: is_gone(f"{base}/dhpo"))
            assert pages(client) == []
    finally:
        driver.kill()
        driver.wait()


@pytest.mark.parametrize("why", ["Python", "names", "silent"])
def test_where_there_can_be_no_page_the_search_runs_on_and_says_so(
    threads: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    if why == "Python":
        monkeypatch.setattr(dhpo.observers.dashboard.platform, "python_version", lambda: "3.99.0")
    elif why == "names":
        import distributed.dashboard.scheduler

        monkeypatch.delattr(distributed.dashboard.scheduler, "template_variables")
    else:
        monkeypatch.setattr(dhpo.observers.dashboard, "_ANSWER_SECONDS", 0.0)
    search, arrays = shown.make(seconds=0.05)
    run = search.start(*arrays, classes=[0, 1])

    def lines() -> list[str]:  # workers have some of their own, of steps that were cancelled
        return [record.getMessage() for record in caplog.records if record.name.startswith("dhpo")]

    with caplog.at_level(logging.WARNING, "dhpo"):
        wait_until(lines)
    assert not run.done
    run.stop()
    run.result()
    (line,) = lines()
    expected = {
        "Python": "runs Python 3.",
        "names": "cannot import name 'template_variables'",
        "silent": "TimeoutError",
    }
    assert line.startswith("Dask's dashboard has no page for this search: ")
    assert expected[why] in line


def test_the_page_can_be_turned_off(threads: Client) -> None:
    import dask

    search, arrays = shown.make()
    with dask.config.set({"dhpo.dashboard": False}):
        run = search.start(*arrays, classes=[0, 1])
    wait_until(lambda: run.best is not None)
    ends_at = time.monotonic() + 2 * dhpo.observers.dashboard._AFTER_SECONDS
    while time.monotonic() < ends_at and not run.done:
        assert pages(threads) == []
        time.sleep(0.1)
    run.stop()
    run.result()


# -- in a browser

# What the page holds: the columns of the table, and how many scores the learning curves have.
COLUMNS = """() => {
    const models = Bokeh.documents.flatMap((document) => [...document._all_models.values()])
    const entries = (data) => (data instanceof Map ? [...data] : Object.entries(data))
    const table = models.find((model) => model.type === "DataTable")
    return Object.fromEntries(entries(table.source.data).map(([name, column]) => [name, [...column]]))
}"""
SCORES = """() => {
    const models = Bokeh.documents.flatMap((document) => [...document._all_models.values()])
    const entries = (data) => (data instanceof Map ? [...data] : Object.entries(data))
    const sources = models.filter((model) => model.type === "ColumnDataSource").map((model) => entries(model.data))
    return Math.max(0, ...sources.map((source) => source.find(([name]) => name === "x1")?.[1].length ?? 0))
}"""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_sees_two_searches_with_failures_and_a_worker_that_is_killed(
    remote: tuple[str, str], tmp_path: Path
) -> None:
    from playwright.sync_api import sync_playwright

    cloudpickle.register_pickle_by_value(shown)  # its estimator is a script's
    address, base = remote
    said: list[str] = []
    # A search waits while its file is there, so that none ends before the browser has seen it.
    first_waits, second_waits = tmp_path / "first", tmp_path / "second"
    first_waits.touch()
    second_waits.touch()
    with Client(address) as client, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        search, arrays = shown.make(0, seconds=0.1, held_by=str(first_waits))
        first = search.start(*arrays, classes=[0, 1])
        wait_until(lambda: get(f"{base}/dhpo"))
        page = browser.new_page(viewport={"width": 1200, "height": 1300})
        page.set_default_timeout(TIMEOUT * 1_000)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.goto(f"{base}/status", wait_until="load")
        page.get_by_text("Dhpo", exact=True).click()
        page.wait_for_selector(".bk-DataTable", state="attached", timeout=TIMEOUT * 1_000)
        first_waits.unlink()
        wait_until(lambda: page.evaluate(SCORES) > 0)
        first_waits.touch()
        before = page.evaluate(SCORES)
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        first_waits.unlink()
        wait_until(lambda: page.evaluate(SCORES) > before)  # the curves grow
        wait_until(lambda: "failed" in first.summary()["status"].tolist())
        first_waits.touch()
        other, arrays = shown.make(1, seconds=0.1, held_by=str(second_waits))
        second = other.start(*arrays, classes=[0, 1])
        selector = page.locator("select").first
        wait_until(lambda: selector.is_visible() and selector.locator("option").count() == 2)
        first.stop()
        first_waits.unlink()
        first.result()
        wait_until(lambda: len(pages(client)) == 1)
        wait_until(lambda: not selector.is_visible())  # the other is shown now
        second_waits.unlink()
        wait_until(lambda: second.best is not None)
        second_waits.touch()
        wait_until(lambda: page.evaluate(COLUMNS)["trial"])
        wait_until(lambda: page.evaluate(COLUMNS)["trial"] == second.summary().index.tolist())
        shots = os.environ.get("DHPO_SCREENSHOTS")
        if shots:
            page.screenshot(path=f"{shots}/dashboard.png", full_page=True)
        page.get_by_text("Stop the search", exact=True).click()
        page.get_by_text("Really stop it?", exact=True).click()
        wait_until(lambda: second.status == "stopped")
        second_waits.unlink()
        second.result(timeout=TIMEOUT)
        wait_until(lambda: is_gone(f"{base}/dhpo"))
        # What stays before the eyes of the viewer is how it ended.
        wait_until(lambda: page.locator("b", has_text="stopped").first.is_visible())
        assert said == []
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_journal_has_the_same_page(threads: Client, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    waits = tmp_path / "waits"
    journals = [tmp_path / "ended", tmp_path / "running"]
    search, arrays = shown.make(0)
    ended = search.start(*arrays, classes=[0, 1], journal=journals[0])
    ended.result()
    search, arrays = shown.make(1, seconds=0.1, max_iter=81, held_by=str(waits))  # far longer than the test
    run = search.start(*arrays, classes=[0, 1], journal=journals[1])
    command = [
        sys.executable,
        "-c",
        "from dhpo.cli import app; app()",
        "watch",
        "--browser",
        "--every",
        "0.2",
        *map(str, journals),
    ]
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parents[1]) as watching:
        try:
            assert watching.stdout is not None
            address = watching.stdout.readline().split()[0]
            assert address.startswith("http://localhost:")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
                )
                page = browser.new_page(viewport={"width": 1200, "height": 1300})
                page.set_default_timeout(TIMEOUT * 1_000)
                page.on("pageerror", lambda error: said.append(str(error)))
                page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
                page.goto(address, wait_until="load")
                page.wait_for_selector(".bk-DataTable", state="attached", timeout=TIMEOUT * 1_000)
                wait_until(lambda: run.best is not None)
                waits.touch()
                wait_until(lambda: page.evaluate(COLUMNS)["trial"] == run.summary().index.tolist())
                page.get_by_text("Stop the search", exact=True).click()
                page.get_by_text("Really stop it?", exact=True).click()
                wait_until(lambda: run.status == "stopped")
                waits.unlink()
                run.result(timeout=TIMEOUT)
                wait_until(lambda: page.get_by_text("stopped", exact=True).first.is_visible())
                wait_until(lambda: page.evaluate(COLUMNS)["trial"] == run.summary().index.tolist())
                page.locator("select").first.select_option(index=0)
                wait_until(lambda: page.evaluate(COLUMNS)["trial"] == ended.summary().index.tolist())
                shots = os.environ.get("DHPO_SCREENSHOTS")
                if shots:
                    page.screenshot(path=f"{shots}/watched.png", full_page=True)
                assert said == []
                browser.close()
        finally:
            watching.send_signal(signal.SIGINT)
    assert watching.returncode == 0
