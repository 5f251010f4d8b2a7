"""What the driver knows of the workers: who is there, how many threads each has, and what memory."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from dhpo.data.cache import CACHE_SHARE
from dhpo.data.memory import PAUSED_SHARE
from dhpo.storage.workspace import holds_token

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Workers"]

_LOOKS_AT_DETAILS = 5
# Of a small cluster the details are a short answer.
_LOOKS_AT_FEW, _FEW = 2, 20
# Workers give signs of life every half second; the more there are, the more seldom.
_SILENT_SECONDS, _SILENT_SECONDS_EACH = 5.0, 0.04
# Seconds that a sign of life is old, at most, when we see it.
_ON_ITS_WAY = 1.0
# Of the time between two looks: what is longer may be the driver's own standstill.
_LONGEST_GAP = 4.0
_PROBE_SECONDS = 10.0
# Between two looks whether a worker is there again.
_LOOKS_SECONDS = 0.1

logger = logging.getLogger(__name__)

# What a worker holds with scikit-learn and Dask loaded, and before any data.
_RESIDENT_BYTES = 250_000_000


@dataclass(frozen=True, slots=True)
class _Worker:
    threads: int
    memory_limit: int
    managed: int = 0


@dataclass(slots=True)
class _Heard:
    """The last sign of life of a worker.

    Parameters
    ----------
    sign : float
        When the scheduler got it, by its own clock.
    looked : float
        When we saw it last, by ours.
    new : float
        When it was new for us.
    silence : float
        Seconds since then.
    """

    sign: float
    looked: float
    new: float
    silence: float = 0.0


class Workers:
    """The worker threads of a cluster, and which of them are busy with steps.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._workers: dict[str, _Worker] = {}
        self._names: dict[str, str] = {}
        self._busy: Counter[str] = Counter()
        self._present: Set[str] = frozenset()
        self._paused: Set[str] = frozenset()
        self._overfull: tuple[int, int] | None = None
        self._heard: dict[str, _Heard] = {}
        self._looks = -1
        self._token: tuple[str, str] | None = None
        self._sees_folder: dict[str, bool] = {}
        self._excluded: set[str] = set()
        self._probes: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._workers)

    @property
    def addresses(self) -> list[str]:
        """The workers that can be used."""
        return list(self._workers)

    @property
    def present(self) -> Set[str]:
        """The addresses that the scheduler knows, usable or not."""
        return self._present

    @property
    def paused(self) -> Set[str]:
        """Those of them that begin no task, because they hold too much memory."""
        return self._paused

    @property
    def overfull(self) -> tuple[int, int] | None:
        """What one of them holds and may hold, in bytes, where none can begin a task until somebody gives them more.

        All are paused, while they do nothing, and for what is no data that Dask looks after. None: there is hope.
        """
        return self._overfull

    def silent_for(self, address: str) -> float:
        """Seconds since a worker gave its last sign of life, if that is longer than it can be by chance; else 0.

        It may be frozen, or hold its interpreter in one long call, and cannot be told from the other.
        """
        heard = self._heard.get(address)
        patience = _SILENT_SECONDS + _SILENT_SECONDS_EACH * len(self._heard)
        return heard.silence if heard is not None and heard.silence > patience else 0.0

    @property
    def silent(self) -> set[str]:
        """The workers that give no sign of life, usable or not."""
        return {address for address in self._present if self.silent_for(address)}

    @property
    def alive(self) -> list[str]:
        """The workers that can be used, without those that give no sign of life."""
        return [address for address in self._workers if not self.silent_for(address)]

    def anywhere(self) -> dict[str, Any]:
        """Arguments of a client's `submit` for a task that any worker can run."""
        alive = self.alive
        # Nobody knows of one that was silent from the start whether it sees the folder.
        if not alive or self._present - self._paused <= set(alive):
            return {}
        # Workers that are restarted have other addresses; but some of those that join may not see the folder.
        return {"workers": alive, "allow_other_workers": not self.some_see_no_folder}

    def is_stranded(self, where: Mapping[str, Any]) -> bool:
        """Whether all workers are gone that a task may run on, which was submitted with these arguments of `anywhere`.

        Others are there, but nobody would ever begin it.
        """
        strict = where and not where["allow_other_workers"]
        return bool(strict and self._present and self._present.isdisjoint(where["workers"]))

    def was_alive(self, address: str, time: float) -> bool:
        """Whether a worker is known to have given a sign of life after some time of the event loop's clock."""
        heard = self._heard.get(address)
        return heard is not None and heard.new > time + _ON_ITS_WAY

    @property
    def some_see_no_folder(self) -> bool:
        """Whether there are workers besides that cannot, where the others share a folder with the driver."""
        return self._token is not None and not all(self._sees_folder.values())

    @property
    def n_threads(self) -> int:
        """Threads of all workers."""
        return sum(worker.threads for worker in self._workers.values())

    @property
    def free(self) -> list[str]:
        """The address of a worker for each of its threads that has nothing to do, one of each worker first.

        None of a worker that gives no sign of life.
        """
        idle = {a: w.threads - self._busy[a] for a, w in self._workers.items() if not self.silent_for(a)}
        depth = max(idle.values(), default=0)
        return [address for level in range(depth) for address, threads in idle.items() if threads > level]

    def name(self, address: str) -> str:
        """What a worker is called where people read of it, also one that is gone; its address where it has no name."""
        return self._names.get(address, address)

    def memory_limit(self, address: str) -> int:
        """Bytes that a worker may use."""
        return self._workers[address].memory_limit

    async def some_alive(self) -> None:
        """Return as soon as there is a worker; to be awaited under a `dhpo.cluster.watchdog.Watch`, for a deadline."""
        while not self.alive:
            await asyncio.sleep(_LOOKS_SECONDS)

    async def smallest(self, most: int) -> dict[str, int]:
        """The workers with the least memory, and the bytes of each that are data which Dask itself looks after.

        None of a worker that gives no sign of life; but one at least, see `some_alive`.
        """
        await self.some_alive()
        chosen = sorted(self.alive, key=lambda address: self._workers[address].memory_limit)[:most]
        return {address: self._workers[address].managed for address in chosen}

    @property
    def least_memory(self) -> int:
        """Bytes that the worker with the least memory may use; 0 while there is none."""
        return min((worker.memory_limit for worker in self._workers.values()), default=0)

    @property
    def most_threads(self) -> int:
        """Threads of the worker that has most."""
        return max((worker.threads for worker in self._workers.values()), default=1)

    def cache_holds(self, nbytes: int) -> bool:
        """Whether so many bytes of blocks, by our estimate, fit into the cache of each worker."""
        return nbytes <= self.least_memory * CACHE_SHARE - _RESIDENT_BYTES

    def occupy(self, address: str) -> None:
        """A step was sent to a worker."""
        self._busy[address] += 1

    def release(self, address: str) -> None:
        """A step came back from a worker."""
        self._busy[address] -= 1
        if not self._busy[address]:
            del self._busy[address]

    def exclude(self, address: str) -> None:
        """Never give a worker work again, under this address."""
        self._excluded.add(address)
        self._workers.pop(address, None)

    async def refresh(self) -> None:
        """Ask the scheduler who is there now.

        The details of all workers are a long answer from a large cluster; they are asked for only when a worker has
        come or gone, and now and then, because workers may be paused.
        """
        if self._client.scheduler is None:
            raise OSError("the client is closed")
        # No deadline for the answers of the scheduler: the watch does not wait for them, and has one.
        threads = await self._client.nthreads()
        self._looks += 1
        every = _LOOKS_AT_FEW if len(threads) <= _FEW else _LOOKS_AT_DETAILS
        if threads.keys() == self._present and self._looks % every:
            return
        self._present = threads.keys()
        identity = await self._client.scheduler.identity(n_workers=-1)
        found = identity["workers"]
        self._names.update((address, str(worker.get("name", address))) for address, worker in found.items())
        self._listen({address: worker["last_seen"] for address, worker in found.items()})
        self._paused = {address for address, worker in found.items() if worker.get("status") == "paused"}
        self._overfull = _overfull(found)
        if self._token is not None:
            # In the background: a worker that dies just now does not answer for half a minute.
            for address in found.keys() - self._sees_folder.keys() - self._probes.keys():
                self._probes[address] = asyncio.create_task(self._probe(address))
            found = {address: worker for address, worker in found.items() if self._sees_folder.get(address)}
        self._workers = {
            address: _Worker(
                worker["nthreads"],
                worker["memory_limit"] or _memory_of_host(found),
                worker.get("metrics", {}).get("managed_bytes", 0),
            )
            for address, worker in sorted(found.items(), key=lambda item: str(item[1].get("name")))
            if worker.get("status", "running") == "running" and address not in self._excluded
        }

    def _listen(self, signs: dict[str, float]) -> None:
        now = asyncio.get_running_loop().time()
        self._heard = {a: self._heard.get(a, _Heard(sign, now, now)) for a, sign in signs.items()}
        for address, heard in self._heard.items():
            if heard.sign == signs[address]:
                heard.silence += min(now - heard.looked, _LONGEST_GAP)
            else:
                if self.silent_for(address):
                    logger.info("%s gives signs of life again, after %.0f s", address, heard.silence)
                heard.sign, heard.new, heard.silence = signs[address], now, 0.0
            heard.looked = now

    def lose_all(self) -> None:
        """Nobody can be reached: the scheduler does not answer."""
        self._workers, self._present, self._paused, self._heard = {}, frozenset(), frozenset(), {}
        self._overfull = None

    async def share_folder(self, token: tuple[str, str]) -> bool:
        """Find out whether every worker sees the folder of the driver.

        If so, workers that join later are used only if they see it as well.
        """
        self._token = token
        await asyncio.gather(*map(self._probe, self._workers))  # each has a deadline
        if not self._sees_folder or not all(self._sees_folder.values()):
            self._token = None
        return self._token is not None

    async def _probe(self, address: str) -> None:
        if self._token is None:
            return
        asking = self._client.run(holds_token, *self._token, workers=[address], on_error="return")
        try:
            answer = (await asyncio.wait_for(asking, _PROBE_SECONDS)).get(address)
        except (OSError, TimeoutError):
            answer = None
        if isinstance(answer, bool):  # else the worker could not be asked, and will be again
            self._sees_folder[address] = answer
            if not answer:
                logger.info("worker %s does not see %s", address, self._token[0])
        self._probes.pop(address, None)
        self._looks = -1  # so that the next look finds it

    def close(self) -> None:
        """Ask nobody any more."""
        for probe in self._probes.values():
            probe.cancel()


def _overfull(workers: dict[str, Any]) -> tuple[int, int] | None:
    """See `Workers.overfull`; of what `Scheduler.identity` says of the workers."""
    found = None
    for worker in workers.values():
        metrics, limit = worker.get("metrics", {}), worker["memory_limit"]
        held = metrics.get("memory", 0) - metrics.get("managed_bytes", 0)
        counts = metrics.get("task_counts", {})
        at_work = any(counts.get(state) for state in ("executing", "long-running"))
        if worker.get("status") != "paused" or at_work or held <= PAUSED_SHARE * limit:
            return None
        found = (held, limit)
    return found


def _memory_of_host(workers: dict[str, Any]) -> int:
    """A share for a worker that has no limit of its own."""
    return int(psutil.virtual_memory().total // max(len(workers), 1))
