"""What a search costs a cluster: CPU, memory, tasks and bytes, measured from outside the library that runs it.

Runs in dask-ml's own environment too, so it knows neither dhpo nor the releases that dhpo needs.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from distributed import Client, LocalCluster
from distributed.diagnostics.plugin import SchedulerPlugin
from workload import USEFUL

MB = 1e6


class TaskCounter(SchedulerPlugin):
    """Counts what the scheduler ran, and the most bytes that it knew of in the memory of its workers."""

    name = "benchmark-task-counter"

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self.tasks: Counter[str] = Counter()
        self.managed_peak = 0
        self.workers_lost = 0

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        if start == "processing" and finish in ("memory", "erred"):
            name = key if isinstance(key, str) else key[0]
            self.tasks[str(name).split("-")[0]] += 1
        if finish == "memory":
            managed = sum(worker.nbytes for worker in self._scheduler.workers.values())
            self.managed_peak = max(self.managed_peak, managed)

    def remove_worker(self, *args: Any, **kwargs: Any) -> None:
        self.workers_lost += 1


class Meter:
    """Measures what happens between `start` and `stop` in the processes of a local cluster and in this one.

    Parameters
    ----------
    cluster : LocalCluster
        Of worker processes; its scheduler and the client live in this process.
    client : Client

    Notes
    -----
    CPU is `time.process_time` of every worker and of this process. Peaks of resident memory are the kernel's high-water
    mark, set back at the start (Linux). Bytes moved are those that workers count as sent, to each other or on request
    to the client; the bytes on the loopback device hold all else too: graphs, heartbeats, and other programs of the
    machine. Nothing of it runs beside the search, apart from the counting of transitions in the scheduler.
    """

    def __init__(self, cluster: LocalCluster, client: Client) -> None:
        self._cluster = cluster
        self._client = client

    def start(self) -> None:
        """Set all counters back."""
        self._counter = TaskCounter(self._cluster.scheduler)
        self._cluster.scheduler.add_plugin(self._counter)
        self._client.run(_reset)
        self._events = self._pauses()
        self._workers = self._client.run(_snapshot)
        self._loopback = _loopback_bytes()
        self._cpu = time.process_time()
        self._began = time.perf_counter()

    def stop(self) -> dict[str, Any]:
        """Figures since `start`, ready for JSON.

        Returns
        -------
        dict
            Seconds and bytes; `workers` holds a dict for each worker.
        """
        wall = time.perf_counter() - self._began
        driver_cpu = time.process_time() - self._cpu
        loopback = _loopback_bytes() - self._loopback
        after = self._client.run(_snapshot)
        self._cluster.scheduler.remove_plugin(name=self._counter.name)
        workers = []
        for address, snapshot in after.items():
            before = self._workers.get(address)
            same = before is not None and before["pid"] == snapshot["pid"]
            base: Mapping[str, Any] = before if same else Counter()
            added = {
                name: snapshot[name] - base[name] for name in ("cpu", "sent", "spilled", "read_calls", "disk_read")
            }
            peaks = {"rss_before": base["rss"], "rss_peak": snapshot["rss_peak"], "limit": snapshot["limit"]}
            workers.append({**added, **peaks, **snapshot["useful"], "restarted": not same})
        paused = self._pauses() - self._events
        total = {name: sum(worker[name] for worker in workers) for name in workers[0] if name != "restarted"}
        return {
            "wall": wall,
            "calls": total["calls"],
            "scores": total["scores"],
            "tasks": sum(self._counter.tasks.values()),
            "tasks_by_name": dict(self._counter.tasks),
            "useful_cpu": total["useful_cpu"],
            "worker_cpu": total["cpu"],
            "driver_cpu": driver_cpu,
            "all_cpu": total["cpu"] + driver_cpu,
            "moved": total["sent"],
            "loopback": loopback,
            "read_calls": total["read_calls"],
            "disk_read": total["disk_read"],
            "managed_peak": self._counter.managed_peak,
            "rss_grown": sum(worker["rss_peak"] - worker["rss_before"] for worker in workers),
            "spilled": total["spilled"],
            "paused": paused,
            "restarts": self._counter.workers_lost + sum(worker["restarted"] for worker in workers),
            "threads": sum(self._client.nthreads().values()),
            "workers": workers,
        }

    def _pauses(self) -> int:
        """How often workers were paused, by the events of the scheduler."""
        # Each is logged under the address of its worker.
        events = (event for topic in self._client.get_events().values() for _, event in topic)
        changes = (e for e in events if isinstance(e, dict) and e.get("action") == "worker-status-change")
        return sum(change.get("status") == "paused" for change in changes)


def idle_cpu(client: Client, seconds: float = 3.0) -> float:
    """CPU seconds that a cluster takes in each second for doing nothing: heartbeats, monitors, profilers."""
    workers, driver, began = client.run(time.process_time), time.process_time(), time.perf_counter()
    while time.perf_counter() - began < seconds:
        time.sleep(0.1)
    after = client.run(time.process_time)
    used = sum(after.values()) - sum(workers.values()) + time.process_time() - driver
    return used / (time.perf_counter() - began)


def _reset() -> None:
    USEFUL.reset()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM counts from here


def _snapshot(dask_worker: Any) -> dict[str, Any]:
    process = psutil.Process()
    io = process.io_counters() if hasattr(process, "io_counters") else None
    spilled = getattr(dask_worker.data, "cumulative_metrics", {})
    return {
        "pid": os.getpid(),
        "cpu": time.process_time(),
        "rss": process.memory_info().rss,
        "rss_peak": peak_rss(),
        "limit": dask_worker.memory_manager.memory_limit or 0,
        "sent": dask_worker.transfer_outgoing_bytes_total,
        "spilled": sum(n for name, n in dict(spilled).items() if "disk-write" in name and "bytes" in name),
        # What read(2) gave this process, from the page cache or not, and what came from a disk. Sockets are in neither.
        "read_calls": getattr(io, "read_chars", 0),
        "disk_read": getattr(io, "read_bytes", 0),
        "useful": {"useful_cpu": USEFUL.cpu, "calls": USEFUL.calls, "scores": USEFUL.scores},
    }


def peak_rss() -> int:
    """Most bytes that this process held resident, since the mark was set back where the system can."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _loopback_bytes() -> int:
    counters = psutil.net_io_counters(pernic=True)
    return next((c.bytes_sent for name, c in counters.items() if name.startswith("lo")), 0)


