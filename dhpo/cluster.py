"""What the driver knows of the workers: who is there, how many threads each has, and what memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import psutil

from dhpo.workspace import holds_token

__all__ = ["Workers"]


@dataclass(frozen=True, slots=True)
class _Worker:
    threads: int
    memory_limit: int


class Workers:
    """The worker threads of a cluster, and which of them are busy with steps.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._workers: dict[str, _Worker] = {}
        self._busy: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._workers)

    @property
    def n_threads(self) -> int:
        """Threads of all workers."""
        return sum(worker.threads for worker in self._workers.values())

    @property
    def free(self) -> list[str]:
        """The address of a worker for each of its threads that has nothing to do, one of each worker first."""
        idle = {a: w.threads - self._busy[a] for a, w in self._workers.items()}
        depth = max(idle.values(), default=0)
        return [address for level in range(depth) for address, threads in idle.items() if threads > level]

    def memory_limit(self, address: str) -> int:
        """Bytes that a worker may use."""
        return self._workers[address].memory_limit

    def occupy(self, address: str) -> None:
        """A step was sent to a worker."""
        self._busy[address] += 1

    def release(self, address: str) -> None:
        """A step came back from a worker."""
        self._busy[address] -= 1

    async def refresh(self) -> None:
        """Ask the scheduler who is there now."""
        identity = await self._client.scheduler.identity(n_workers=-1)
        found = identity["workers"]
        self._workers = {
            address: _Worker(worker["nthreads"], worker["memory_limit"] or _memory_of_host(found))
            for address, worker in sorted(found.items(), key=lambda item: str(item[1].get("name")))
            if worker.get("status", "running") == "running"
        }

    async def share_folder(self, token: tuple[str, str]) -> bool:
        """Whether every worker sees the folder of the driver."""
        answers = await self._client.run(holds_token, *token, on_error="return")
        return bool(answers) and all(answer is True for answer in answers.values())


def _memory_of_host(workers: dict[str, Any]) -> int:
    """A share for a worker that has no limit of its own."""
    return int(psutil.virtual_memory().total // max(len(workers), 1))
