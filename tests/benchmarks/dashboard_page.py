"""What the page in Dask's dashboard costs: a search of 1,000 trials with 10 reports each, without and with the page.

    python tests/benchmarks/dashboard_page.py --viewer /usr/bin/chromium

The scheduler is a process of its own. With a viewer, a browser without a window looks at the page while the search
runs, and tells how often it was brought up to date, and how large the messages to it were.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import dask
import dask.array as da
import psutil
from distributed import Client
from scipy.stats import loguniform
from sklearn.linear_model import SGDClassifier

from dhpo import IncrementalSearchCV


@contextmanager
def cluster(workers: int) -> Iterator[tuple[psutil.Process, str, str]]:
    """The process of a scheduler, its address, and that of its dashboard."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"
        loopback = ["--scheduler-file", str(file), "--host", "127.0.0.1"]
        commands = [["scheduler", *loopback, "--port", "0", "--dashboard-address", "127.0.0.1:0"]]
        commands += [["worker", *loopback, "--nthreads", "1", "--no-dashboard"] for _ in range(workers)]
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for name, *options in commands:
                command = [sys.executable, "-m", f"distributed.cli.dask_{name}", *options]
                processes.append(
                    subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
                )
                while not file.exists() or not file.read_text():
                    time.sleep(0.05)
            told = json.loads(file.read_text())
            yield psutil.Process(processes[0].pid), told["address"], f"127.0.0.1:{told['services']['dashboard']}"
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()


class Viewer(threading.Thread):
    """Looks at the page until it is told to stop."""

    def __init__(self, browser: str, dashboard: str) -> None:
        super().__init__()
        self._browser, self._dashboard = browser, dashboard
        self.over = threading.Event()
        self.sizes: list[int] = []
        self.seconds = 0.0

    def run(self) -> None:
        from playwright.sync_api import Error, sync_playwright

        def received(frame: str | bytes) -> None:
            self.sizes.append(len(frame))

        with sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
            browser = playwright.chromium.launch(executable_path=self._browser, args=arguments)
            page = browser.new_page(viewport={"width": 1200, "height": 1300})
            page.on("websocket", lambda socket: socket.on("framereceived", received))
            while not self.over.is_set():
                try:
                    answer = page.goto(f"http://{self._dashboard}/dhpo", wait_until="load")
                except Error:
                    answer = None
                if answer is not None and answer.ok:
                    break
                time.sleep(0.2)
            began = time.monotonic()
            while not self.over.is_set():
                page.wait_for_timeout(100)
            self.seconds = time.monotonic() - began
            browser.close()


def run_once(arguments: argparse.Namespace, with_page: bool) -> dict[str, Any]:
    """One search; CPU of the scheduler and seconds, and what a viewer got."""
    X = da.random.default_rng(0).normal(size=(arguments.rows, 10), chunks=(arguments.rows // 10, 10)).persist()
    y = (X[:, 0] > 0).astype(int).persist()
    search = IncrementalSearchCV(
        SGDClassifier(),
        {"alpha": loguniform(1e-6, 1), "penalty": ["l1", "l2"]},
        arguments.trials,
        max_iter=arguments.reports,
        fits_per_score=1,
        random_state=0,
        verbose=0,
    )
    with (
        cluster(arguments.workers) as (scheduler, address, dashboard),
        dask.config.set({"dhpo.dashboard": with_page}),
        Client(address) as client,
    ):
        client.wait_for_workers(arguments.workers)
        viewer = Viewer(arguments.viewer, dashboard) if with_page and arguments.viewer else None
        before, began = cpu(scheduler), time.monotonic()
        run = search.start(X, y, classes=[0, 1])
        if viewer is not None:
            viewer.start()
        run.result()
        seconds, spent = time.monotonic() - began, cpu(scheduler) - before
        if viewer is not None:
            viewer.over.set()
            viewer.join()
        told = {"seconds": seconds, "scheduler": spent, "reports": len(search.history_)}
        if viewer is not None:
            told |= {"messages": len(viewer.sizes), "viewed": viewer.seconds, "largest": max(viewer.sizes, default=0)}
            later = sorted(viewer.sizes[5:])
            told["median"] = later[len(later) // 2] if later else 0
    return told


def cpu(process: psutil.Process) -> float:
    """Seconds that a process has computed."""
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Measure in turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--reports", type=int, default=10, help="of each trial (%(default)s)")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="runs without, and with the page (%(default)s)")
    parser.add_argument("--viewer", default="", help="a Chromium; without it nobody looks")
    arguments = parser.parse_args()
    found: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for _ in range(arguments.rounds):
        for with_page in (False, True):
            found[with_page].append(run_once(arguments, with_page))
            one = ", ".join(f"{name} {value:,.4g}" for name, value in found[with_page][-1].items())
            print(f"{'with the page' if with_page else 'without it'}: {one}", flush=True)
    without, with_it = (median([run["scheduler"] / run["seconds"] for run in found[kind]]) for kind in (False, True))
    print(f"CPU of the scheduler: {without:.1%} of a core without the page, {with_it:.1%} with it")
    largest = max((run.get("largest", 0) for run in found[True]), default=0)
    reports = sorted({run["reports"] for runs in found.values() for run in runs})
    print(json.dumps({"without": without, "with": with_it, "largest": largest, "reports": reports}))


if __name__ == "__main__":
    main()
