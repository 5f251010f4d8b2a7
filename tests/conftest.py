"""What tests share: a real cluster, and the proof that nothing of a test session is left behind."""

from __future__ import annotations

import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from distributed import Client, LocalCluster
from distributed.utils import get_mp_context

# Hooks of pytest.
from tests.hanging import pytest_configure, pytest_runtest_protocol  # noqa: F401

# Begun first, so that no process is left with one of them while the other has nothing more to do.
_LONGEST = [
    "test_failures.py",
    "test_random_searches.py",
    "test_scheduler_lost.py",
    "test_examples.py",
    "test_resume.py",
    "test_frozen.py",
    "test_kubernetes.py",
    "test_memory.py",
    "test_protocol.py",
    "test_slurm.py",
    "test_whole_fits.py",
    "test_ssh.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, and leave the others in their order."""
    ranks = {name: rank for rank, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(_LONGEST)))


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
def ctrl_c_is_heeded() -> Iterator[None]:
    """What a shell starts in the background ignores it, and so would all processes that tests start and interrupt."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# What workers import before and during their first step.
_PRELOADED = [
    "distributed",
    "pandas",
    "sklearn.linear_model",
    "sklearn.metrics",
    "dhpo.worker.first_look",
    "dhpo.worker.step",
]
_METHOD = "distributed.worker.multiprocessing-method"


@pytest.fixture(scope="session", autouse=True)
def forked_workers(scratch: Path, ctrl_c_is_heeded: None) -> Iterator[None]:
    """Fork the workers of local clusters from a process that has imported what they need: it saves seconds for each."""
    with dask.config.set({_METHOD: "forkserver"}):
        get_mp_context().set_forkserver_preload(_PRELOADED)
        yield


@pytest.fixture(scope="module")
def spawned_workers(forked_workers: None) -> Iterator[None]:
    """Start the workers of a module's local clusters as users do."""
    with dask.config.set({_METHOD: "spawn"}):
        yield


@pytest.fixture(scope="session", autouse=True)
def no_process_left(forked_workers: None) -> Iterator[None]:
    """Fail the session if one of its processes outlives it."""
    yield
    _, alive = psutil.wait_procs(child_processes(), timeout=300)
    assert not alive, f"still running: {[process.cmdline() for process in alive]}"


def two_workers() -> LocalCluster:
    """Two worker processes of one thread."""
    return LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", memory_limit="2GB"
    )


def threads_of_this_process(n_threads: int) -> LocalCluster:
    """One worker of so many threads, cheap to start; what happens on it can be seen from here."""
    return LocalCluster(
        n_workers=1,
        threads_per_worker=n_threads,
        processes=False,
        host="127.0.0.1",
        protocol="tcp://",
        dashboard_address="127.0.0.1:0",
    )


@pytest.fixture(scope="session")
def cluster(no_process_left: None) -> Iterator[LocalCluster]:
    """The cluster that tests share which leave it as it was."""
    with two_workers() as cluster:
        yield cluster


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    """A client of the session's cluster, the default one during the test."""
    with Client(cluster) as client:
        client.wait_for_workers(2)
        yield client


def child_processes() -> list[psutil.Process]:
    """All processes started from this one, multiprocessing's own helpers apart: they live as long as their parent."""
    this = psutil.Process(os.getpid())
    return [child for child in this.children(recursive=True) if not _is_helper(child, this.pid)]


def _is_helper(process: psutil.Process, parent: int) -> bool:
    try:
        command = " ".join(process.cmdline())
        # The workers that were forked from the server are told by its command line, too.
        return "resource_tracker" in command or ("multiprocessing.forkserver" in command and process.ppid() == parent)
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return True


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
