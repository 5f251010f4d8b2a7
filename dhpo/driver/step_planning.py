"""Which trials a free worker thread trains next, and how far: the pure part of the executor.

The most promising go first, each as far as it was asked for, so that those who stop early have the best of it. Where
reading a block costs too much for that, trials that go over the same blocks share each read: they are then taken from
the ones furthest behind, and are split into as many cohorts as there are threads.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from dhpo.driver.costs import Costs

__all__ = ["Assignment", "Ready", "UnderWay", "plan_steps"]

_LONGEST_RUN_OF_BLOCKS = 128
_SHORTEST_BLOCK = 1e-4  # seconds
# Near the end a long chain is cut to this share of what is left for each thread, so that no thread is left with it.
_LONGEST_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Ready:
    """A model that waits for a thread.

    Parameters
    ----------
    model : int
        Its number, see `dhpo.driver.folds`.
    calls : int
        `partial_fit` calls that its model has seen.
    target : int
        Calls at which it is scored; equal to `calls` where only the score is missing.
    rung : int
    home : str or None
        The worker that trained it last and may still hold its model.
    alone : bool
        Whether it must not share a step, because a step that it was in has failed.
    run_end : int
        Calls up to which its cohort of the last step meant to go on; less than `calls` once it is there.
    quarantined : bool
        Whether it runs in a process of its own, because workers have died while they trained it.
    candidate : int or None
        The same for those that train on different folds with the same parameters: they go into one cohort, where there
        is no lack of others. None: it is alone in this.
    promise : tuple of float
        The lowest goes first; see `dhpo.driver.promise`.
    """

    model: int
    calls: int
    target: int
    rung: int = 0
    home: str | None = None
    alone: bool = False
    run_end: int = 0
    quarantined: bool = False
    candidate: int | None = None
    promise: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Assignment:
    """One step to submit.

    Parameters
    ----------
    worker : str
    models : tuple of int
    until : int
        No trial is trained beyond this many calls in this step.
    rung : int
        The highest of the trials.
    run_end : int
        Where the run of the cohort ends that this step is a part of: the first of its trials is due there.
    quarantined : bool
        Whether the step runs in a process of its own.
    """

    worker: str
    models: tuple[int, ...]
    until: int
    rung: int
    run_end: int
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A step that runs now.

    Parameters
    ----------
    start : int
        Calls of the trial of it that was furthest behind.
    n_models : int
    run_end : int
        As that of its assignment.
    """

    start: int
    n_models: int
    run_end: int


def plan_steps(
    ready: Sequence[Ready],
    free: Sequence[str],
    n_threads: int,
    under_way: Sequence[UnderWay],
    costs: Costs,
    *,
    seconds: float,
    together: float,
    gather: bool,
) -> list[Assignment]:
    """Give work to free threads.

    Parameters
    ----------
    ready : sequence of Ready
    free : sequence of str
        A worker's address for each of its free threads.
    n_threads : int
        All threads, busy or not.
    under_way : sequence of UnderWay
    costs : Costs
    seconds : float
        How long a step may take.
    together : float
        The same for a step of several trials that could be trained one after the other, where they are taken by
        promise: what came of the first is known only when the last is done.
    gather : bool
        Whether the data is read again and again because it does not fit into the caches, and reading it costs more than
        it is worth to train the most promising first. Trials that would run ahead of others then wait for them, so that
        they read on together.

    Returns
    -------
    list of Assignment
        At most one for each free thread.
    """
    free = sorted(free, key=costs.slowness)
    steps = [
        Assignment(free.pop(0), (single.model,), single.target, single.rung, single.target, single.quarantined)
        for single in [r for r in ready if r.alone][: len(free)]
    ]
    sociable = [r for r in ready if not r.alone]
    unscored = [r for r in sociable if r.calls == r.target]
    for worker, share in _shares(_bundles(unscored, n_threads), free, costs, 0):
        free.remove(worker)
        steps.append(_assignment(worker, share, 0, costs, seconds))
    waiting = [r for r in sociable if r.calls < r.target]
    if not gather:
        return steps + _by_promise(waiting, free, n_threads, costs, seconds, together)
    group, until = _next_group(waiting, free, n_threads, under_way, costs)
    return steps + [
        _assignment(worker, share, until, costs, seconds)
        for worker, share in _shares(_bundles(group, n_threads), free, costs, until)
    ]


