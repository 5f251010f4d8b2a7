"""The loops of the papers, which benchmarks put beside the classes: calls made so far, and the score known then."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from learning_tasks import MAX_CALLS

__all__ = ["ETA", "Curve", "Scores", "asha", "calls_until", "hyperband"]

ETA = 3
# The score of a trial after so many calls.
Scores = Callable[[int, int], float]
# Calls of all trials so far, and the score that was known then.
Curve = Iterable[tuple[int, float]]


def asha(score: Scores, n_workers: int) -> Curve:
    """Algorithm 2 of Li et al. (2020), https://arxiv.org/abs/1810.05934, with trials that are paused and go on."""
    rungs: list[dict[int, float]] = [{} for _ in range(5)]
    promoted: list[set[int]] = [set() for _ in rungs]
    n_started = 0

    def get_job() -> tuple[int, int]:
        nonlocal n_started
        for rung in range(len(rungs) - 2, -1, -1):
            ranked = sorted(rungs[rung], key=lambda trial: (-rungs[rung][trial], trial))
            for trial in ranked[: len(ranked) // ETA]:
                if trial not in promoted[rung]:
                    promoted[rung].add(trial)
                    return trial, rung + 1
        n_started += 1
        return n_started - 1, 0

    calls, now = 0, 0
    running: list[tuple[int, int, int]] = []
    while True:
        while len(running) < n_workers:
            trial, rung = get_job()
            heapq.heappush(running, (now + _job(rung), trial, rung))
        now, trial, rung = heapq.heappop(running)
        calls += _job(rung)
        rungs[rung][trial] = score(trial, ETA**rung)
        yield calls, rungs[rung][trial]


def _job(rung: int) -> int:
    return ETA**rung - (ETA ** (rung - 1) if rung else 0)


def hyperband(score: Scores, n_workers: int) -> Curve:
    """Algorithm 1 of Li et al. (2018), https://jmlr.org/papers/v18/16-558.html, bracket by bracket, once."""
    calls = first = 0
    for n_trials, resource in ((81, 1), (34, 3), (15, 9), (8, 27), (5, 81)):
        trials, before = list(range(first, first + n_trials)), 0
        first += n_trials
        while trials and resource <= MAX_CALLS:
            scores: dict[int, float] = {}
            for trial in trials:  # all jobs of a rung take as long, so they end in this order on any workers
                calls += resource - before
                scores[trial] = score(trial, resource)
                yield calls, scores[trial]
            trials = sorted(sorted(scores, key=lambda trial: (-scores[trial], trial))[: len(trials) // ETA])
            before, resource = resource, resource * ETA


def calls_until(curve: Curve, target: float, most: int) -> float:
    """Calls made by all when the first score at least as high was known; infinite if that took more than `most`."""
    for calls, score in curve:
        if calls > most:
            break
        if score >= target:
            return calls
    return float("inf")
