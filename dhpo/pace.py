"""How long a step should last: the longer, the less it costs to run it, and the more is lost with its worker."""

from __future__ import annotations

import math

__all__ = ["Pace"]

_SHORTEST_SECONDS = 0.2


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
