"""A step trains and scores a cohort, and gives the same bits whatever it is cut into."""

from __future__ import annotations

import itertools
import shutil
import threading
import uuid
from dataclasses import replace
from pathlib import Path

import cloudpickle
import dask
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dhpo.compose import PartialFitPipeline
from dhpo.data.blocks import Block, Piece
from dhpo.data.cache import BlockCache
from dhpo.data.holdout import Split
from dhpo.data.order import PassOrder
from dhpo.data.read_errors import BlockUnreadable
from dhpo.data.reader import BlockSpec
from dhpo.history.events import ModelState, StepStats
from dhpo.scoring import make_block_scorer
from dhpo.space.seeds import seed_for
from dhpo.storage.model_store import ModelStore, dumps_model, loads_model
from dhpo.trainers import PartialFit
from dhpo.worker import step_models, step_run, step_scoring, step_training
from dhpo.worker.breadcrumbs import read_crumb
from dhpo.worker.messages import Context, Step, Work
from dhpo.worker.model_making import new_model
from dhpo.worker.state import forget_run, worker_state
from dhpo.worker.step import run_step

N_BLOCKS, ROWS = 4, 30
LONG = 1000.0  # seconds that no step takes
TIMEOUT = 300


class Log(BaseEstimator):
    """Remembers the rows that it saw; misbehaves on demand."""

    def __init__(self, trouble=None, at=0):
        self.trouble = trouble
        self.at = at

    def partial_fit(self, X, y=None, sample_weight=None, **kwargs):
        self.seen_ = [*getattr(self, "seen_", []), X[:, 0].tolist()]
        self.weights_ = sample_weight
        self.kwargs_ = kwargs
        if len(self.seen_) == self.at:
            if self.trouble == "raise":
                raise ValueError("not this block")
            if self.trouble == "unpicklable":
                self.generator_ = (i for i in range(3))
        return self

    def score(self, X, y=None):
        if self.trouble == "score":
            raise ValueError("not this score")
        return float("nan") if self.trouble == "nan" else float(len(self.seen_))


def data(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_BLOCKS * ROWS, 3))
    return X, (X[:, 0] + 0.3 * rng.normal(size=len(X)) > 0).astype(int)


def blocks_of(X, y):
    cuts = [slice(i * ROWS, (i + 1) * ROWS) for i in range(N_BLOCKS)]
    return [Block(i, {"x": X[cut], "y": y[cut]}, ((Piece("x"),), (Piece("y"),), None)) for i, cut in enumerate(cuts)]


class Search:
    """What the driver holds: a context, the blocks, and where each trial stands."""

    def __init__(self, store, estimator, fit_kwargs=None, split=None, blocks=None, scorer=None):
        self.run = uuid.uuid4().hex
        X, y = data()
        self.blocks = blocks or blocks_of(X, y)
        self.specs = {block.index: BlockSpec(block.index, data=block.dumps()) for block in self.blocks}
        self.order = PassOrder(range(len(self.blocks)), 0)
        self.context = Context(
            run=self.run,
            estimator=estimator,
            fit_kwargs=fit_kwargs or {},
            classes_once=True,
            scorer=scorer or make_block_scorer(estimator, None, (fit_kwargs or {}).get("classes")),
            order=self.order,
            split=split or Split(0.2, 0),
            entropy=0,
            store=store,
        )
        self.pickled = cloudpickle.dumps(self.context)

    def step(self, works, until, seconds=LONG, memory_limit=10**15, validation=True, **kwargs):
        specs = list(self.specs.values())
        groups = [group for group in (specs[:2], specs[2:]) if group] if validation else []
        step = Step(works, until, self.specs, groups, seconds, memory_limit)
        return run_step(self.run, self.pickled, replace(step, **kwargs))

    def go_on(self, outcome, params, target):
        return Work(outcome.state, params, target, outcome.pickled)

    def model(self, outcome):
        return loads_model(
            outcome.pickled if outcome.pickled is not None else self.context.store.read(outcome.state.checkpoint)
        )

    def forget(self):
        """As if the worker were another one."""
        forget_run(self.run)
        self.run = uuid.uuid4().hex


@pytest.fixture
def store(tmp_path):
    return ModelStore(str(tmp_path))


