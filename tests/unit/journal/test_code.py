"""Functions and classes of users are told by what they do, whatever of their module that rests on."""

from __future__ import annotations

import functools
import math
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if

from dhpo.journal import collecting_lists, describe

PENALTY = 0.0
OPTIONS = {"flip": False}
N_CALLS = 0


def halved(score: float) -> float:
    return score / 2


@functools.lru_cache
def remembered(score: float) -> float:
    return score / 3


def scorer(estimator: Any, X: Any, y: Any) -> float:
    global N_CALLS
    N_CALLS += 1
    return halved(estimator.score(X, y)) + remembered(1.0) - PENALTY * OPTIONS["flip"]


def test_a_function_is_told_by_the_settings_and_functions_of_its_module_that_it_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = describe(scorer)
    module = sys.modules[__name__]
    monkeypatch.setattr(module, "N_CALLS", 7)  # which it writes
    assert describe(scorer) == before
    for name, value in (
        ("PENALTY", 5.0),
        ("halved", lambda score: score / 4),
        ("remembered", functools.lru_cache(lambda score: score / 5)),
    ):
        with monkeypatch.context() as change:
            if callable(value):
                getattr(value, "__wrapped__", value).__module__ = __name__
            change.setattr(module, name, value)
            assert describe(scorer) != before, name
    assert describe(scorer) == before


def collected(value: Any) -> list[str]:
    with collecting_lists() as found:
        describe(value)
    return found


def test_lists_and_dicts_that_code_reads_are_collected_apart_for_it_may_write_there_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = describe(scorer), collected(scorer)
    assert len(before[1]) == 1
    monkeypatch.setitem(OPTIONS, "flip", True)
    assert describe(scorer) == before[0]
    assert collected(scorer) != before[1]
    one, other = factory(0, flip=[1, 2]), factory(0, flip=[2, 1])
    assert describe(one) == describe(other)
    assert collected(one) != collected(other)


def factory(shift: int, **attributes: Any) -> type:
    class Net(ClassifierMixin, BaseEstimator):
        options = attributes

        def predict(self, X: Any) -> Any:
            return np.zeros(len(X)) + shift

    return Net


def flipped(self: Any) -> int:
    return 1


def straight(self: Any) -> int:
    return 0


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "property": property,
    "cached property": functools.cached_property,
    "cached": functools.lru_cache,
    "static": staticmethod,
    "available at times": lambda function: available_if(lambda self: True)(function),
    "partial": functools.partialmethod,
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_class_is_told_by_its_methods_however_they_are_wrapped(wrapper: str) -> None:
    one, same, other = (type("Own", (), {"part": WRAPPERS[wrapper](f)}) for f in (flipped, flipped, straight))
    assert describe(one) == describe(same)
    assert describe(one) != describe(other)
    assert describe(one()) == describe(same())
    assert describe(one()) != describe(other())


def test_classes_of_one_name_are_told_by_what_they_do() -> None:
    assert describe(factory(0)) == describe(factory(0))
    assert describe(factory(0)) != describe(factory(1))
    assert describe(factory(0)()) != describe(factory(1)())


class Slots:
    __slots__ = ("a",)

    def __init__(self, a: int) -> None:
        self.a = a

    def __repr__(self) -> str:
        return "Slots()"


class Named(list[int]):
    pass


def named(elements: list[int], name: str) -> Named:
    found = Named(elements)
    found.__dict__["name"] = name
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (re.compile("a").findall, re.compile("b").findall),
        (re.compile("a"), re.compile("a", re.IGNORECASE)),
        (re.compile("a" * 300 + "b"), re.compile("a" * 300 + "c")),
        ({0: 1}.get, {0: 2}.get),
        (math.log, np.log),
        (str.lower, str.upper),
        (Slots(1), Slots(2)),
        (named([1], "a"), named([1], "b")),
        (named([1], "a"), [1]),
    ],
)
def test_values_that_are_not_the_same_are_told_apart(one: Any, other: Any) -> None:
    assert describe(one) != describe(other)
    assert describe(one) == describe(one)


SCRIPT = """
    import functools, re
    from dhpo.journal import describe

    LIMITS = {"low": {1.5, 2.5}, "names": ["a", "b"]}

    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    class Own:
        options = {"b", "a", "c"}

        def fit(self, X):
            return even(LIMITS["low"]) and Own

    print(describe([Own, Own(), even, re.compile("a").findall, functools.lru_cache(odd), str.lower]))
"""


def test_another_process_says_the_same() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(SCRIPT)],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
