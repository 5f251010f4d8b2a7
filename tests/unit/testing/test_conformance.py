from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
import scipy.stats

from dhpo.samplers import RandomSampler
from dhpo.schedules import BracketPlan, BracketSchedule, Hyperband, Plan, Rung
from dhpo.space.parameter_space import Space
from dhpo.testing import Simulation, check_sampler, check_schedule, lognormal_stragglers, simulate
from dhpo.trial import Drop, Report, Train


class Wrapped:
    """Hyperband, to be broken by one method."""

    def __init__(self):
        self.inner = Hyperband(27)

    @property
    def done(self):
        return self.inner.done

    def ask(self):
        return self.inner.ask()

    def tell(self, report):
        self.inner.tell(report)

    def plan(self):
        return self.inner.plan()


class NeverDone(Wrapped):
    @property
    def done(self):
        return False


class DoneTooSoon(Wrapped):
    def __init__(self):
        super().__init__()
        self.told = 0

    @property
    def done(self):
        return self.told > 3

    def tell(self, report):
        self.told += 1
        super().tell(report)


class DropsNothing(Wrapped):
    def ask(self):
        decision = super().ask()
        while isinstance(decision, Drop):
            decision = super().ask()
        return decision


class DropsAsFailed(Wrapped):
    def ask(self):
        decision = super().ask()
        return replace(decision, reason="failed") if isinstance(decision, Drop) else decision


class DropsTwice(Wrapped):
    again = None

    def ask(self):
        if self.again is not None:
            decision, self.again = self.again, None
            return decision
        decision = super().ask()
        self.again = decision if isinstance(decision, Drop) else None
        return decision


class DropsUnseen(Wrapped):
    def ask(self):
        return Drop(0, "finished")


class TellsFailedAsScored(Wrapped):
    def tell(self, report):
        super().tell(Report(report.trial, self.resource_of[report.trial], 0.0) if report.failed else report)

    def __init__(self):
        super().__init__()
        self.resource_of = {}

    def ask(self):
        decision = super().ask()
        if isinstance(decision, Train):
            self.resource_of[decision.trial] = decision.resource
        return decision


class AsksTheSameAgain(Wrapped):
    def ask(self):
        return Train(0, 1, 3)


class TrainsLess(Wrapped):
    def ask(self):
        decision = super().ask()
        return replace(decision, resource=1) if isinstance(decision, Train) else decision

    def tell(self, report):
        super().tell(report if report.failed else replace(report, resource=27))


class TrainsBeyondThePlan(Wrapped):
    def ask(self):
        decision = super().ask()
        return replace(decision, resource=decision.resource + 1) if isinstance(decision, Train) else decision

    def tell(self, report):
        super().tell(replace(report, resource=report.resource - 1))


class WrongRung(Wrapped):
    def ask(self):
        decision = super().ask()
        return replace(decision, rung=decision.rung + 1) if isinstance(decision, Train) else decision


class OptimisticPlan(Wrapped):
    def plan(self):
        return Hyperband(81).plan()


class SmallPlan(Wrapped):
    def __init__(self):
        self.inner = BracketSchedule(Plan((BracketPlan(0, (Rung(6, 1),)),)))

    def plan(self):
        return Plan((BracketPlan(0, (Rung(5, 1),)),))


class CrowdedRungs(Wrapped):
    """Keeps one trial more on the second rung than its plan says."""

    def __init__(self):
        self.inner = BracketSchedule(Plan((BracketPlan(0, (Rung(9, 1), Rung(4, 3))),)))

    def plan(self):
        return Plan((BracketPlan(0, (Rung(9, 1), Rung(3, 3))),))


class CountsItsCalls(Wrapped):
    """After three asks that gave nothing it decides otherwise."""

    nothing = 0

    def ask(self):
        decision = super().ask()
        if decision is None:
            self.nothing += 1
        if self.nothing > 3 and isinstance(decision, Drop) and decision.reason == "not promoted":
            return replace(decision, reason="plateau")
        return decision


class Forgetful(Wrapped):
    """Does not repeat itself."""

    numbers = itertools.count()

    def ask(self):
        decision = super().ask()
        if isinstance(decision, Drop) and decision.reason == "not promoted" and next(self.numbers) % 7 == 0:
            return replace(decision, reason="finished")
        return decision


class FirstCome(Wrapped):
    """Gives each first place to who comes first."""

    def __init__(self):
        super().__init__()
        self.told = 0

    def tell(self, report):
        self.told += 1
        super().tell(report if report.failed else replace(report, score=-float(self.told)))


class RunsDry(Wrapped):
    """Forgets a report."""

    skipped = False

    def tell(self, report):
        if self.skipped:
            super().tell(report)
        self.skipped = True


