"""Conformance suites: what every schedule and every sampler has to keep, for tests of your own."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from dhpo.samplers.base import Sampler
from dhpo.schedules.base import Schedule
from dhpo.schedules.plan import Plan
from dhpo.trial import Decision, Drop, Report, Train

__all__ = ["check_sampler", "check_schedule"]

_N_ASKED = 40

Move = tuple[str, Any]  # ("ask", decision or None) or ("tell", report)


def check_schedule(
    make_schedule: Callable[[], Schedule], *, seed: int = 0, failures: float = 0.2, synchronous: bool = True
) -> None:
    """Run a schedule on made-up scores and check that it keeps its contract.

    It has to end, with one `Drop` for every trial; to train a trial further only after its last report, never after it
    was dropped or failed, and never beyond the plan; to change nothing when `ask` returns None; to be "done" when it
    is, and not to run dry before; and to repeat its decisions when told the same again.

    Parameters
    ----------
    make_schedule : callable
        Returns a new schedule, the same each time.
    seed : int, default 0
        Of the scores, the failures and the order in which trials complete.
    failures : float, default 0.2
        Share of the reports that fail; there are runs without any failure, too.
    synchronous : bool, default True
        Whether the decisions have to be the same for any order of completion, and what runs without failures has to be
        what the plan says. For asynchronous schedules, such as ASHA, pass False.

    Raises
    ------
    AssertionError
        Saying what was broken, and by which decision.

    Examples
    --------
    >>> from dhpo.schedules import ASHA, Hyperband
    >>> from dhpo.testing import check_schedule
    >>> check_schedule(lambda: Hyperband(max_iter=27))
    >>> check_schedule(lambda: ASHA(n_initial_parameters=9, n_initial_iter=1, max_iter=9), synchronous=False)
    """
    for share in dict.fromkeys((0.0, failures)):
        runs = [
            # With few workers trials are started late; with many, the schedule often has to say None.
            _Conversation(make_schedule(), seed=seed, n_workers=n_workers, failures=share, synchronous=synchronous)
            for n_workers in (7, 10**9)
        ]
        for run in runs:
            run.run()
            _replay(make_schedule(), run.moves, "told the same again, the schedule")
            without_none = [move for move in run.moves if move != ("ask", None)]
            _replay(
                make_schedule(),
                without_none,
                "ask() changed something while it returned None: without these calls the schedule",
            )
            if synchronous and share == 0.0:
                run.check_plan()
        if synchronous:
            _check_same_decisions(*runs)


class _Conversation:
    """One run on made-up workers that complete in a random order."""

    def __init__(self, schedule: Schedule, *, seed: int, n_workers: int, failures: float, synchronous: bool) -> None:
        self.schedule = schedule
        self.plan: Plan = schedule.plan()
        self.moves: list[Move] = []
        self.decisions: defaultdict[int, list[Decision]] = defaultdict(list)
        self._random = random.Random(f"{seed} {n_workers}")
        self._n_workers = n_workers
        self._seed = seed
        self._failures = failures
        self._synchronous = synchronous
        self._in_flight: dict[int, Train] = {}
        self._last_report: dict[int, Report] = {}
        self._dropped: dict[int, Drop] = {}
        self._on_rung: defaultdict[tuple[int, int], set[int]] = defaultdict(set)

    def run(self) -> None:
        waiting = False
        while not self.schedule.done:
            full = len(self._in_flight) >= self._n_workers
            if self._in_flight and (waiting or full or self._random.random() < 0.1):
                self._tell()
                waiting = self._random.random() < 0.2  # sometimes several reports at once
                continue
            decision = self._ask()
            waiting = decision is None and self._random.random() < 0.5  # sometimes asked again all the same
            _check(
                decision is not None or bool(self._in_flight) or self.schedule.done,
                "the schedule ran dry: ask() returned None while nothing was in training, and it is not done",
            )
        _check(not self._in_flight, f"the schedule is done while trials {sorted(self._in_flight)} are in training")
        missing = sorted(self.decisions.keys() - self._dropped.keys())
        _check(not missing, f"the schedule is done without a Drop for trials {missing}")
        extra = self.schedule.ask()
        _check(extra is None, f"{extra} came after the schedule was done")
        _check(self.schedule.done, "the schedule was done, and no longer is after ask()")

    def check_plan(self) -> None:
        calls = sum(report.resource for report in self._last_report.values())
        stopped_early = any(drop.reason == "plateau" for drop in self._dropped.values())
        for what, ran, planned in (
            ("trials", len(self.decisions), self.plan.n_trials),
            ("partial_fit calls", calls, self.plan.partial_fit_calls),
        ):
            _check(
                ran == planned or (stopped_early and ran < planned),
                f"the plan says {planned} {what}, {ran} ran, though nothing failed",
            )

    def _ask(self) -> Decision | None:
        decision = self.schedule.ask()
        self.moves.append(("ask", decision))
        if decision is None:
            return None
        trial = decision.trial
        _check(trial not in self._dropped, f"{decision} came after trial {trial} was dropped")
        _check(trial not in self._in_flight, f"{decision} came while trial {trial} is in training")
        if isinstance(decision, Train):
            self._check_train(decision)
            self._in_flight[trial] = decision
        else:
            self._check_drop(decision)
            self._dropped[trial] = decision
        self.decisions[trial].append(decision)
        return decision

    def _check_train(self, train: Train) -> None:
        known = self.decisions[train.trial]
        plan = self.plan
        _check(len(self.decisions) <= plan.n_trials, f"{train} starts more than the {plan.n_trials} trials planned")
        _check(train.resource <= plan.max_resource, f"{train} is beyond the plan's {plan.max_resource} calls")
        _check(train.resource >= 1, f"{train} asks for no training")
        if known:
            last = self._last_report[train.trial]
            before = next(d for d in reversed(known) if isinstance(d, Train))
            _check(not last.failed, f"{train} promotes a trial that failed")
            _check(train.resource > last.resource, f"{train} asks for no more than trial {train.trial} has seen")
            _check(train.bracket == before.bracket, f"{train} moves the trial out of bracket {before.bracket}")
            _check(train.rung >= before.rung, f"{train} moves the trial down from rung {before.rung}")
        rungs = next((b.rungs for b in plan.brackets if b.bracket == train.bracket), ())
        _check(train.rung < len(rungs), f"{train} is on a rung that the plan does not have")
        self._on_rung[train.bracket, train.rung].add(train.trial)
        if self._synchronous:
            there, room = len(self._on_rung[train.bracket, train.rung]), rungs[train.rung].n_trials
            _check(there <= room, f"{train} is trial {there} on a rung that the plan has {room} for")

    def _check_drop(self, drop: Drop) -> None:
        last = self._last_report.get(drop.trial)
        if last is None:
            raise AssertionError(f"{drop} came before any report of the trial")
        _check((drop.reason == "failed") == last.failed, f"{drop} does not fit its last report: {last}")

    def _tell(self) -> None:
        train = self._in_flight.pop(self._random.choice(sorted(self._in_flight)))
        report = self._report(train)
        self._last_report[train.trial] = report
        self.moves.append(("tell", report))
        self.schedule.tell(report)

    def _report(self, train: Train) -> Report:
        # A function of the trial and its resource alone, so that the order of completion cannot show in it.
        rng = np.random.default_rng([self._seed, train.trial, train.resource])
        if rng.random() < self._failures:
            if rng.random() < 0.5:
                return Report(train.trial, train.resource, float("nan"))
            return Report(
                train.trial,
                int(rng.integers(train.resource)),
                float("nan"),
                error="made up by dhpo.testing",
            )
        return Report(train.trial, train.resource, round(float(rng.random()), 1))  # rounded: ties have to happen


def _check_same_decisions(run: _Conversation, other: _Conversation) -> None:
    for trial in sorted(run.decisions.keys() | other.decisions.keys()):
        one, two = run.decisions[trial], other.decisions[trial]
        _check(one == two, f"the order of completion changed the decisions for trial {trial}: {one} and {two}")


def _replay(schedule: Schedule, moves: list[Move], complaint: str) -> None:
    for kind, what in moves:
        if kind == "tell":
            schedule.tell(what)
            continue
        decision = schedule.ask()
        _check(decision == what, f"{complaint} decided {decision} and not {what}")
    _check(schedule.done, f"{complaint} was not done")


def check_sampler(make_sampler: Callable[[], Sampler], *, seed: int = 0) -> None:
    """Check that the parameters of a trial depend on its number and the reports told, and on nothing else.

    Those of a sampler with ``learns = True`` may depend on all that it was asked and told before: the same again has to
    give the same. It is told of reports while other trials are under way, of failures, and of several resources.

    Parameters
    ----------
    make_sampler : callable
        Returns a new sampler, the same each time: with the same `random_state`.
    seed : int, default 0
        Of the order of asking and of the reports.

    Raises
    ------
    AssertionError
        Saying what was broken, and for which trial.

    Examples
    --------
    A sampler whose answer depends on what it was asked before does not pass:

    >>> from dhpo.testing import check_sampler
    >>> class Counting:
    ...     n_trials = None
    ...     asked = 0
    ...
    ...     def ask(self, number):
    ...         self.asked += 1
    ...         return {"alpha": 0.5**self.asked}
    ...
    ...     def tell(self, report):
    ...         pass
    >>> check_sampler(Counting)
    Traceback (most recent call last):
        ...
    AssertionError: trial ...: asked in another order, the sampler gave ...
    """
    n_trials = make_sampler().n_trials
    _check(n_trials is None or n_trials >= 1, f"n_trials is {n_trials!r}, allowed are None and at least 1")
    numbers = list(range(_N_ASKED if n_trials is None else min(n_trials, _N_ASKED)))
    in_order = make_sampler()
    given = {number: in_order.ask(number) for number in numbers}
    for number, params in given.items():
        _check(
            isinstance(params, dict) and all(isinstance(name, str) for name in params),
            f"trial {number}: {params!r} is not a dict with strings for keys",
        )
    if not getattr(in_order, "learns", False):
        shuffled = make_sampler()
        for number in random.Random(seed).sample(numbers, len(numbers)):
            _check_same(number, given[number], shuffled.ask(number), "asked in another order")
        alone = make_sampler()
        _check_same(numbers[-1], given[numbers[-1]], alone.ask(numbers[-1]), "asked alone")
    for n_workers in (1, 4):
        # Each search works with a copy of the user's.
        _check_repeats(make_sampler(), deepcopy(make_sampler()), numbers, n_workers, random.Random(seed))
    mutated = make_sampler()
    mutated.ask(numbers[0]).clear()
    fresh = make_sampler()
    fresh.ask(numbers[0])
    for number in numbers[1:]:
        _check_same(number, fresh.ask(number), mutated.ask(number), "after the caller changed another trial's dict")


def _check_repeats(first: Sampler, second: Sampler, numbers: list[int], n_workers: int, rng: random.Random) -> None:
    """Ask and tell two samplers the same, as a search does that trains some trials at a time up to two resources."""
    under_way: list[tuple[int, int]] = []  # number, resource
    for number in numbers:
        _check_same(number, first.ask(number), second.ask(number), "told the same reports")
        under_way.append((number, 1))
        while len(under_way) >= n_workers:
            trial, resource = under_way.pop(rng.randrange(len(under_way)))
            failed = rng.random() < 0.2
            if failed and rng.random() < 0.5:  # on the way
                report = Report(trial, resource - 1, float("nan"), error="made up by dhpo.testing", rung=resource // 3)
            else:
                report = Report(trial, resource, float("nan") if failed else rng.random(), rung=resource // 3)
            promoted = not failed and resource == 1 and rng.random() < 0.3
            if promoted:
                under_way.append((trial, 3))
            for sampler in (first, second):
                sampler.tell(report)
                if not promoted and hasattr(sampler, "drop"):
                    sampler.drop(Drop(trial, "failed" if failed else "finished" if resource == 3 else "not promoted"))


def _check_same(number: int, one: dict[str, Any], other: dict[str, Any], when: str) -> None:
    # By repr: values may be arrays, nan or estimators, whose == says something else.
    same = Counter(map(repr, one.items())) == Counter(map(repr, other.items()))
    _check(same, f"trial {number}: {when}, the sampler gave {other!r} and not {one!r}")


def _check(holds: bool, complaint: str) -> None:
    if not holds:
        raise AssertionError(complaint)
