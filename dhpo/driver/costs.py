"""What a call, a score and the read of a block take, and which workers are slow, as far as it was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

__all__ = ["Costs"]

# Variances of the logarithm of a call's seconds: among models, among workers, and from one measurement to the next.
# Models differ far more than workers do; so one long call tells of its model, and only many of one worker tell of that.
_AMONG_MODELS = 1.0
_AMONG_WORKERS = 0.2
_NOISE = 0.05
# What is added with each measurement, for machines get other work and models change.
_DRIFT = 0.002
# A worker that is less slow than this is as the others.
_SLOW = 2.0
# Reading is cheap where it makes calls this much longer, even if no two of them share a read.
_CHEAP_READ = 0.05
# What one step tells of reading counts so much less with each step that follows: files come into the page cache.
_FADING = 0.9


@dataclass(slots=True)
class _Belief:
    value: float
    variance: float

    def learn(self, surprise: float, total_variance: float) -> None:
        gain = self.variance / total_variance
        self.value += gain * surprise
        self.variance *= 1 - gain
        self.variance += _DRIFT


class Costs:
    """Seconds of calls and scores on a usual worker, and by how much a worker is slower than that.

    A model that was not measured is taken as the mean of the others. Whether a long call is due to its model or to its
    worker is told by a Kalman filter over the logarithms of both, with their covariance neglected.

    References
    ----------
    .. [1] Kalman, R. E. (1960). A new approach to linear filtering and prediction problems. Journal of Basic
       Engineering 82(1), 35-45. https://doi.org/10.1115/1.3662552
    """

    def __init__(self) -> None:
        self._call: dict[int, float] = {}
        self._sums = [0.0, 0]
        self._score_sums = [0.0, 0]
        self._read_sums = [0.0, 0.0]
        self._log_costs: dict[int, _Belief] = {}
        self._log_slowness: dict[str, _Belief] = {}
        self._log_sums = [0.0, 0]
        self._usual: float | None = None  # of the logarithms of slowness; None: they have changed

    def measured(
        self, model: int, calls: int, fit_seconds: float, scored: bool, score_seconds: float, worker: str = ""
    ) -> None:
        """Take what a step reports of one model into account.

        Parameters
        ----------
        model, calls : int
        fit_seconds : float
            Of all the calls.
        scored : bool
        score_seconds : float
        worker : str
            Which did it.
        """
        if calls:
            if fit_seconds / calls > 0:
                self._attribute(model, worker, math.log(fit_seconds / calls))
            usual = fit_seconds / self.slowness(worker)
            self._call[model] = usual / calls
            self._sums[0] += usual
            self._sums[1] += calls
        if scored:
            self._score_sums[0] += score_seconds
            self._score_sums[1] += 1

    def read(self, blocks: int, seconds: float) -> None:
        """Take what a step reports of the blocks that it has read into account."""
        if blocks:
            self._read_sums = [_FADING * self._read_sums[0] + seconds, _FADING * self._read_sums[1] + blocks]

    @property
    def reading_is_cheap(self) -> bool:
        """Whether a block is read so much faster than a model is trained on it that nobody has to share the read."""
        seconds, blocks = self._read_sums
        return bool(blocks) and self.mean_call is not None and seconds / blocks < _CHEAP_READ * self.mean_call

    def call(self, model: int) -> float | None:
        """Seconds of one `partial_fit` call, None before anything was measured."""
        return self._call.get(model, self.mean_call)

    @property
    def mean_call(self) -> float | None:
        """Seconds of a call, over all models; None before anything was measured."""
        return self._sums[0] / self._sums[1] if self._sums[1] else None

    @property
    def score(self) -> float:
        """Seconds of one score, 0 before any was measured."""
        return self._score_sums[0] / self._score_sums[1] if self._score_sums[1] else 0.0

    def work(self, model: int, calls: int) -> float:
        """Seconds of so many calls and a score, on a usual worker; a call takes a second before any was measured."""
        call = self.call(model)
        return (1.0 if call is None else call) * calls + self.score

    def slowness(self, worker: str) -> float:
        """How many times longer than on the median worker a call takes there; 1.0 for all but stragglers."""
        if worker not in self._log_slowness:
            return 1.0
        if self._usual is None:
            self._usual = median(belief.value for belief in self._log_slowness.values())
        slowness = math.exp(self._log_slowness[worker].value - self._usual)
        return slowness if slowness >= _SLOW else 1.0

    def speed(self, workers: Iterable[str]) -> float:
        """What these workers do in the time in which a usual one makes one call."""
        return sum(1 / self.slowness(worker) for worker in workers)

    def _attribute(self, model: int, worker: str, observed: float) -> None:
        if model not in self._log_costs:
            mean = self._log_sums[0] / self._log_sums[1] if self._log_sums[1] else observed
            self._log_costs[model] = _Belief(mean, _AMONG_MODELS)
        cost = self._log_costs[model]
        slow = self._log_slowness.setdefault(worker, _Belief(0.0, _AMONG_WORKERS))
        surprise = observed - cost.value - slow.value
        total = cost.variance + slow.variance + _NOISE
        cost.learn(surprise, total)
        slow.learn(surprise, total)
        self._usual = None
        self._log_sums[0] += observed - slow.value
        self._log_sums[1] += 1
