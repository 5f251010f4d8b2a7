"""Run a schedule on made-up workers and a made-up clock, to see what it would cost on 10,000 of them."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from operator import attrgetter

from dhpo.errors.checks import checked_int
from dhpo.schedules.base import Schedule
from dhpo.testing.synthetic import Durations, Scores, learning_curves, lognormal_stragglers
from dhpo.trial import Decision, Report, Train

__all__ = ["Simulation", "simulate"]


@dataclass(frozen=True)
class Simulation:
    """What came of `simulate`.

    Attributes
    ----------
    makespan : float
        Virtual seconds until the schedule was done.
    busy : float
        Share of all workers' seconds spent on work that was used: neither lost nor ahead of a promotion that never
        came.
    occupied : float
        Share of all workers' seconds spent on any work.
    useful, wasted : int
        `partial_fit` calls that were used, and whole calls that were not.
    lost : int
        Jobs that were lost and had to start again.
    reports : tuple of (float, Report)
        With the second in which each was told.
    decisions : mapping of int to tuple of Decision
        By trial.
    promotions : mapping of (int, int) to int
        By bracket and rung: the number of trials that were promoted out of it.
    finishes : tuple of float
        Seconds in which a trial was trained to the most calls of the plan, rising.

    Examples
    --------
    >>> from dhpo.schedules import SuccessiveHalving
    >>> from dhpo.testing import simulate
    >>> schedule = SuccessiveHalving(n_initial_parameters=9, n_initial_iter=1)
    >>> simulation = simulate(schedule, workers=3, durations=1.0)
    >>> simulation.useful
    21
    >>> {rung: n_promoted for (bracket, rung), n_promoted in simulation.promotions.items()}
    {0: 3, 1: 1}
    >>> simulation.finished_by(simulation.makespan)
    1
    """

    makespan: float
    busy: float
    occupied: float
    useful: int
    wasted: int
    lost: int
    reports: tuple[tuple[float, Report], ...]
    decisions: Mapping[int, tuple[Decision, ...]]
    promotions: Mapping[tuple[int, int], int]
    finishes: tuple[float, ...]

    def finished_by(self, time: float) -> int:
        """Return how many trials were trained to the most calls of the plan by then, failures not counted."""
        return bisect_right(self.finishes, time)


def simulate(
    schedule: Schedule,
    *,
    workers: int,
    durations: float | Durations,
    scores: Scores | None = None,
    speculate: bool = False,
    drop_rate: float = 0.0,
    seed: int = 0,
    speeds: Sequence[float] | None = None,
    calls_per_step: int | None = None,
) -> Simulation:
    """Run a schedule to its end on virtual workers.

    A worker runs one job at a time. Later rungs go first, then lower trial numbers; the worker that has been free for
    longest takes the job. All that happens at one moment is told before the schedule is asked; an asynchronous one is
    asked once for each free worker.

    Parameters
    ----------
    schedule : Schedule
        A new one.
    workers : int
        Number of workers.
    durations : float or callable
        Seconds of one `partial_fit` call; or a function of (trial, calls_from, calls_to, rng) that returns the seconds
        of the whole job, as `lognormal_stragglers` makes one. `rng` is a `random.Random` that depends on the seed, the
        trial, the calls and how often it was lost: a job takes as long under any schedule, on any number of workers.
    scores : callable, optional
        Function of (trial, resource). Default: learning curves made up from the seed.
    speculate : bool, default False
        Idle workers train the `leading` trials of the schedule ahead. A trial is trained so until it is promoted (the
        work is then the job's), or is leading no longer, or a job needs the worker; the training started last gives
        way first.
    drop_rate : float, default 0.0
        Probability that a running job is lost in a second, and starts again, as in the experiments on ASHA. Jobs much
        longer than its inverse hardly ever end.
    seed : int, default 0
        Of scores, durations and lost jobs.
    speeds : sequence of float, optional
        Factor for each worker: a worker of speed 0.1 takes ten times as long. Default: 1 for all.
    calls_per_step : int, optional
        A job is cut into steps of so many calls, and each goes to any worker, as the executor of dhpo does it. Default:
        a job stays where it began. A `durations` function is asked, and a job lost, by the step.

    Returns
    -------
    Simulation

    Examples
    --------
    How much faster is a search on 100 workers than on 10, if a call takes a second?

    >>> from dhpo.schedules import Hyperband
    >>> from dhpo.testing import simulate
    >>> simulate(Hyperband(max_iter=81), workers=10, durations=1.0).makespan
    183.0
    >>> simulate(Hyperband(max_iter=81), workers=100, durations=1.0).makespan
    82.0
    """
    workers = checked_int("workers", workers)
    if not callable(durations):
        if not isinstance(durations, Real) or not 0 <= durations < math.inf:
            raise ValueError(f"durations={durations!r} is not allowed: give seconds >= 0 or a function.")
        durations = lognormal_stragglers(float(durations), 0.0)
    if not 0 <= drop_rate < 1:
        raise ValueError(f"drop_rate={drop_rate!r} is not allowed: give a number >= 0 and < 1.")
    if speeds is not None and (len(speeds) != workers or not all(0 < speed < math.inf for speed in speeds)):
        raise ValueError(f"speeds={speeds!r} is not allowed: give a number > 0 for each of {workers} workers.")
    if calls_per_step is not None:
        calls_per_step = checked_int("calls_per_step", calls_per_step)
    scores = scores or learning_curves(seed)
    return _VirtualRun(
        schedule, workers, durations, scores, speculate, 1 - drop_rate, seed, speeds, calls_per_step
    ).run()


@dataclass(slots=True)
class _Stretch:
    trial: int
    worker: int
    calls: int
    began: float
    seconds: float
    lost: bool


@dataclass(slots=True)
class _Model:
    calls: int = 0  # seen, in stretches that ended
    asked: Train | None = None  # and not reported yet; what is trained without it is ahead
    stretch: _Stretch | None = None  # that runs
    n_lost: int = 0
    calls_ahead: int = 0
    seconds_ahead: float = 0.0


@dataclass
class _VirtualRun:
    schedule: Schedule
    n_workers: int
    durations: Durations
    scores: Scores
    speculate: bool
    survival: float
    seed: int
    speeds: Sequence[float] | None
    calls_per_step: int | None

    def __post_init__(self) -> None:
        self._now = 0.0
        self._idle = deque(range(self.n_workers))  # the one free for longest first
        self._numbers = itertools.count()
        self._ends: list[tuple[float, int, _Stretch]] = []  # of stretches, which may have been interrupted since
        self._ready: list[tuple[int, int, Train]] = []  # by minus the rung, and trial: jobs that no worker has
        self._models: defaultdict[int, _Model] = defaultdict(_Model)
        self._ahead: dict[int, _Stretch] = {}  # by trial: what runs ahead, the last started last
        self._begun: set[int] = set()  # trials that run ahead, or did up to the resource that they lead to
        self._leading: tuple[Train, ...] | None = None  # as seen last; None: look again
        self._next_ahead: deque[Train] = deque()
        self._useful = self._wasted = self._lost = 0
        self._useful_seconds = self._seconds = 0.0
        self._reports: list[tuple[float, Report]] = []
        self._decisions: defaultdict[int, list[Decision]] = defaultdict(list)

    def run(self) -> Simulation:
        if hasattr(self.schedule, "begin"):
            self.schedule.begin(self.n_workers)
        self._decide()
        while not self.schedule.done:
            if not self._ends:
                raise RuntimeError("the schedule ran dry: ask() returned None while nothing was in training")
            self._now = self._ends[0][0]
            while self._ends and self._ends[0][0] == self._now:
                _, _, stretch = heapq.heappop(self._ends)
                if self._models[stretch.trial].stretch is stretch:
                    self._end(stretch)
            self._decide()
        return self._result()

    def _decide(self) -> None:
        asynchronous = self.schedule.asynchronous
        if asynchronous:
            self._start_ready()
        while (self._idle or not asynchronous) and (decision := self.schedule.ask()) is not None:
            self._take(decision)
            if asynchronous:
                self._start_ready()
        self._start_ready()
        if self.speculate and (self._idle or self._ahead):
            self._train_ahead()

    def _take(self, decision: Decision) -> None:
        trial = decision.trial
        self._decisions[trial].append(decision)
        self._begun.discard(trial)
        model = self._models[trial]
        if isinstance(decision, Train):
            self._not_ahead(trial)
            model.asked = decision
            self._use(model)
            if model.stretch is None:
                self._go_on(model, decision)
        else:
            if trial in self._ahead:
                self._stop(self._ahead[trial], in_vain=True)
            self._wasted += model.calls_ahead
            del self._models[trial]

    def _go_on(self, model: _Model, asked: Train) -> None:
        if model.calls < asked.resource:
            heapq.heappush(self._ready, (-asked.rung, asked.trial, asked))
            return
        model.asked = None
        report = Report(asked.trial, asked.resource, self.scores(asked.trial, asked.resource))
        self._reports.append((self._now, report))
        self.schedule.tell(report)

    def _start_ready(self) -> None:
        while self._ready and (self._idle or self._ahead):
            _, _, asked = heapq.heappop(self._ready)
            if not self._idle:
                self._stop(next(reversed(self._ahead.values())), in_vain=True)
            self._start(asked)

    def _train_ahead(self) -> None:
        # Leading trials are many and change by one at a time, so they are looked through only when they did change.
        leading = self.schedule.leading()
        if leading is not self._leading:
            still = set(map(attrgetter("trial"), leading))
            for trial in sorted(self._ahead.keys() - still):
                self._stop(self._ahead[trial], in_vain=True)
            self._leading = leading
            self._next_ahead = deque([train for train in leading if train.trial not in self._begun])
        while self._idle and self._next_ahead:
            train = self._next_ahead.popleft()
            self._begun.add(train.trial)
            if self._models[train.trial].calls < train.resource:
                self._ahead[train.trial] = self._start(train)

    def _not_ahead(self, trial: int) -> None:
        if trial in self._ahead:
            del self._ahead[trial]
            self._begun.discard(trial)
            self._leading = None

    def _start(self, train: Train) -> _Stretch:
        model = self._models[train.trial]
        worker = self._idle.popleft()
        calls = train.resource - model.calls
        if self.calls_per_step is not None:
            calls = min(calls, self.calls_per_step)
        rng = random.Random(f"{self.seed} {train.trial} {model.calls} {model.n_lost}")
        seconds = self.durations(train.trial, model.calls, model.calls + calls, rng)
        if self.speeds is not None:
            seconds /= self.speeds[worker]
        until_lost = math.inf
        if self.survival < 1:
            until_lost = math.log(1 - rng.random()) / math.log(self.survival)
        model.stretch = stretch = _Stretch(train.trial, worker, calls, self._now, seconds, until_lost < seconds)
        heapq.heappush(self._ends, (self._now + min(seconds, until_lost), next(self._numbers), stretch))
        return stretch

    def _end(self, stretch: _Stretch) -> None:
        self._stop(stretch, in_vain=stretch.lost)
        model = self._models[stretch.trial]
        if stretch.lost:
            self._lost += 1
            model.n_lost += 1
        else:
            model.calls += stretch.calls
            model.calls_ahead += stretch.calls
            model.seconds_ahead += self._now - stretch.began
        if model.asked is not None:
            self._use(model)
            self._go_on(model, model.asked)

    def _stop(self, stretch: _Stretch, in_vain: bool) -> None:
        self._models[stretch.trial].stretch = None
        self._idle.append(stretch.worker)
        ran = self._now - stretch.began
        self._seconds += ran
        if in_vain and stretch.seconds > 0:
            self._wasted += min(stretch.calls, int(stretch.calls * ran / stretch.seconds))
        self._not_ahead(stretch.trial)

    def _use(self, model: _Model) -> None:
        self._useful += model.calls_ahead
        self._useful_seconds += model.seconds_ahead
        model.calls_ahead, model.seconds_ahead = 0, 0.0

    def _result(self) -> Simulation:
        available = self.n_workers * self._now or math.inf
        max_resource = self.schedule.plan().max_resource
        trains = [d for decisions in self._decisions.values() for d in decisions if isinstance(d, Train)]
        return Simulation(
            makespan=self._now,
            busy=self._useful_seconds / available,
            occupied=self._seconds / available,
            useful=self._useful,
            wasted=self._wasted,
            lost=self._lost,
            reports=tuple(self._reports),
            decisions={trial: tuple(decisions) for trial, decisions in self._decisions.items()},
            promotions=Counter((train.bracket, train.rung - 1) for train in trains if train.rung > 0),
            finishes=tuple(time for time, r in self._reports if r.resource == max_resource and not r.failed),
        )
