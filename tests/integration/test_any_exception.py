"""Whatever a trial raises, it fails alone, with its traceback: in threads, in workers, in a process of its own."""

from __future__ import annotations

import asyncio
import os
from contextlib import nullcontext
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pytest
from distributed import Client, LocalCluster
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import KFold

from dhpo import GridSearchCV, SearchFailed

RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 5))
Y = (X[:, 0] + RNG.standard_normal(600) > 0).astype(int)
LAZY = da.from_array(X, (100, 5)), da.from_array(Y, 100)
SEED: dict[str, Any] = {"random_state": 0, "verbose": 0}


class Panic(BaseException):
    """As the panics of Rust's libraries are."""


class NotShown(Exception):
    def __str__(self) -> str:
        raise SystemExit(4)

    __repr__ = __str__


class NotPickled(Exception):
    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


RAISES: dict[str, tuple[Any, str]] = {
    "exit": (SystemExit, "SystemExit"),
    "exit 3": (lambda: SystemExit(3), "SystemExit: 3"),
    "interrupt": (KeyboardInterrupt, "KeyboardInterrupt"),
    "cancelled": (asyncio.CancelledError, "asyncio.exceptions.CancelledError"),
    "generator": (GeneratorExit, "GeneratorExit"),
    "stop": (StopIteration, "StopIteration"),
    "panic": (lambda: Panic("at the worst moment"), "Panic: at the worst moment"),
    "not shown": (NotShown, "NotShown: <exception str() failed>"),
    "not pickled": (NotPickled, "NotPickled"),
    "group": (lambda: BaseExceptionGroup("all", [SystemExit(1)]), "BaseExceptionGroup: all (1 sub-exception)"),
    "recursion": (lambda: RecursionError("too deep"), "RecursionError: too deep"),
    "memory": (MemoryError, "MemoryError"),
}


class Raising(SGDClassifier):
    """Raises where `where` says."""

    def __init__(self, raises: str = "", where: str = "partial_fit", number: int = 0) -> None:
        super().__init__(random_state=0)
        self.raises = raises
        self.where = where
        self.number = number

    def _may_raise(self, where: str) -> None:
        if self.raises and self.where == where:
            raise RAISES[self.raises][0]()

    def fit(self, X: Any, y: Any) -> Any:
        self._may_raise("partial_fit")
        return super().fit(X, y)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        self._may_raise("partial_fit")
        return super().partial_fit(X, y, classes=classes)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        self._may_raise("score")
        return float(super().score(X, y))

    def __getstate__(self) -> Any:
        if hasattr(self, "coef_"):
            self._may_raise("pickle")
        return super().__getstate__()


ALL = [{"number": [0, 1]}, {"raises": list(RAISES)}]


def check(search: Any, messages: list[str]) -> None:
    frame = search.summary()
    assert frame["status"].tolist() == ["finished"] * 2 + ["failed"] * len(messages)
    found = frame["error"].tolist()[2:]
    for error, message in zip(found, messages, strict=True):
        assert error.startswith(message) or f".{message}" in error, (error, message)
    assert search.best_params_ in ({"number": 0}, {"number": 1})
    assert search.best_estimator_.score(X, Y) > 0.5


@pytest.mark.parametrize("where", ["partial_fit", "score", "pickle"])
@pytest.mark.parametrize("cv", [None, 2])
def test_a_trial_may_raise_anything_in_a_thread_of_this_process(where, cv):
    search = GridSearchCV(Raising(where=where), ALL, max_iter=2, cv=cv, **SEED).fit(*LAZY, classes=[0, 1])
    check(search, [message for _, message in RAISES.values()])


def test_a_trial_may_raise_anything_in_a_worker(client):
    before = set(client.run(os.getpid).values())
    search = GridSearchCV(Raising(), ALL, max_iter=4, **SEED).fit(*LAZY, classes=[0, 1])
    check(search, [message for _, message in RAISES.values()])
    assert set(client.run(os.getpid).values()) == before


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning", "ignore:.*non-finite")
@pytest.mark.parametrize("threads", [True, False])
def test_a_candidate_may_raise_anything_in_a_whole_fit(client, threads):
    own = (
        LocalCluster(n_workers=1, processes=False, host="127.0.0.1", protocol="tcp://", dashboard_address="127.0.0.1:0")
        if threads
        else nullcontext()
    )
    with own as cluster, Client(cluster) if threads else nullcontext():
        search = GridSearchCV(Raising(), ALL, cv=2, verbose=0).fit(X, Y)
    check(search, [message for _, message in RAISES.values()])


