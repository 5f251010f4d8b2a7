"""The candidates of a search by whole fits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

from dhpo.history.events import StartedFrom
from dhpo.samplers.asking import Asking
from dhpo.samplers.enqueued import Enqueued
from dhpo.trial import Params, Report, plain

__all__ = ["Candidates"]


class Candidates(Sequence[Params]):
    """Parameters by number: all listed before the search, or drawn one after another by a sampler that learns.

    Parameters
    ----------
    listed : iterable of mapping
        Empty where there is a sampler.
    sampler : Enqueued, optional
        Asked for each candidate in turn when that is looked at first.
    n_drawn : int, default 0
        How many it is asked for.

    Attributes
    ----------
    sampler : Enqueued or None
    asking : Asking or None
        Of the sampler.
    points : dict of int to mapping
        Parameters that came from elsewhere, by the number of the candidate.
    """

    def __init__(self, listed: Iterable[Params] = (), sampler: Enqueued | None = None, n_drawn: int = 0) -> None:
        self.sampler = sampler
        self.points: dict[int, Params] = {} if sampler is None else sampler.points
        self.asking = None if sampler is None else Asking(sampler)
        self._known = [plain(params) for params in listed]
        self._n = n_drawn if sampler is not None else len(self._known)

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, number: int) -> Params: ...
    @overload
    def __getitem__(self, number: slice) -> list[Params]: ...
    def __getitem__(self, number: int | slice) -> Params | list[Params]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(self._n))]
        if not 0 <= number < self._n:
            raise IndexError(f"there are {self._n} candidates, and number {number} is not one of them")
        while self.asking is not None and len(self._known) <= number:
            self._known.append(plain(self.asking.ask(len(self._known))))
        return self._known[number]

    @property
    def n_known(self) -> int:
        """How many are listed, or were drawn."""
        return len(self._known)

    @property
    def task(self) -> asyncio.Future[Any] | None:
        """The drawing of a candidate in a thread, while that was not taken up."""
        return None if self.asking is None else self.asking.task

    async def finish_asking(self) -> None:
        """Wait for what is drawn in a thread."""
        if self.asking is not None:
            await self.asking.finish()

    def take_asked(self) -> int | None:
        """Take up the candidate that was drawn in a thread; its number, or None if there is none."""
        if self.asking is None or (asked := self.asking.taken()) is None:
            return None
        self._known.append(plain(asked[1]))
        return asked[0]

    def ask_ahead(self, n_queued: int, n_threads: int, seconds: float | None) -> None:
        """Have the next candidate drawn while all threads are busy, where they would wait for it.

        Parameters
        ----------
        n_queued : int
            Candidates that were looked at.
        n_threads : int
            Of the cluster.
        seconds : float or None
            That a candidate takes; None where that is not known.
        """
        asking = self.asking
        if asking is None or asking.under_way or seconds is None or self.n_known == len(self):
            return
        if self.n_known - n_queued < asking.n_ahead(n_threads, seconds):
            asking.begin(self.n_known)

    def give(self, points: Mapping[int, Params]) -> None:
        """Give candidates other parameters; of what is drawn one by one, a part of a point will do."""
        self.points.update(points)
        if self.sampler is None:
            for number, point in points.items():
                self._known[number] = plain(point)

    def start_from(self, event: StartedFrom) -> None:
        """What candidates and the sampler get from an earlier search was decided."""
        self.give(event.points)
        if self.sampler is not None:
            self.sampler.learn_from(event.learned)

    def tell(self, report: Report) -> None:
        """A candidate was scored, or failed."""
        if self.sampler is not None and not (self.asking and self.asking.given_up):
            self.sampler.tell(report)