def _by_promise(
    ready: Sequence[Ready], free: Sequence[str], n_threads: int, costs: Costs, seconds: float, together: float
) -> list[Assignment]:
    """Steps of the most promising trials, each of which goes as far as it was asked for."""
    if not ready or not free:
        return []

    def longest_chain(bundle: list[Ready]) -> float:
        return max(_work([trial], costs) for trial in bundle)

    bundles = _bundles(sorted(ready, key=_by_key), n_threads)
    fair = _work(ready, costs) / n_threads
    if n_threads > 1:
        # All threads have work for so long; a chain that takes longer would be waited for in the end.
        bundles.sort(key=lambda bundle: min(fair - longest_chain(bundle), 0.0))
    speed = costs.speed(free)
    # Threads that are busy now want their share when they come back.
    most = min(together * speed, fair * n_threads * speed / (speed + n_threads - len(free)))
    taken: list[list[Ready]] = []
    filled = 0.0
    for bundle in bundles:
        if taken and filled > most - _SHORTEST_BLOCK:
            break
        taken.append(bundle)
        filled += min(_work(bundle, costs), together)
    cut = n_threads > 1 and len(bundles) > len(free)
    longest = min(seconds, max(together, _LONGEST_SHARE * fair)) if cut else seconds
    return [
        _assignment_by_promise(worker, share, costs, longest) for worker, share in _shares(taken, free, costs, None)
    ]


def _by_key(ready: Ready) -> tuple[tuple[float, ...], int]:
    return ready.promise, ready.model


def _work(trials: Sequence[Ready], costs: Costs) -> float:
    """Seconds that trials take until they are scored."""
    return sum(costs.work(r.model, r.target - r.calls) for r in trials)


def _next_group(
    ready: list[Ready],
    free: Sequence[str],
    n_threads: int,
    under_way: Sequence[UnderWay],
    costs: Costs,
) -> tuple[list[Ready], int]:
    """The trials that read on together now, and the calls at which the first of them are due."""
    if not ready or not free:
        return [], 0
    if len(ready) + sum(step.n_models for step in under_way) < n_threads:
        longest = min(ready, key=lambda r: (r.calls - r.target, r.calls, r.model))
        until = longest.target
        group = [r for r in ready if r.calls == longest.calls and r.target == until]
    else:
        behind = min(ready, key=lambda r: (r.calls, r.model))
        until = min(r.target for r in ready)
        group = [r for r in ready if r.calls < until]
        if behind.calls < behind.run_end and behind.home in free:
            # A cohort between two steps of one run goes on as it is, where its models and blocks are.
            return [r for r in group if r.home in free and r.calls < r.run_end], until
        if any(step.start <= behind.calls and step.run_end <= behind.calls for step in under_way):
            return [], until
    # Threads that are busy now want their share of the group when they come back.
    speed = costs.speed(free)
    share = len(group) if not under_way else math.ceil(len(group) * speed / (speed + n_threads - len(free)))
    taken: list[Ready] = []
    for bundle in _bundles(sorted(group, key=lambda r: (r.calls, r.model)), n_threads):
        if len(taken) >= share:
            break
        taken += bundle
    return taken, until


def _bundles(group: Sequence[Ready], n_threads: int) -> list[list[Ready]]:
    """What stays together: the folds of a candidate, if each thread still gets one; else each trial is alone."""
    bundles: dict[tuple[int, int], list[Ready]] = defaultdict(list)
    for trial in group:
        key = (0, trial.model) if trial.candidate is None else (1, trial.candidate)
        bundles[key].append(trial)
    return list(bundles.values()) if len(bundles) >= n_threads else [[trial] for trial in group]