@pytest.fixture
def make_search(store):
    made = []

    def make(estimator, shared=True, **kwargs):
        made.append(Search(store if shared else None, estimator, **kwargs))
        return made[-1]

    yield make
    for search in made:
        search.forget()


SGD = SGDClassifier(random_state=0)
ALPHAS = [{"alpha": alpha} for alpha in (1e-4, 1e-3, 1e-2)]
CLASSES = {"classes": [0, 1]}


def works(params, target, start=0):
    return [Work(ModelState(number, start), p, target) for number, p in enumerate(params)]


def assert_same_bits(search, outcomes, expected):
    for outcome, (coef, score) in zip(outcomes, expected, strict=True):
        assert outcome.error is None
        np.testing.assert_array_equal(search.model(outcome).coef_, coef)
        assert outcome.score == score


@pytest.fixture(scope="module")
def expected():
    """Coefficients and scores after 6 calls, made with scikit-learn alone."""
    X, y = data()
    split, order = Split(0.2, 0), PassOrder(range(N_BLOCKS), 0)
    blocks = [
        Block(
            i,
            {"x": X[i * ROWS : (i + 1) * ROWS], "y": y[i * ROWS : (i + 1) * ROWS]},
            ((Piece("x"),), (Piece("y"),), None),
        ).load()
        for i in range(N_BLOCKS)
    ]
    held_out = [split.validation(rows, i) for i, rows in enumerate(blocks)]
    result = []
    for params in ALPHAS:
        model = SGDClassifier(random_state=0, **params)
        for call in range(6):
            rows = split.training(blocks[order.block_at(call)], order.block_at(call))
            model.partial_fit(rows.X, rows.y, classes=[0, 1])
        right = sum(int((model.predict(rows.X) == rows.y).sum()) for rows in held_out)
        result.append((model.coef_, right / sum(len(rows) for rows in held_out)))
    return result


def test_a_step_trains_and_scores_as_scikit_learn_does(make_search, expected):
    search = make_search(SGD, fit_kwargs=CLASSES)
    result = search.step(works(ALPHAS, 6), 6)
    assert_same_bits(search, result.outcomes, expected)
    assert [(o.model, o.state.calls) for o in result.outcomes] == [(0, 6), (1, 6), (2, 6)]
    assert [(o.state.checkpoint.model, o.state.checkpoint.calls) for o in result.outcomes] == [(0, 6), (1, 6), (2, 6)]
    assert len({o.state.checkpoint.file for o in result.outcomes}) == 1


def test_a_block_is_read_once_for_all_trials_of_a_cohort(make_search):
    search = make_search(SGD, fit_kwargs=CLASSES)
    stats = search.step(works(ALPHAS, 6), 6).stats
    assert (stats.calls, stats.blocks_read, stats.blocks_cached, stats.validation_blocks_read) == (18, 4, 2, 2)
    assert stats.bytes_read == sum(block.load().nbytes for block in search.blocks)
    # Where nothing can be cached, it is read once for each call; but the block in use is kept, and two passes may meet.
    search = make_search(SGD, fit_kwargs=CLASSES)
    stats = search.step(works(ALPHAS, 6), 6, memory_limit=1).stats
    order = [search.order.block_at(call) for call in range(6)]
    met = sum(one == other for one, other in itertools.pairwise(order))
    assert (stats.calls, stats.blocks_read, stats.blocks_cached) == (18, 6 - met, met)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("hot", [True, False])
@pytest.mark.parametrize("cuts", [(1, 2, 3, 4, 5, 6), (2, 6), (5, 6)])
def test_a_search_cut_into_steps_has_the_same_bits(make_search, expected, shared, hot, cuts):
    search = make_search(SGD, shared, fit_kwargs=CLASSES)
    todo = works(ALPHAS, 6)
    for until in cuts:
        outcomes = search.step(todo, until).outcomes
        assert {o.state.calls for o in outcomes} == {until}
        assert [o.score is None for o in outcomes] == [until < 6] * 3
        assert all((o.pickled is None) == shared for o in outcomes)
        todo = [search.go_on(o, p, 6) for o, p in zip(outcomes, ALPHAS, strict=True)]
        if not hot:
            search.forget()  # as on another worker
    assert_same_bits(search, outcomes, expected)