class Scripted:
    """Says one thing after the other, whatever it is told."""

    def __init__(self, *decisions, extra=None):
        self.decisions = list(decisions)
        self.extra = extra
        self.training = 0

    @property
    def done(self):
        return not self.decisions and not self.training

    def ask(self):
        if self.training:
            return None
        if not self.decisions:
            return self.extra
        decision = self.decisions.pop(0)
        self.training += isinstance(decision, Train)
        return decision

    def tell(self, report):
        self.training -= 1

    def plan(self):
        rungs = (Rung(2, 1), Rung(2, 2))
        return Plan((BracketPlan(0, rungs), BracketPlan(1, rungs)))


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ([Train(0, 1), Train(0, 1, rung=1)], "asks for no more than trial 0 has seen"),
        ([Train(0, 1), Train(0, 2, bracket=1, rung=1)], "moves the trial out of bracket 0"),
        ([Train(0, 1, rung=1), Train(0, 2, rung=0)], "moves the trial down from rung 1"),
        ([Train(0, 0)], "asks for no training"),
        ([Train(0, 1, bracket=2)], "a rung that the plan does not have"),
        ([Train(0, 2), Drop(0, "failed")], "does not fit its last report"),
    ],
)
def test_a_broken_decision_is_caught(decisions, message):
    with pytest.raises(AssertionError, match=message):
        check_schedule(lambda: Scripted(*decisions), failures=0.0, synchronous=False)


def test_training_a_failed_trial_is_caught():
    # Without failures nothing is wrong with it.
    decisions = [Train(0, 1), Train(0, 2, rung=1), Drop(0, "finished")]
    check_schedule(lambda: Scripted(*decisions), failures=0.0, synchronous=False)
    with pytest.raises(AssertionError, match="promotes a trial that failed"):
        check_schedule(lambda: Scripted(*decisions), failures=1.0, synchronous=False)


def test_a_decision_after_the_end_is_caught():
    with pytest.raises(AssertionError, match="after the schedule was done"):
        check_schedule(
            lambda: Scripted(Train(0, 2), Drop(0, "finished"), extra=Train(1, 1)), failures=0.0, synchronous=False
        )


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (NeverDone, "ran dry"),
        (RunsDry, "ran dry"),
        (DoneTooSoon, "done while trials"),
        (DropsNothing, "done without a Drop|ran dry"),
        (DropsAsFailed, "does not fit its last report"),
        (DropsTwice, "was dropped"),
        (DropsUnseen, "before any report"),
        (TellsFailedAsScored, "promotes a trial that failed|does not fit its last report"),
        (AsksTheSameAgain, "is in training"),
        (TrainsBeyondThePlan, "beyond the plan's 27 calls"),
        (WrongRung, "a rung that the plan does not have|the plan has"),
        (OptimisticPlan, "the plan says"),
        (SmallPlan, "starts more than the 5 trials planned"),
        (CrowdedRungs, "is trial 4 on a rung that the plan has 3 for"),
        (CountsItsCalls, "ask\\(\\) changed something while it returned None"),
        (Forgetful, "told the same again"),
        (FirstCome, "the order of completion changed the decisions"),
    ],
)
def test_a_broken_schedule_is_caught(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_schedule(broken)


def test_training_for_no_more_than_before_is_caught():
    with pytest.raises((AssertionError, ValueError), match=r"asks for no more|the Train asked for"):
        check_schedule(TrainsLess)


def test_an_asynchronous_schedule_may_depend_on_the_order():
    check_schedule(FirstCome, synchronous=False)


def test_the_unbroken_one_passes():
    check_schedule(Wrapped)


class WrappedSampler:
    n_trials = None

    def __init__(self):
        self.inner = RandomSampler(Space({"a": scipy.stats.uniform(), "b": [1, 2]}), 0)

    def ask(self, number):
        return self.inner.ask(number)

    def tell(self, report):
        self.inner.tell(report)


class OneAfterTheOther(WrappedSampler):
    """What a single random stream does."""

    def __init__(self):
        self.random = random.Random(0)

    def ask(self, number):
        return {"a": self.random.random()}

    def tell(self, report):
        pass


class Global(WrappedSampler):
    numbers = itertools.count()

    def ask(self, number):
        return {"a": next(self.numbers)}


class Shared(WrappedSampler):
    def __init__(self):
        self.params = {"a": 1}

    def ask(self, number):
        return self.params

    def tell(self, report):
        pass


class NoDict(WrappedSampler):
    def ask(self, number):
        return [("a", 1)]


class NoTrials(WrappedSampler):
    n_trials = 0


class LearnsFromTheClock(WrappedSampler):
    ticks = itertools.count()

    def tell(self, report):
        self.tick = next(self.ticks)

    def ask(self, number):
        return {"a": getattr(self, "tick", 0)}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (OneAfterTheOther, "asked in another order"),
        (Global, "the sampler gave"),
        (Shared, "changed another trial's dict"),
        (NoDict, "is not a dict"),
        (NoTrials, "n_trials is 0"),
        (LearnsFromTheClock, "told the same reports"),
    ],
)
def test_a_broken_sampler_is_caught(broken, message):
    with pytest.raises(AssertionError, match=message):
        check_sampler(broken)


def test_the_unbroken_sampler_passes():
    check_sampler(WrappedSampler)


def test_a_sampler_may_learn():
    class Learns(WrappedSampler):
        best = 0.0

        def tell(self, report):
            if not report.failed:
                self.best = max(self.best, report.score)

        def ask(self, number):
            return {"a": self.best}

    check_sampler(Learns)


def test_a_schedule_of_your_own_can_be_simulated():
    schedule = Hyperband(9)
    result = simulate(schedule, workers=4, durations=lognormal_stragglers(1.0, 0.5))
    assert isinstance(result, Simulation)
    assert result.useful == schedule.plan().partial_fit_calls