# -- many rounds ------------------------------------------------------------------------------------------------------


def median(rounds: Sequence[Mapping[str, Any]], name: str) -> float:
    """Median of one figure over rounds."""
    return float(statistics.median(one[name] for one in rounds))


def overhead_per_call(figures: Mapping[str, Any]) -> float:
    """CPU seconds of all processes that are not in `partial_fit` or scoring, for each call."""
    return (figures["all_cpu"] - figures["useful_cpu"]) / max(figures["calls"], 1)


def useful_share(figures: Mapping[str, Any]) -> float:
    """CPU in `partial_fit` and scoring as a share of all CPU."""
    return figures["useful_cpu"] / figures["all_cpu"]


def speed_probe() -> float:
    """Seconds that a fixed piece of Python takes now: on a shared machine, figures of unlike probes do not compare."""
    began = time.perf_counter()
    total = 0
    for number in range(3_000_000):
        total += number
    return time.perf_counter() - began


# -- tables -----------------------------------------------------------------------------------------------------------


def verdict(holds: bool, limit: str) -> str:
    """How a figure stands to what was asked for."""
    return f"{'holds' if holds else 'FALLS SHORT'} ({limit})"


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns of text, the first to the left and the others to the right, verdicts apart."""
    table = [list(header), *[list(row) + [""] * (len(header) - len(row)) for row in rows]]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    print(f"\n{title}")
    for number, row in enumerate(table):
        cells = [
            cell.ljust(width) if column == 0 or header[column] == "" else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print(("  " + "  ".join(cells)).rstrip())
        if number == 0:
            print("  " + "-" * (sum(widths) + 2 * (len(widths) - 1)))


def print_machine(*packages: str) -> None:
    """Print what the figures were measured on."""
    memory = psutil.virtual_memory().total
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"machine: {_processor()}, {os.cpu_count()} cores, {memory / 1e9:.0f} GB, {platform.system()} "
        f"{platform.release()}; load before the start {load:.1f}"
    )
    print("versions: " + versions(*packages))


def versions(*packages: str) -> str:
    """Python and some packages, as text."""
    found = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def print_json(result: Mapping[str, Any]) -> None:
    """Print one line for programs: the last of every benchmark."""
    print(json.dumps(result, default=float), flush=True)
