"""How long a step should last: the longer, the less it costs to run it, and the more is lost with its worker."""

from __future__ import annotations

import math
from collections import deque
from statistics import median_low

__all__ = ["Pace"]

_SHORTEST_SECONDS = 0.2
# A step of several trials takes this share of what each thread has done before, between so many times what it costs
# besides: with decisions waiting for it, and without.
_SHARE_OF_WORK = 0.05
_TIMES_OVERHEAD_ASYNCHRONOUS = (1.0, 2.0)
_TIMES_OVERHEAD = (10.0, math.inf)
_SHORTEST_TOGETHER = 1e-3
_STEPS_REMEMBERED = 15


class Pace:
    """The length of steps on a cluster whose workers die now and then.

    Parameters
    ----------
    longest : float
        Seconds of a step while no worker has died.
    cost : float, default 0.01
        Seconds that a step costs besides its training: to submit it, to read and to write its models.

    References
    ----------
    .. [1] Young, J. W. (1974). A first order approximation to the optimum checkpoint interval. Communications of the
       ACM 17(9), 530-531. https://doi.org/10.1145/361147.361115
    """

    def __init__(self, longest: float, cost: float = 0.01) -> None:
        self._longest = longest
        self._cost = cost
        self._overheads: deque[float] = deque([cost], maxlen=_STEPS_REMEMBERED)
        self._worked = 0.0
        self._worker_seconds = 0.0
        self._deaths = 0

    def passed(self, seconds: float, n_workers: int) -> None:
        """So many workers were there for some time."""
        self._worker_seconds += seconds * n_workers

    def died(self) -> None:
        """A worker died in a step."""
        self._deaths += 1

    @property
    def step_seconds(self) -> float:
        """How long a step should last: sqrt(2 * cost * mean time between the deaths of a worker), Young's formula."""
        if not self._deaths:
            return self._longest
        between_deaths = self._worker_seconds / self._deaths
        best = math.sqrt(2 * self._cost * between_deaths)
        return min(max(best, _SHORTEST_SECONDS), self._longest)

    def came_back(self, seconds: float, overhead: float) -> None:
        """A step has come back.

        Parameters
        ----------
        seconds : float
            That it took on its worker.
        overhead : float
            That its thread was kept from work besides.
        """
        self._worked += seconds
        self._overheads.append(max(overhead, 0.0))

    def together(self, n_threads: int, asynchronous: bool) -> float:
        """How long a step of several trials should last that could be trained one after the other.

        What came of the first is known only when the last is done: after no more than a small share of the time that
        was spent before. Where the schedule decides anew with each score, it is no longer than its overhead asks for.

        Parameters
        ----------
        n_threads : int
        asynchronous : bool
            Whether the schedule decides anew with each score, or the sampler learns from it.
        """
        overhead = max(median_low(self._overheads), _SHORTEST_TOGETHER)
        least, most = _TIMES_OVERHEAD_ASYNCHRONOUS if asynchronous else _TIMES_OVERHEAD
        share = _SHARE_OF_WORK * self._worked / max(n_threads, 1)
        return min(max(share, least * overhead), most * overhead, self.step_seconds / 2)