def test_a_scorer_may_raise_anything(client):
    def deciding(model: Any, X: Any, y: Any) -> float:
        model._may_raise("scorer")
        return float((model.predict(X) == y).mean())

    def other(model: Any, X: Any, y: Any) -> float:
        model.predict(X)
        raise SystemExit

    scoring = {"deciding": deciding, "other": other}
    search = GridSearchCV(Raising(where="scorer"), ALL, max_iter=2, scoring=scoring, refit="deciding", **SEED)
    search.fit(*LAZY, classes=[0, 1])
    check(search, [message for _, message in RAISES.values()])
    assert np.isnan(search.cv_results_["mean_test_other"]).all()


def test_error_score_raise_raises_what_the_candidate_raised_but_ends_no_event_loop(client):
    search = GridSearchCV(Raising(raises="exit 3"), {"number": [0]}, cv=2, error_score="raise", verbose=0)
    with pytest.raises(RuntimeError, match="SystemExit: 3") as caught:
        search.fit(X, Y)
    assert "in _may_raise" in "".join(caught.value.__notes__)
    assert client.submit(sum, [1, 2]).result(timeout=300) == 3


def test_a_search_in_which_all_raise_says_what(client):
    with pytest.raises(SearchFailed, match=r"the only trial was not scored(.|\n)*SystemExit"):
        GridSearchCV(Raising(raises="exit"), {"number": [0]}, max_iter=2, **SEED).fit(*LAZY, classes=[0, 1])


# -- not in a trial


def raises_in_block_3(block: np.ndarray, kind: str, block_info: Any = None) -> np.ndarray:
    if block_info[0]["chunk-location"][0] == 3:
        raise RAISES[kind][0]()
    return block


def raises_in(rows: Any, kind: str) -> Any:
    raise RAISES[kind][0]()


def array_that_raises(kind: str) -> Any:
    return da.from_array(X, (100, 5)).map_blocks(raises_in_block_3, kind, meta=np.empty((0, 0)))


@pytest.mark.parametrize("threads", [True, False])
@pytest.mark.parametrize("kind", ["exit 3", "interrupt", "cancelled", "panic"])
@pytest.mark.parametrize("whole", [True, False])
def test_data_may_raise_anything_and_is_an_error_that_names_the_block(request, threads, kind, whole):
    if not threads:
        request.getfixturevalue("client")
    search = GridSearchCV(OnlyFit(), {"alpha": [0.1]}, verbose=0, cv=2) if whole else blockwise()
    of, message = " of X" if whole else "", RAISES[kind][1].rpartition(".")[2]
    with pytest.raises(SearchFailed, match=rf"block 3{of} could not be read: {message} \(tried 3 times\)"):
        search.fit(array_that_raises(kind), LAZY[1], classes=[0, 1] if not whole else None)


def blockwise() -> GridSearchCV:
    return GridSearchCV(Raising(), {"number": [0]}, max_iter=2, **SEED)


@pytest.mark.parametrize("container", ["list of delayed", "frame", "unknown lengths"])
def test_data_of_unknown_size_for_whole_fits_may_raise_anything(client, container):
    if container == "list of delayed":
        parts = [dask.delayed(rows) for rows in np.split(X, 6)]
        parts[3] = dask.delayed(raises_in)(parts[3], "exit 3")
        data = parts, [dask.delayed(rows) for rows in np.split(Y, 6)]
    elif container == "frame":
        data = dd.from_dask_array(array_that_raises("exit 3"), columns=list("abcde")), LAZY[1]
    else:
        data = array_that_raises("exit 3")[LAZY[1] >= 0], LAZY[1]
    search = GridSearchCV(OnlyFit(), {"alpha": [0.1]}, verbose=0, cv=2)
    with pytest.raises(SearchFailed, match=r"block 3 of X could not be read: SystemExit: 3 \(tried 3 times\)"):
        search.fit(*data)


def test_an_argument_of_fit_that_is_computed_may_raise_anything(client):
    classes = dask.delayed(raises_in)(None, "exit 3")
    with pytest.raises(SearchFailed, match="block 0 of classes could not be read: SystemExit: 3"):
        blockwise().fit(*LAZY, classes=classes)


def refit_that_exits(results: Any) -> int:
    raise SystemExit(6)


def refit_that_stops(results: Any) -> int:
    return next(iter([]))


class SplitsAndStops(KFold):
    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        raise StopIteration


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"refit": refit_that_exits}, "SystemExit: 6"),
        ({"refit": refit_that_stops}, "StopIteration"),
        ({"cv": SplitsAndStops(2)}, "StopIteration"),
    ],
)
def test_what_the_users_functions_raise_in_the_driver_ends_the_search_and_nothing_else(client, params, message):
    search = GridSearchCV(OnlyFit(), {"alpha": [0.1]}, verbose=0).set_params(**params)
    with pytest.raises(RuntimeError, match=message):
        search.fit(*LAZY)
    assert client.submit(sum, [1, 2]).result(timeout=300) == 3


class OnlyFit(SGDClassifier):
    """Without `partial_fit`."""

    @property
    def partial_fit(self) -> Any:
        raise AttributeError("partial_fit")
