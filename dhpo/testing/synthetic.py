"""Made-up durations and scores of trials, for the simulator."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

__all__ = ["Durations", "Scores", "learning_curves", "lognormal_stragglers"]

Durations = Callable[[int, int, int, random.Random], float]
Scores = Callable[[int, int], float]


def lognormal_stragglers(seconds_per_call: float, sigma: float) -> Durations:
    """Return durations of jobs of which some are much longer: a lognormal factor with a median of 1.

    Parameters
    ----------
    seconds_per_call : float
        The median.
    sigma : float
        Standard deviation of the logarithm of the factor, drawn anew for each job.

    Examples
    --------
    Where some jobs are much longer than others, schedules in which nobody waits end earlier:

    >>> from dhpo.schedules import ASHA, SuccessiveHalving
    >>> from dhpo.testing import lognormal_stragglers, simulate
    >>> durations = lognormal_stragglers(seconds_per_call=1.0, sigma=1.0)
    >>> waiting = simulate(SuccessiveHalving(81, 1, 81), workers=27, durations=durations)
    >>> asynchronous = simulate(ASHA(81, 1, 81), workers=27, durations=durations)
    >>> asynchronous.makespan < waiting.makespan
    True
    """

    def seconds(trial: int, calls_from: int, calls_to: int, rng: random.Random) -> float:
        return seconds_per_call * (calls_to - calls_from) * rng.lognormvariate(0.0, sigma)

    return seconds


def learning_curves(seed: int) -> Scores:
    """Return scores that rise with the resource, each trial at its own pace to its own end, with some noise."""

    def score(trial: int, resource: int) -> float:
        of_trial = random.Random(f"{seed} {trial}")
        end, pace = of_trial.random(), of_trial.uniform(0.2, 1.0)
        noise = random.Random(f"{seed} {trial} {resource}").gauss(0.0, 0.02)
        return end * (1 - math.pow(1 + resource, -pace)) + noise

    return score
