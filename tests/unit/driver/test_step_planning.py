"""Who trains what next: nobody twice, nobody too far, no thread idle for ever, and few reads."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhpo.driver.costs import Costs
from dhpo.driver.promise import Promise
from dhpo.driver.step_planning import Ready, UnderWay, plan_steps
from dhpo.driver.trial_progress import TrialProgress
from dhpo.schedules import ASHA, Fixed, Hyperband, Incremental, SuccessiveHalving
from dhpo.schedules.base import Schedule
from dhpo.trial import Report, Train, Trial


def plan(ready, free, n_threads=None, under_way=(), costs=None, seconds=2.0, gather=False, together=None):
    n_threads = len(free) + len(under_way) if n_threads is None else n_threads
    together = seconds if together is None else together
    costs = costs or Costs()
    return plan_steps(ready, free, n_threads, under_way, costs, seconds=seconds, together=together, gather=gather)


def measured(**seconds_of):
    costs = Costs()
    for name, seconds in seconds_of.items():
        costs.measured(int(name.removeprefix("t")), 1, seconds, False, 0.0)
    return costs


# -- a search on a virtual clock


@dataclass
class Active:
    progress: TrialProgress
    calls: int = 0
    run_end: int = 0
    home: str | None = None
    busy: bool = False

    @property
    def target(self):
        return self.progress.target


@dataclass
class Simulation:
    """The executor and `run_step`, with costs that are made up and a clock that jumps."""

    schedule: Schedule
    n_threads: int
    gather: bool
    seed: int = 0
    seconds: float = 2.0
    together: float = 0.1
    score_seconds: float = 0.0
    call_seconds: tuple[float, float] = (0.001, 0.01)
    slowness: tuple[float, ...] = ()  # of the first workers
    now: float = 0.0
    reads: Counter = field(default_factory=Counter)  # of the block of a call, by a thread
    calls: Counter = field(default_factory=Counter)  # by trial
    reports: list = field(default_factory=list)  # trial and calls, as they came
    steps: int = 0
    idle: float = 0.0

    def run(self):
        rng = random.Random(self.seed)
        costs, active, under_way = Costs(), {}, []
        free = [f"worker-{i}" for i in range(self.n_threads)]
        cost = {n: rng.uniform(*self.call_seconds) for n in range(self.schedule.plan().n_trials)}
        promise = Promise(self.schedule.plan())
        while True:
            # An asynchronous schedule is asked for one trial at a time.
            asked = 0
            while (not self.schedule.asynchronous or asked < len(free)) and (decision := self.schedule.ask()):
                if isinstance(decision, Train):
                    trial = Trial(decision.trial, {}, decision.bracket)
                    progress = active.setdefault(decision.trial, Active(TrialProgress(trial, []))).progress
                    progress.target, progress.rung, progress.wanted = decision.resource, decision.rung, True
                    asked += 1
                else:
                    del active[decision.trial]
            if self.schedule.done:
                return self
            ready = [
                Ready(
                    n,
                    a.calls,
                    a.target,
                    a.progress.rung,
                    a.home,
                    False,
                    a.run_end,
                    promise=promise.of(a.progress, a.calls),
                )
                for n, a in active.items()
                if a.progress.wanted and not a.busy
            ]
            running = [UnderWay(step[2], len(step[3].models), step[3].run_end) for step in under_way]
            given = plan(ready, free, self.n_threads, running, costs, self.seconds, self.gather, self.together)
            check_assignments(given, ready, free, self.gather)
            for assignment in given:
                free.remove(assignment.worker)
                for n in assignment.models:
                    active[n].busy, active[n].run_end = True, assignment.run_end
                slowness = self.slowness_of(assignment.worker)
                end = self.now + self.step(assignment, active, {n: slowness * cost[n] for n in assignment.models})
                start = min(active[n].calls for n in assignment.models)
                heapq.heappush(under_way, (end, self.steps, start, assignment, self.outcome))
                self.steps += 1
            assert under_way, "nothing is under way and nothing was submitted: a deadlock"
            end, _, _, assignment, outcome = heapq.heappop(under_way)
            self.idle += (end - self.now) * len(free)
            self.now = end
            free.append(assignment.worker)
            for n, (calls, scored) in outcome.items():
                trial = active[n]
                spent = calls - trial.calls
                seconds = spent * cost[n] * self.slowness_of(assignment.worker)
                costs.measured(n, spent, seconds, scored, self.score_seconds, assignment.worker)
                self.calls[n] += spent
                trial.calls, trial.home, trial.busy = calls, assignment.worker, False
                if scored:
                    report = Report(n, calls, random.Random(self.seed * 1000 + n).random())
                    trial.progress.last, trial.progress.wanted = report, False
                    self.reports.append((n, calls))
                    self.schedule.tell(report)

    def slowness_of(self, worker):
        number = int(worker.removeprefix("worker-"))
        return self.slowness[number] if number < len(self.slowness) else 1.0

    def step(self, assignment, active, cost):
        """Set what came of a step, as `run_step` would; return how long it takes."""
        calls = {n: active[n].calls for n in assignment.models}
        elapsed, trained = 0.0, False
        for call in range(min(calls.values()), assignment.until):
            cohort = [n for n in calls if calls[n] == call < active[n].target]
            if not cohort:
                continue
            self.reads[assignment.worker, call] += 1
            for n in cohort:
                elapsed += cost[n]
                calls[n] += 1
                trained = True
                if elapsed > 2 * self.seconds:
                    break
            if elapsed > self.seconds:
                break
        due = [n for n in calls if calls[n] == active[n].target]
        scored = []
        while due and not (elapsed > self.seconds and (trained or scored)):
            scored.append(due.pop(0))
            elapsed += self.score_seconds
        self.outcome = {n: (calls[n], n in scored) for n in calls}
        return elapsed


def check_assignments(given, ready, free, gather):
    by_number = {r.model: r for r in ready}
    assert not Counter(a.worker for a in given) - Counter(free), "more than one step for a free thread"
    trials = [n for a in given for n in a.models]
    assert len(trials) == len(set(trials)) <= len(ready), "a trial is in two steps"
    assert set(trials) <= by_number.keys()
    for a in given:
        works = [by_number[n] for n in a.models]
        assert works
        assert len(works) == 1 or not any(w.alone for w in works)
        training = [w for w in works if w.calls < w.target]
        assert not training or len(training) == len(works), "one step trains some and only scores others"
        for w in training:
            assert w.calls < a.until
            assert a.until <= w.target or not gather
        if training:
            assert a.until <= max(w.target for w in training)
        assert a.rung == max(w.rung for w in works)


@pytest.mark.parametrize("gather", [False, True])
@pytest.mark.parametrize("n_threads", [1, 2, 3, 8, 200])
@pytest.mark.parametrize(
    ("call_seconds", "score_seconds"),
    [((0.001, 0.01), 0.0), ((0.001, 0.01), 0.3), ((0.05, 0.5), 0.1), ((0.001, 20.0), 5.0), ((0.0, 0.0), 0.0)],
)
def test_a_whole_search_comes_to_its_end(n_threads, gather, call_seconds, score_seconds):
    schedule = Hyperband(27)
    search = Simulation(schedule, n_threads, gather, call_seconds=call_seconds, score_seconds=score_seconds).run()
    assert sum(search.calls.values()) == schedule.plan().partial_fit_calls


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_threads", [1, 2, 4, 8])
@pytest.mark.parametrize("score_seconds", [0.0, 0.05])
def test_gathered_trials_read_each_block_of_a_pass_once_in_each_thread(n_threads, score_seconds, seed):
    # As long as there are several trials for each thread and all of them see a block within one step.
    search = Simulation(Hyperband(81), n_threads, True, seed, score_seconds=score_seconds).run()
    assert max(search.reads.values()) == 1
    assert sum(search.reads.values()) <= 81 * n_threads


@pytest.mark.parametrize("n_threads", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("call_seconds", [(0.001, 0.01), (0.05, 0.5)])
def test_a_search_reads_far_less_than_its_trials_would_alone(n_threads, call_seconds):
    schedule = Hyperband(81)
    search = Simulation(schedule, n_threads, True, call_seconds=call_seconds).run()
    assert sum(search.reads.values()) <= 3 * 81 * n_threads
    assert sum(search.reads.values()) < schedule.plan().partial_fit_calls


def test_threads_have_work_while_there_is_some():
    search = Simulation(Hyperband(81), 2, False, call_seconds=(0.05, 0.5)).run()
    assert search.idle < 0.1 * search.now * 2


# -- any state a search may be in


@st.composite
def states(draw):
    n_threads = draw(st.integers(1, 6))
    workers = [f"worker-{i // 2}" for i in range(n_threads)]
    n_free = draw(st.integers(0, n_threads))
    ready = []
    for n in range(draw(st.integers(0, 40))):
        target = draw(st.sampled_from([1, 3, 9, 27, 300]))
        calls = draw(st.integers(0, target))
        home = draw(st.sampled_from([None, "gone", *workers]))
        ready.append(
            Ready(
                n,
                calls,
                target,
                draw(st.integers(0, 3)),
                home,
                draw(st.integers(0, 9)) == 0,
                draw(st.integers(0, 9)),
                candidate=draw(st.sampled_from([None, n // 3])),
            )
        )
    under_way = [
        UnderWay(draw(st.integers(0, 27)), draw(st.integers(1, 9)), draw(st.integers(0, 81)))
        for _ in range(draw(st.integers(0, n_threads - n_free)))
    ]
    costs = Costs()
    for n in draw(st.sets(st.integers(0, 40))):
        costs.measured(n, draw(st.integers(0, 3)), draw(st.floats(0, 10)), draw(st.booleans()), draw(st.floats(0, 3)))
    return ready, workers[:n_free], n_threads, under_way, costs


@settings(derandomize=True, max_examples=300, deadline=None)
@given(states(), st.booleans(), st.sampled_from([0.01, 2.0]))
def test_any_plan_is_sound(state, gather, seconds):
    ready, free, n_threads, under_way, costs = state
    before = list(free)
    given = plan(ready, free, n_threads, under_way, costs, seconds, gather)
    check_assignments(given, ready, free, gather)
    assert free == before  # it is the caller's
    assert given == plan(ready, free, n_threads, under_way, costs, seconds, gather)
    if ready and free and not under_way:
        assert given, "work, a free thread, and nothing under way that would change that: a deadlock"
    if any(r.alone or r.calls == r.target for r in ready) and free:
        assert given, "nobody has to wait to be scored, or alone"
    for a in given:
        assert a.until <= a.run_end or a.until == 0


# -- single decisions


def together(n, calls=0, target=9, **kwargs):
    return [Ready(i, calls, target, **kwargs) for i in range(n)]


def test_no_thread_or_no_trial_is_no_step():
    assert plan(together(4), [], n_threads=2, under_way=[UnderWay(0, 1, 3), UnderWay(0, 1, 3)]) == []
    assert plan([], ["a", "b"]) == []


@pytest.mark.parametrize("gather", [False, True])
def test_trials_are_split_evenly_over_all_threads(gather):
    costs = measured(t0=0.01)
    steps = plan(together(20), ["a", "b", "c", "d"], costs=costs, gather=gather)
    assert sorted(a.worker for a in steps) == ["a", "b", "c", "d"]
    assert [len(a.models) for a in steps] == [5, 5, 5, 5]
    assert {(a.until, a.run_end) for a in steps} == {(9, 9)}


@settings(derandomize=True, deadline=None)
@given(st.lists(st.floats(0.001, 1.0), min_size=16, max_size=40), st.integers(1, 4))
def test_loads_differ_by_less_than_the_dearest_trial(call_seconds, n_threads):
    costs = measured(**{f"t{i}": seconds for i, seconds in enumerate(call_seconds)})
    steps = plan(together(len(call_seconds)), [f"w{i}" for i in range(n_threads)], costs=costs, seconds=1e6)
    assert sorted(n for a in steps for n in a.models) == list(range(len(call_seconds)))
    loads = [sum(call_seconds[n] for n in a.models) for a in steps]
    assert len(loads) == n_threads
    assert max(loads) - min(loads) <= 1.1 * max(call_seconds) + 1e-9


def folds(n_candidates, n_folds, calls=0):
    return [Ready(n, calls, 9, candidate=n // n_folds) for n in range(n_candidates * n_folds)]


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("n_busy", [0, 1])
@pytest.mark.parametrize("seconds", [2.0, 0.07])  # a step takes them all, or some seven
@pytest.mark.parametrize("unscored", [False, True])
def test_the_folds_of_a_candidate_are_in_one_cohort(n_threads, n_busy, seconds, unscored):
    ready = folds(12, 3, calls=9 if unscored else 0)
    costs = measured(**{f"t{r.model}": 0.01 * (1 + r.model % 5) / 3 for r in ready})
    costs.measured(99, 0, 0.0, True, 0.01)
    free = [f"worker-{i}" for i in range(n_threads)]
    steps = plan(ready, free, under_way=[UnderWay(0, 9, 9)] * n_busy, costs=costs, seconds=seconds)
    assert steps
    for step in steps:
        candidates = Counter(trial // 3 for trial in step.models)
        assert set(candidates.values()) == {3}


def test_the_folds_of_few_candidates_are_spread_so_that_no_thread_is_idle():
    costs = measured(t0=0.01)
    assert sorted(len(step.models) for step in plan(folds(1, 4), ["a", "b"], costs=costs)) == [2, 2]
    assert sorted(len(step.models) for step in plan(folds(2, 5), ["a", "b"], costs=costs)) == [5, 5]


def test_the_folds_of_a_candidate_are_parted_where_they_alone_take_longer_than_a_step():
    (step,) = plan(folds(2, 5), ["a"], costs=measured(**{f"t{i}": 1.0 for i in range(10)}))
    assert step.models == (0, 1)


def test_a_trial_goes_to_the_worker_that_holds_its_model():
    homes = ["b", "a", "b", "a", "a", "b", "a", "b"]
    ready = [Ready(i, 1, 9, home=home) for i, home in enumerate(homes)]
    for a in plan(ready, ["a", "b"]):
        assert {homes[n] for n in a.models} == {a.worker}


@pytest.mark.parametrize("gather", [False, True])
def test_a_thread_that_is_busy_gets_its_share_later(gather):
    steps = plan(
        together(20), ["a"], n_threads=2, under_way=[UnderWay(5, 10, 9)], costs=measured(t0=0.01), gather=gather
    )
    assert [len(a.models) for a in steps] == [10]


def test_where_reads_are_shared_those_furthest_behind_go_first_and_catch_up():
    ready = together(8, calls=0) + [Ready(i, 4, 9) for i in range(8, 16)] + [Ready(i, 5, 5 + 4) for i in range(16, 20)]
    (step,) = plan(ready, ["a"], gather=True)
    assert step.until == 9
    assert set(step.models) == set(range(20))


def test_trials_that_share_reads_stop_where_the_first_of_them_is_due():
    ready = [Ready(i, 1, 3) for i in range(5)] + [Ready(i, 1, 27) for i in range(5, 10)]
    (step,) = plan(ready, ["a"], gather=True)
    assert (step.until, step.run_end, len(step.models)) == (3, 3, 10)


def test_a_step_is_cut_to_its_time():
    costs = measured(**{f"t{i}": 0.1 for i in range(8)})
    (step,) = plan(together(8, target=1000), ["a"], costs=costs, seconds=2.0, gather=True)
    assert len(step.models) == 8
    assert 3 <= step.until <= 5  # a block takes 0.8 s
    assert step.run_end == 1000
    (step,) = plan(together(8, target=1000), ["a"], costs=costs, seconds=0.35, gather=True)
    assert step.models == (0, 1, 2)
    (step,) = plan(together(8, target=1000), ["a"], costs=costs, seconds=0.01, gather=True)
    assert step.models == (0,)  # one at least
    assert step.until >= 1


@pytest.mark.parametrize("gather", [False, True])
def test_a_step_does_not_carry_the_graphs_of_all_blocks(gather):
    (step,) = plan(together(8, target=100_000), ["a"], costs=measured(t0=0.0), gather=gather)
    assert 1 <= step.until <= 128
    (step,) = plan(together(8, target=100_000), ["a"], gather=gather)
    assert 1 <= step.until <= 128
    apart = [Ready(0, 1000, 1001), Ready(1, 0, 1)]
    (step,) = plan(apart, ["a"], costs=measured(t0=0.001), gather=gather)
    assert len(step.models) == 1


def test_who_is_further_along_than_the_step_comes_is_not_in_it():
    costs = measured(t0=1.0)
    ready = [*together(8, target=27), *(Ready(i, 20, 27) for i in range(8, 12))]
    (step,) = plan(ready, ["a"], costs=costs, seconds=20.0, gather=True)
    assert step.until <= 20
    assert set(step.models) == set(range(8))


def test_those_that_only_lack_their_score_go_first_and_in_steps_of_their_own():
    ready = [*together(8), Ready(8, 9, 9, 2), Ready(9, 9, 9, 1)]
    (step,) = plan(ready, ["a"])
    assert (step.models, step.rung) == ((8, 9), 2)
    costs = Costs()
    costs.measured(8, 0, 0.0, True, 1.5)
    (step,) = plan(ready, ["a"], costs=costs, seconds=2.0)
    assert step.models == (8,)  # a score takes 1.5 s


def test_a_trial_whose_step_failed_is_alone():
    ready = [*together(8), Ready(8, 3, 9, alone=True), Ready(9, 9, 9, alone=True)]
    first, second, third = plan(ready, ["a", "b", "c"])
    assert [first.models, second.models] == [(8,), (9,)]
    assert first.until == 9
    assert set(third.models) <= set(range(8))


def promised(schedule):
    """All that a schedule asks for at once, with what it promises."""
    promise, ready = Promise(schedule.plan()), []
    while (train := schedule.ask()) is not None:
        progress = TrialProgress(Trial(train.trial, {}, train.bracket), [], train.resource, train.rung)
        ready.append(Ready(train.trial, 0, train.resource, train.rung, promise=promise.of(progress, 0)))
    return ready


def test_a_promoted_trial_goes_before_new_ones():
    schedule = ASHA(30, 1, 27)
    promise = Promise(schedule.plan())

    def waiting(number, rung, score=None):
        calls, resource = (0 if rung == 0 else 3 ** (rung - 1)), 3**rung
        last = None if score is None else Report(number, calls, score)
        progress = TrialProgress(Trial(number, {}), [], resource, rung, last=last)
        return Ready(number, calls, resource, rung, promise=promise.of(progress, calls))

    ready = [waiting(7, 0), waiting(8, 0), waiting(2, 1, 0.5), waiting(5, 1, 0.9), waiting(3, 2, 0.4)]
    order, costs = [], measured(t0=0.01)
    while ready:
        (step,) = plan(ready, ["a"], costs=costs, together=0.001)
        order += step.models
        ready = [r for r in ready if r.model not in step.models]
    assert order == [3, 5, 2, 7, 8]


def test_a_step_is_filled_with_those_that_come_next():
    ready = [*(Ready(i, 0, 1, promise=(1,)) for i in range(20)), Ready(20, 1, 3, 1, promise=(0,))]
    (step,) = plan(ready, ["a"], costs=measured(t0=0.01), together=0.05)
    assert set(step.models) == {20, 0, 1, 2}
    assert (step.until, step.rung) == (3, 1)


def test_a_long_chain_is_a_step_by_itself():
    ready = [*(Ready(i, 0, 1, promise=(1,)) for i in range(20)), Ready(20, 9, 27, 3, promise=(0,))]
    (step,) = plan(ready, ["a"], costs=measured(t0=0.01), together=0.05)
    assert (step.models, step.until) == ((20,), 27)


def test_where_nothing_was_measured_each_thread_begins_with_one_trial():
    steps = plan(together(20), ["a", "b"], together=0.01)
    assert [step.models for step in steps] == [(0,), (1,)]


def test_a_trial_that_was_begun_goes_on_before_its_equals():
    schedule = SuccessiveHalving(9, 9, 27)
    promise = Promise(schedule.plan())
    ready = [
        Ready(i, 5 * (i == 4), 9, promise=promise.of(TrialProgress(Trial(i, {}), [], 9, 0), 5 * (i == 4)))
        for i in range(9)
    ]
    (step,) = plan(ready, ["a"], costs=measured(t0=1.0))
    assert step.models == (4,)


@pytest.mark.parametrize("n_threads", [2, 8])
def test_a_chain_that_would_be_waited_for_in_the_end_goes_first(n_threads):
    costs = measured(t0=0.01)
    ready = [*(Ready(i, 0, 1, promise=(0,)) for i in range(40)), Ready(40, 0, 81, promise=(1,))]
    free = [f"w{i}" for i in range(n_threads)]
    assert 40 in {n for a in plan(ready, free, costs=costs, together=0.02) for n in a.models}
    assert 40 not in {n for a in plan(ready, ["a"], costs=costs, together=0.02) for n in a.models}


def positions(reports, trials):
    return [i for i, (trial, _) in enumerate(reports) if trial in trials]


@pytest.mark.parametrize("seed", range(3))
def test_one_thread_ends_each_bracket_of_hyperband_before_it_begins_the_next(seed):
    search = Simulation(Hyperband(81), 1, False, seed, call_seconds=(0.005, 0.006), together=0.001).run()
    first = 0
    for n_trials in (81, 34, 15, 8, 5):
        of_bracket = positions(search.reports, range(first, first + n_trials))
        begins = of_bracket[0]
        assert of_bracket == list(range(begins, begins + len(of_bracket)))
        assert [calls for _, calls in search.reports[begins : begins + len(of_bracket)]] == sorted(
            calls for trial, calls in search.reports if first <= trial < first + n_trials
        )
        first += n_trials


@pytest.mark.parametrize("n_threads", [2, 4])
def test_the_next_brackets_fill_threads_that_would_idle(n_threads):
    search = Simulation(Hyperband(81), n_threads, False, call_seconds=(0.005, 0.006)).run()
    assert search.idle < 0.05 * n_threads * search.now
    trained_longest = [trial for trial, calls in search.reports if calls == 81]
    assert trained_longest[0] < 81 <= min(trained_longest[1:])


def test_with_one_thread_asha_climbs_as_its_paper_does():
    search = Simulation(ASHA(81, 1, 81), 1, False, call_seconds=(0.005, 0.006), together=0.001).run()
    first_at = {calls: i for i, (_, calls) in reversed(list(enumerate(search.reports)))}
    # Three trials on a rung promote one: the third rung is reached after 9 + 3 + 1 jobs, if nobody waits.
    assert [first_at[calls] for calls in (1, 3, 9, 27, 81)] == [0, 3, 12, 39, 120]


def test_where_nobody_is_dropped_all_are_trained_alike():
    search = Simulation(Incremental(6, 20, 5), 1, False, call_seconds=(0.005, 0.006), together=0.001).run()
    assert [calls for _, calls in search.reports] == [5] * 6 + [10] * 6 + [15] * 6 + [20] * 6
    best_first = [sorted(((random.Random(n).random(), n) for n in range(6)), reverse=True)] * 3
    assert [n for n, _ in search.reports[6:]] == [n for ranked in best_first for _, n in ranked]


def test_trials_that_all_get_the_same_are_trained_one_after_the_other():
    search = Simulation(Fixed(5, 50), 1, False, call_seconds=(0.1, 0.11), together=0.001).run()
    assert search.steps > 10
    assert search.reports == [(n, 50) for n in range(5)]


def test_who_would_run_ahead_waits_for_those_behind_if_the_data_is_read_again_and_again():
    ready = [Ready(i, 3, 9) for i in range(10)]
    behind = [UnderWay(1, 10, 3)]
    assert plan(ready, ["a"], 2, behind, gather=True) == []
    assert plan(ready, ["a"], 2, [UnderWay(3, 10, 0)], gather=True) == []  # being scored there
    assert len(plan(ready, ["a"], 2, [UnderWay(3, 10, 9)], gather=True)) == 1  # it runs ahead itself
    assert len(plan(ready, ["a"], 2, behind, gather=False)) == 1
    assert len(plan(ready, ["a"], 2, [UnderWay(4, 10, 9)], gather=True)) == 1
    assert sum(len(a.models) for a in plan(ready, ["a", "b"], 2, gather=True)) == 10


def test_a_cohort_in_the_midst_of_its_run_goes_on_where_it_was():
    mine = [Ready(i, 3, 9, home="a", run_end=9) for i in range(6)]
    others = [Ready(i, 3, 9, home="b", run_end=9) for i in range(6, 12)]
    (step,) = plan(mine + others, ["a"], 2, [UnderWay(0, 6, 3)], gather=True)
    assert set(step.models) == set(range(6))
    ended = [Ready(i, 3, 9, home="a", run_end=3) for i in range(12)]
    assert plan(ended, ["a"], 2, [UnderWay(0, 6, 3)], gather=True) == []


@pytest.mark.parametrize("spread", [1.0, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_straggler_does_what_it_can_and_holds_nobody_up(seed, spread):
    seconds = (0.1, 0.1 * spread)
    even = Simulation(Hyperband(81), 4, False, seed, call_seconds=seconds).run()
    one_slow = Simulation(Hyperband(81), 4, False, seed, call_seconds=seconds, slowness=(10.0,)).run()
    assert one_slow.now < 1.2 * even.now * 4 / 3.1
    assert one_slow.idle < 0.12 * 4 * one_slow.now


def test_the_last_trial_leaves_a_slow_worker_for_a_free_one_that_is_faster():
    costs = Costs()
    for worker, seconds in (("a", 10.0), ("b", 1.0), ("c", 1.0)):
        for trial in range(40):
            costs.measured(trial, 1, seconds, False, 0.0, worker)
    last = [Ready(0, 30, 81, home="a", run_end=81)]
    (step,) = plan(last, ["a", "b"], n_threads=2, costs=costs)
    assert step.worker == "b"
    (step,) = plan(last, ["a"], n_threads=2, under_way=[UnderWay(0, 1, 81)], costs=costs)
    assert step.worker == "a"  # better than to wait
    share = plan(together(40), ["a"], n_threads=2, under_way=[UnderWay(0, 1, 81)], costs=costs, seconds=1e6)
    assert len(share[0].models) < 10