def _shares(
    bundles: Sequence[list[Ready]], free: Sequence[str], costs: Costs, until: int | None
) -> list[tuple[str, list[Ready]]]:
    """Split bundles over the free threads: the dearest first, each to the thread that is done with it first."""
    if not free:
        return []
    loads = [0.0] * len(free)
    slow = [costs.slowness(worker) for worker in free]
    shares: dict[int, list[Ready]] = defaultdict(list)

    def cost(bundle: list[Ready]) -> float:
        ends = [(r, r.target if until is None else until) for r in bundle]
        return sum((costs.call(r.model) or 1.0) * max(end - r.calls, 1) for r, end in ends)

    for bundle in sorted(bundles, key=lambda b: (-cost(b), b[0].model)):
        calls = cost(bundle)
        done = [load + slowness * calls for load, slowness in zip(loads, slow, strict=True)]
        first = min(done)
        # The worker that holds the models saves reading them; not worth more than a tenth of a call.
        slots = [i for i, then in enumerate(done) if then <= first + 0.1 * calls]
        slot = next((i for i in slots if free[i] == bundle[0].home), done.index(first))
        loads[slot] = done[slot]
        shares[slot] += bundle
    return [(free[slot], sorted(share, key=lambda r: (r.calls, r.model))) for slot, share in sorted(shares.items())]


def _assignment(worker: str, share: list[Ready], until: int, costs: Costs, seconds: float) -> Assignment:
    """Cut a share to what a step can do in its time; the step itself stops when its time is over."""
    calls, run_end = share[0].calls, until
    if until > calls:
        slow = costs.slowness(worker)
        known = [slow * cost for cost in (costs.call(r.model) for r in share) if cost is not None]
        if known:
            fitting = sum(total <= seconds for total in accumulate(known))
            share = share[: _whole_candidates(share, max(fitting, 1))]
            until = min(until, calls + 1 + math.ceil(seconds / max(sum(known[: len(share)]), _SHORTEST_BLOCK)))
        until = min(until, calls + _LONGEST_RUN_OF_BLOCKS)
        share = [r for r in share if r.calls < until]  # others are further along than this step comes
    elif costs.score:
        share = share[: _whole_candidates(share, max(1, int(min(seconds / costs.score, len(share)))))]
    return Assignment(worker, tuple(r.model for r in share), until, max(r.rung for r in share), run_end)


def _assignment_by_promise(worker: str, share: list[Ready], costs: Costs, seconds: float) -> Assignment:
    """Cut a share to what a step can do in its time, unless all of it comes to its end."""
    first, *others = sorted(share, key=_by_key)
    start, until, fitting = first.calls, first.target, [first]
    for trial in others:
        earliest, last = min(start, trial.calls), max(until, trial.target)
        if (trial.calls, trial.target) == (start, until) or last - earliest <= _LONGEST_RUN_OF_BLOCKS:
            start, until = earliest, last
            fitting.append(trial)
    alike = all((r.calls, r.target) == (start, until) for r in fitting)
    if alike and costs.slowness(worker) * _work(fitting, costs) > seconds:
        return _assignment(worker, fitting, until, costs, seconds)
    until = min(until, start + _LONGEST_RUN_OF_BLOCKS)
    return Assignment(worker, tuple(r.model for r in fitting), until, max(r.rung for r in fitting), until)


def _whole_candidates(share: list[Ready], fitting: int) -> int:
    """So many of a share that no candidate is parted, unless it takes a whole step by itself."""
    cut, parted = fitting, share[fitting].candidate if fitting < len(share) else None
    while parted is not None and cut and share[cut - 1].candidate == parted:
        cut -= 1
    return cut or fitting
