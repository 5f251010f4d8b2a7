"""What tests share: a real cluster, and the proof that nothing of a test session is left behind."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from distributed import Client, LocalCluster


@pytest.fixture(scope="session", autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The temporary folder of the session and of all its processes; fails the session if a search leaves something."""
    folder = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch, dask.config.set(temporary_directory=str(folder)):
        for name in ("TMPDIR", "DASK_TEMPORARY_DIRECTORY"):
            patch.setenv(name, str(folder))
        patch.setattr(tempfile, "tempdir", None)
        yield folder
    leftovers = sorted(str(path.relative_to(folder)) for path in folder.rglob("dhpo-*"))
    assert not leftovers, f"left in the temporary folder: {leftovers}"


@pytest.fixture(scope="session", autouse=True)
def no_process_left(scratch: Path) -> Iterator[None]:
    """Fail the session if one of its processes outlives it."""
    yield
    _, alive = psutil.wait_procs(child_processes(), timeout=5)
    assert not alive, f"still running: {[process.cmdline() for process in alive]}"


@pytest.fixture(scope="session")
def cluster(no_process_left: None) -> Iterator[LocalCluster]:
    """Two worker processes of one thread."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        memory_limit="2GB",
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    """A client of the session's cluster, the default one during the test."""
    with Client(cluster) as client:
        client.wait_for_workers(2)
        yield client


def child_processes() -> list[psutil.Process]:
    """All processes started from this one, multiprocessing's own helper apart: it lives as long as its parent."""
    children = psutil.Process(os.getpid()).children(recursive=True)
    return [child for child in children if not any("resource_tracker" in word for word in child.cmdline())]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in one line what the tests need that were skipped."""
    reasons = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", ())]
    if reasons:
        terminalreporter.write_line(skipped_in_a_line(reasons))


def skipped_in_a_line(reasons: Iterable[str]) -> str:
    """How many tests were skipped for each reason, the most frequent first."""
    counts = Counter(reason.removeprefix("Skipped: ") for reason in reasons)
    each = "; ".join(f"{count} because {reason}" for reason, count in counts.most_common())
    return f"{counts.total()} skipped: {each}. What the system lacks, .ci/run installs with apt-get."