def test_a_step_run_twice_gives_the_same_and_harms_nothing(make_search, expected):
    search = make_search(SGD, fit_kwargs=CLASSES)
    first = search.step(works(ALPHAS, 6), 3).outcomes
    todo = [search.go_on(o, p, 6) for o, p in zip(first, ALPHAS, strict=True)]
    for _ in range(2):
        assert_same_bits(search, search.step(todo, 6).outcomes, expected)


class Clock:
    """Stands for `time` in the step: a `partial_fit` call takes a second, nothing else takes any."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        for module in (step_run, step_models, step_training, step_scoring):
            monkeypatch.setattr(module, "time", self)
        advance = PartialFit.advance
        monkeypatch.setattr(PartialFit, "advance", lambda *arguments: (advance(*arguments), self.tick())[0])

    def tick(self):
        self.now += 1.0

    def perf_counter(self):
        return self.now

    thread_time = perf_counter


@pytest.mark.parametrize(
    ("seconds", "calls"),
    [
        (0.5, [1, 1, 0]),  # in the midst of a block: twice its time is over
        (1.5, [1, 1, 1]),
        (3.5, [2, 2, 2]),
        (2.5, [1, 1, 1]),
        (0.1, [1, 0, 0]),
    ],
)
def test_a_step_stops_when_its_time_is_over_and_a_later_one_goes_on_with_the_same_bits(
    make_search, expected, monkeypatch, seconds, calls
):
    Clock(monkeypatch)
    search = make_search(SGD, fit_kwargs=CLASSES)
    outcomes = search.step(works(ALPHAS, 6), 6, seconds).outcomes
    assert [o.state.calls for o in outcomes] == calls
    assert [o.score for o in outcomes] == [None] * 3
    assert [o.state.checkpoint is None for o in outcomes] == [c == 0 for c in calls]
    steps = 1
    while any(o.score is None for o in outcomes):
        todo = [search.go_on(o, p, 6) for o, p in zip(outcomes, ALPHAS, strict=True)]
        new = search.step([w for w, o in zip(todo, outcomes, strict=True) if o.score is None], 6, seconds).outcomes
        outcomes = [next((n for n in new if n.model == o.model), o) for o in outcomes]
        steps += 1
        assert steps < 50
    assert_same_bits(search, outcomes, expected)


def test_what_was_trained_but_not_scored_in_time_is_scored_in_a_later_step(make_search, expected, monkeypatch):
    Clock(monkeypatch)
    search = make_search(SGD, fit_kwargs=CLASSES)
    trained = search.step(works(ALPHAS, 6), 6, seconds=17.0).outcomes
    assert [(o.state.calls, o.score) for o in trained] == [(6, None)] * 3
    todo = [search.go_on(o, p, 6) for o, p in zip(trained, ALPHAS, strict=True)]
    result = search.step(todo, 0, blocks={})
    assert_same_bits(search, result.outcomes, expected)
    assert result.stats.calls == result.stats.blocks_read == 0
    # There was nothing to write again.
    assert [o.state.checkpoint for o in result.outcomes] == [o.state.checkpoint for o in trained]


def test_a_step_that_comes_after_the_end_of_its_search_does_nothing_and_raises_nothing(make_search):
    search = make_search(Log())
    forget_run(search.run)
    result = search.step(works([{}, {}], 4), 4)
    assert (result.outcomes, result.stats) == ([], StepStats())


def test_a_step_whose_models_have_no_place_any_more_since_its_search_is_over_raises_nothing(make_search):
    class Ended(Log):
        def partial_fit(self, X, y=None):
            forget_run(search.run)
            shutil.rmtree(search.context.store.url)
            return super().partial_fit(X, y)

    search = make_search(Log())
    worker_state(search.run, 10**15)._context = replace(search.context, estimator=Ended())
    result = search.step(works([{}], 1), 1)
    assert (result.outcomes, result.stats) == ([], StepStats())
    assert not Path(search.context.store.url).exists()


def test_a_step_of_a_search_that_is_over_ends_after_its_block(make_search):
    search = make_search(Log())
    state = worker_state(search.run, 10**15)

    class Ended(Log):
        def partial_fit(self, X, y=None):
            state.over = True
            return super().partial_fit(X, y)

    search.context = replace(search.context, estimator=Ended())
    state._context = search.context
    outcomes = search.step(works([{}, {}], 4), 4).outcomes
    assert outcomes[0].state.calls == 1
    assert outcomes[1].state.calls <= 1


def test_trials_at_different_places_meet(make_search):
    search = make_search(Log())
    (ahead,) = search.step([Work(ModelState(0), {}, 5)], 3).outcomes
    result = search.step([search.go_on(ahead, {}, 5), Work(ModelState(1), {}, 9)], 5)
    assert [o.state.calls for o in result.outcomes] == [5, 5]
    assert [o.score for o in result.outcomes] == [5.0, None]
    assert search.model(result.outcomes[0]).seen_ == search.model(result.outcomes[1]).seen_
    assert result.stats.calls == 2 + 5


def test_a_step_of_trials_that_are_far_apart_reads_only_the_blocks_that_they_want(make_search):
    search = make_search(Log())
    (further,) = search.step([Work(ModelState(0), {}, 3)], 3).outcomes
    search.forget()
    result = search.step([Work(ModelState(1), {}, 1), search.go_on(further, {}, 4)], 4)
    assert [outcome.state.calls for outcome in result.outcomes] == [1, 4]
    assert (result.stats.blocks_read, result.stats.blocks_cached) == (2, 0)
    assert result.stats.read_seconds > 0


def test_blocks_come_in_the_order_of_the_passes(make_search):
    search = make_search(Log(), split=Split(None, 0))
    (outcome,) = search.step(works([{}], 8), 8).outcomes
    expected = [search.blocks[search.order.block_at(call)].load().X[:, 0].tolist() for call in range(8)]
    assert search.model(outcome).seen_ == expected


class Writer(BaseEstimator):
    """Adds up the rows that it sees; writes into them in one way or another."""

    def __init__(self, how=None, at=0):
        self.how = how
        self.at = at

    def partial_fit(self, X, y=None, **kwargs):
        calls = self.calls_ = getattr(self, "calls_", 0) + 1
        self.sum_ = getattr(self, "sum_", 0.0) + X.sum() + (0 if y is None else y.sum())
        if self.how in ("X", "unlocked", "y") and calls > self.at:
            written = y if self.how == "y" else X
            if self.how == "unlocked":  # as C code does that heeds no locks
                written.flags.writeable = True
            written *= -1
        return self

    def score(self, X, y=None):
        score = float(self.sum_ + X.sum())
        if self.how == "unlocked score":
            X.flags.writeable = True
        if self.how in ("score", "unlocked score"):
            X *= -1
        return score


WAYS = [("X", 0), ("X", 2), ("y", 0), ("unlocked", 0), ("unlocked", 2), ("score", 0), ("unlocked score", 0)]


@pytest.mark.parametrize(("how", "at"), WAYS)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("fold", [None, 0])
def test_a_trial_that_writes_into_its_rows_changes_no_score_of_another_nor_its_own(make_search, how, at, shared, fold):
    params = [{"how": None}, {"how": how, "at": at}, {"how": None}]
    split = Split(None, 0, n_folds=3) if fold is not None else None
    search = make_search(Writer(), shared=shared, split=split)

    target, scores = N_BLOCKS + 2, {}
    todo = [replace(work, fold=fold) for work in works(params, target)]
    for _ in range(20):
        outcomes = search.step(todo, target).outcomes
        assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
        scores.update((outcome.model, outcome.score) for outcome in outcomes if outcome.score is not None)
        left = [outcome for outcome in outcomes if outcome.score is None]
        todo = [replace(search.go_on(o, params[o.model], target), fold=fold) for o in left]
        if not todo:
            break
    assert scores[0] == scores[1] == scores[2]
    alone = make_search(Writer(), split=split)
    (outcome,) = alone.step([Work(ModelState(0), {"how": None}, target, fold=fold)], target).outcomes
    assert outcome.score == scores[0]


def test_a_trial_that_writes_is_told_once_and_in_its_first_call_loses_nothing(make_search):
    search = make_search(Writer())
    first = search.step(works([{"how": "X"}, {"how": None}], 2), 2, validation=True)
    assert [outcome.state.writes for outcome in first.outcomes] == [True, False]
    assert [outcome.state.calls for outcome in first.outcomes] == [2, 2]
    assert first.stats.calls == 5  # the one that was refused is done again


def test_pipelines_that_scale_in_place_learn_what_those_do_that_copy(make_search):
    split = Split(0.2, 0)

    def scores(copy):
        pipeline = PartialFitPipeline([("scale", StandardScaler(copy=copy)), ("model", SGD)])
        search = make_search(pipeline, fit_kwargs=CLASSES, split=split)
        params = [{"model__alpha": p["alpha"]} for p in ALPHAS]
        return [outcome.score for outcome in search.step(works(params, 6), 6).outcomes]

    assert scores(copy=False) == scores(copy=True)
    assert None not in scores(copy=True)


def test_a_trial_that_raises_costs_that_trial_alone(make_search):
    search = make_search(Log())
    result = search.step(works([{}, {"trouble": "raise", "at": 2}, {}], 4), 4)
    good, bad, other = result.outcomes
    assert (good.score, good.error, other.score, other.error) == (4.0, None, 4.0, None)
    assert bad.error.startswith("Traceback")
    assert "ValueError: not this block" in bad.error
    assert (bad.state.calls, bad.score, bad.state.checkpoint) == (1, None, None)
    assert len(search.model(other).seen_) == 4


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("call", range(N_BLOCKS))
def test_a_value_that_is_missing_is_found_at_any_call(make_search, call, cached):
    # Blocks without one are looked through once, and not for each model at each call.
    X, y = data()
    order = PassOrder(range(N_BLOCKS), 0)
    X[order.block_at(call) * ROWS : (order.block_at(call) + 1) * ROWS, 1] = np.nan
    search = make_search(SGD, fit_kwargs=CLASSES, blocks=blocks_of(X, y))
    outcomes = search.step(works(ALPHAS, 6), 6, memory_limit=10**15 if cached else 1).outcomes
    assert [outcome.state.calls for outcome in outcomes] == [call] * len(ALPHAS)
    assert all("Input X contains NaN" in outcome.error for outcome in outcomes)


def test_a_value_that_is_missing_is_found_in_validation_rows(make_search):
    X, y = data()
    bad = Block(0, {"x": np.full_like(X, np.nan), "y": y}, ((Piece("x"),), (Piece("y"),), None))
    search = make_search(SGD, fit_kwargs=CLASSES)
    good = list(search.specs.values())
    step = Step(works(ALPHAS, 2), 2, search.specs, [good, [BlockSpec(0, data=bad.dumps())]], LONG, 10**15)
    outcomes = run_step(search.run, search.pickled, step).outcomes
    assert [outcome.state.calls for outcome in outcomes] == [2] * len(ALPHAS)
    assert all("Input X contains NaN" in outcome.error for outcome in outcomes)


def test_parameters_that_are_refused_cost_their_trial_alone(make_search):
    search = make_search(Log())
    good, bad = search.step(works([{}, {"nonsense": 1}], 2), 2).outcomes
    assert good.score == 2.0
    assert "nonsense" in bad.error
    assert bad.state.calls == 0


def test_a_score_that_raises_costs_that_trial_alone(make_search):
    search = make_search(Log())
    good, bad, nan = search.step(works([{}, {"trouble": "score"}, {"trouble": "nan"}], 2), 2).outcomes
    assert good.score == 2.0
    assert "not this score" in bad.error
    assert bad.score is None
    assert np.isnan(nan.score)
    assert nan.error is None


@pytest.mark.parametrize("shared", [True, False])
def test_a_model_that_cannot_be_pickled_costs_its_trial_alone(make_search, shared):
    search = make_search(Log(), shared)
    good, bad = search.step(works([{}, {"trouble": "unpicklable", "at": 1}], 2), 2).outcomes
    assert (good.score, good.error) == (2.0, None)
    assert "pickle" in bad.error
    assert (bad.state.checkpoint, bad.pickled) == (None, None)
    assert worker_state(search.run, 1).take_model(1, 2) is None


class Looking(Log):
    """Notes in a file what the step has noted of it, whatever is done with it."""

    def __init__(self, crumb=None, number=0):
        self.crumb = crumb
        self.number = number
        self.trouble = None
        self.at = 0

    def _look(self):
        crumb = read_crumb(self.crumb)
        if crumb is not None:
            with open(f"{self.crumb}.{self.number}", "a") as file:
                file.write(f"{crumb.model}: {crumb.doing}\n")

    def set_params(self, **params):
        super().set_params(**params)
        self._look()
        return self

    def partial_fit(self, X, y=None, **kwargs):
        self._look()
        return super().partial_fit(X, y)

    def score(self, X, y=None):
        self._look()
        return 1.0

    def __getstate__(self):
        if hasattr(self, "seen_"):
            self._look()
        return super().__getstate__()

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "seen_"):
            self._look()


def test_whatever_may_end_the_process_is_noted_before(make_search, tmp_path):
    crumb = str(tmp_path / "crumb")
    search = make_search(Looking(crumb))
    params = [{"number": number} for number in range(2)]
    outcomes = search.step(works(params, 1), 1, crumb=crumb).outcomes
    search.forget()
    search.step([search.go_on(o, p, 2) for o, p in zip(outcomes, params, strict=True)], 2, crumb=crumb)
    for number in range(2):
        done = (tmp_path / f"crumb.{number}").read_text().splitlines()
        assert [line for line, _ in itertools.groupby(done)] == [
            f"{number}: clone or set_params",
            f"{number}: partial_fit call 1",
            f"{number}: the score after call 1",
            f"{number}: the pickling after call 1",
            f"{number}: the unpickling after call 1",
            f"{number}: partial_fit call 2",
            f"{number}: the score after call 2",
            f"{number}: the pickling after call 2",
        ]


def test_a_cohort_that_fails_entirely_leaves_no_read_behind(make_search, monkeypatch):
    caches = []
    monkeypatch.setattr(BlockCache, "settle", lambda self, key, needed_at: caches.append(key) or 0)
    search = make_search(Log())
    result = search.step(works([{"trouble": "raise", "at": 1}] * 2, 4), 4, memory_limit=1)
    assert [o.state.calls for o in result.outcomes] == [0, 0]
    assert result.stats.blocks_read == 1
    assert ("train", search.order.block_at(1)) in caches


def test_a_read_ahead_for_a_trial_that_failed_is_given_up_before_the_others_come_in(make_search):
    search = make_search(Log(), split=Split(None, 0))
    (ahead,) = search.step([Work(ModelState(0), {}, 6)], 3, memory_limit=1).outcomes
    bad = Work(ModelState(1), {"trouble": "raise", "at": 1}, 6)
    cache = worker_state(search.run, 1).cache
    result = search.step([search.go_on(ahead, {}, 6), bad], 4, memory_limit=1)
    assert [o.error is None for o in result.outcomes] == [True, False]
    assert cache._reads == {}


def test_a_block_without_rows_is_a_call_that_changes_nothing(make_search):
    X, y = data()
    blocks = [
        Block(i, {"x": X[:n], "y": y[:n]}, ((Piece("x"),), (Piece("y"),), None)) for i, n in enumerate((0, 30, 0, 0))
    ]
    search = make_search(Log(), blocks=blocks)
    (outcome,) = search.step(works([{}], 4), 4).outcomes
    assert outcome.error is None
    assert outcome.state.calls == 4
    assert len(search.model(outcome).seen_) == 1
    assert outcome.score == 1.0


def test_a_block_that_cannot_be_loaded_fails_the_step_and_not_a_trial(make_search):
    def fail():
        raise OSError("disk gone")

    blocks = [Block(i, {"x": (fail,)}, ((Piece("x"),), None, None)) for i in range(2)]
    search = make_search(Log(), blocks=blocks)
    with pytest.raises(BlockUnreadable, match=r"block \d could not be read: OSError: disk gone"):
        search.step(works([{}], 2), 2)


def test_weights_and_arguments_of_fit_reach_partial_fit(make_search):
    X, y = data()
    blocks = [Block(0, {"x": X, "y": y, "w": y + 1.0}, ((Piece("x"),), (Piece("y"),), (Piece("w"),)))]
    search = make_search(Log(), blocks=blocks, split=Split(None, 0), fit_kwargs={"flavour": "sweet"})
    (outcome,) = search.step(works([{}], 1), 1).outcomes
    model = search.model(outcome)
    np.testing.assert_array_equal(model.weights_, y + 1.0)
    assert model.kwargs_ == {"flavour": "sweet"}


def test_data_without_targets_is_trained_on_and_scored(make_search):
    X, _ = data()
    blocks = [Block(i, {"x": X[i::2]}, ((Piece("x"),), None, None)) for i in range(2)]
    (outcome,) = make_search(Log(), blocks=blocks).step(works([{}], 3), 3).outcomes
    assert (outcome.error, outcome.score) == (None, 3.0)


def test_data_on_the_cluster_comes_with_the_task(make_search):
    X, _ = data()
    block = Block(0, {}, ((Piece("there"),), None, None))
    search = make_search(Log(), blocks=[block], split=Split(None, 0))
    step = Step(works([{}], 1), 1, search.specs, [tuple(search.specs.values())], LONG, 10**15)
    result = run_step(search.run, search.pickled, step, ["there"], [X])
    assert search.model(result.outcomes[0]).seen_ == [X[:, 0].tolist()]


def test_a_live_model_spares_the_store(make_search, store):
    search = make_search(Log())
    (first,) = search.step(works([{}], 4), 2).outcomes
    store.delete(first.state.checkpoint.file)
    (second,) = search.step([search.go_on(first, {}, 4)], 4).outcomes
    assert second.score == 4.0
    search.forget()
    store.delete(second.state.checkpoint.file)
    (third,) = search.step([search.go_on(second, {}, 6)], 6).outcomes
    assert third.lost  # and begins anew
    assert (third.state.calls, third.state.checkpoint, third.score, third.error) == (0, None, None, None)


def test_a_trial_that_came_without_its_model_is_named(make_search):
    with pytest.raises(ValueError, match="model 3 came without its bytes"):
        make_search(Log(), shared=False).step([Work(ModelState(3, 2), {}, 4)], 4)


def test_a_model_that_travels_is_not_the_live_one(make_search):
    search = make_search(Log(), shared=False)
    (first,) = search.step(works([{}], 4), 2).outcomes
    stale = Work(ModelState(0, 1), {}, 4, pickled=dumps_model(Log().partial_fit(data()[0])))
    (again,) = search.step([stale], 4).outcomes
    assert first.state.calls == 2
    assert len(search.model(again).seen_) == 4


def test_the_estimator_of_the_search_is_never_changed(make_search):
    search = make_search(Log())
    search.step(works([{"at": 7}], 2), 2)
    estimator = worker_state(search.run, 1).context(search.pickled).estimator
    assert estimator.get_params() == {"trouble": None, "at": 0}
    assert not hasattr(estimator, "seen_")


def test_steps_of_two_threads_of_a_worker_do_not_disturb_each_other(make_search, expected):
    search = make_search(SGD, fit_kwargs=CLASSES)
    barrier, results = threading.Barrier(2), {}

    def step(number):
        barrier.wait(TIMEOUT)
        mine = [Work(ModelState(number), ALPHAS[number], 6)]
        # Dask's local scheduler would start a pool of threads for each of ours.
        with dask.config.set(scheduler="synchronous"):
            results[number] = search.step(mine, 6).outcomes[0]

    threads = [threading.Thread(target=step, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert_same_bits(search, [results[0], results[1]], expected[:2])


def test_a_new_model_is_a_clone_with_the_parameters_of_its_trial():
    inner = StandardScaler()
    pipeline = make_pipeline(inner, SGDClassifier())
    scaler = StandardScaler(with_mean=False)
    model = new_model(pipeline, {"standardscaler": scaler, "sgdclassifier__alpha": 0.5}, 1, 2)
    assert model.named_steps["sgdclassifier"].alpha == 0.5
    assert model.named_steps["standardscaler"].with_mean is False
    assert model.named_steps["standardscaler"] is not scaler  # trials must not share it
    assert pipeline.named_steps["standardscaler"] is inner
    assert new_model(Log(), {"trouble": ["a list"]}, 0, 0).trouble == ["a list"]


def test_a_new_model_is_seeded_wherever_it_has_no_seed():
    base = make_pipeline(StandardScaler(), GaussianNB())
    model = new_model(base, {"gaussiannb": SGDClassifier()}, 1, 2)  # a nested estimator that is itself a candidate
    assert model.get_params()["gaussiannb__random_state"] == seed_for(1, 2, "gaussiannb__random_state")
    assert new_model(SGDClassifier(), {}, 1, 2).random_state == seed_for(1, 2, "random_state")
    assert new_model(SGDClassifier(random_state=7), {}, 1, 2).random_state == 7
    assert new_model(make_pipeline(SGDClassifier()), {"sgdclassifier": GaussianNB()}, 1, 2)
