"""What a search is, in words that two processes can compare."""

from __future__ import annotations

import functools
import re
import threading
import types
from collections.abc import Mapping
from typing import Any

import joblib
import numpy as np
import pandas as pd
import scipy.sparse as sp

from dhpo.errors import JournalError
from dhpo.history.events import DataPrepared
from dhpo.history.values import decode_value, encode_value
from dhpo.journal.code import PACKAGES, class_in_words, code_of, name_of, package_of
from dhpo.trial import Params, Trial

__all__ = ["check_same_data", "check_same_params", "describe", "differences"]

_described = threading.local()
_ADDRESS = re.compile(r"(?i) at 0x[0-9a-f]+")
# scikit-learn's callbacks of an estimator: what a search finds does not depend on who watches it.
_NO_MATTER = {"_skl_callbacks"}


def describe(value: Any) -> str:
    """A parameter of a search in words: the same for equal values in any process, different for different ones.

    Parameters
    ----------
    value : object
        An estimator, fitted or not, a distribution, an array, a function, a container of such, or anything that can be
        pickled.
    """
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic | range | slice):
        return repr(value)
    if isinstance(value, type):
        return class_in_words(value, describe)
    if isinstance(value, types.BuiltinFunctionType | types.MethodWrapperType):
        owner = getattr(value, "__self__", None)
        of = "" if owner is None or isinstance(owner, types.ModuleType) else f" of {describe(owner)}"
        return f"{name_of(value)}{of}"
    if isinstance(value, np.ufunc):
        return f"numpy.{value.__name__}"
    if isinstance(value, re.Pattern):  # which prints its beginning alone
        return f"re.compile({value.pattern!r}, {value.flags})"
    if isinstance(value, Mapping):
        inside = sorted((describe(key), describe(element)) for key, element in value.items())
        return _kind(value) + "{" + ", ".join(f"{key}: {element}" for key, element in inside) + "}"
    if isinstance(value, list | tuple):
        return _kind(value) + "[" + ", ".join(map(describe, value)) + "]"
    if isinstance(value, set | frozenset):
        return _kind(value) + "{" + ", ".join(sorted(map(describe, value))) + "}"
    if isinstance(value, np.ndarray):
        return f"array({value.dtype}, shape {value.shape}, {_hash(value)})"
    if sp.issparse(value) or isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        return f"{type(value).__name__}(shape {value.shape}, {_hash(value)})"
    if isinstance(value, np.random.RandomState | np.random.Generator):
        return f"{type(value).__name__}({_hash(value)})"
    if isinstance(value, functools.partial):
        return f"partial({describe(value.func)}, {describe(value.args)}, {describe(value.keywords)})"
    if hasattr(value, "dist") and hasattr(value, "args") and hasattr(value, "kwds"):  # a frozen distribution of scipy
        dist = value.dist.name if package_of(type(value.dist)) in PACKAGES else describe(vars(value.dist))
        return f"{dist}({', '.join([*map(describe, value.args), _inside(value.kwds)]).rstrip(', ')})"
    if isinstance(value, types.MethodType):
        return f"{describe(value.__func__)} of {describe(value.__self__)}"
    if isinstance(value, types.FunctionType):
        name = name_of(value)
        return name if package_of(value) in PACKAGES else f"{name}({code_of(value, describe)})"
    if callable(value) and hasattr(value, "__qualname__") and package_of(value) in PACKAGES:
        return name_of(value)  # numpy.mean, for instance, which is no function of Python
    return _of_object(value)


def _of_object(value: Any) -> str:
    params = {}
    if hasattr(value, "get_params"):
        params = value.get_params(deep=False)
    state = {name: part for name, part in getattr(value, "__dict__", {}).items() if name not in _NO_MATTER}
    name = class_in_words(type(value), describe)
    if not params and not state:
        # What it prints may not tell all of it; what is in it may be nothing that can be pickled.
        text = repr(value)
        return f"{name}({_hash(value)})" if _ADDRESS.search(text) else f"{name}({text} {_hash(value)})"
    around: set[int] = _described.__dict__.setdefault("around", set())
    if id(value) in around:  # an object that refers to itself
        return f"{name}(...)"
    around.add(id(value))
    try:
        # Besides its parameters an estimator may have been fitted, or asked for metadata.
        return f"{name}({_inside({**state, **params})})"
    finally:
        around.discard(id(value))


def _inside(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={describe(params[name])}" for name in sorted(params))


def _kind(container: Any) -> str:
    """The class of a container, and what it has besides its elements, if it is none of Python's own."""
    cls = type(container)
    if cls.__module__ in ("builtins", "types", "collections"):
        return ""
    return f"{class_in_words(cls, describe)}({_inside(getattr(container, '__dict__', {}))})"


def _hash(value: Any) -> str:
    try:
        return str(joblib.hash(value))
    except Exception:  # what cannot be pickled cannot be told apart
        return "?"


def differences(journal: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What is not the same, a sentence for each."""
    return [
        f"{name} was {journal.get(name, 'not there')}, and is {now.get(name, 'not there')}"
        for name in dict.fromkeys([*journal, *now])
        if journal.get(name) != now.get(name)
    ]


def check_same_data(before: DataPrepared, now: DataPrepared, other: str = "data") -> None:
    """Raise JournalError if the data is not what was recorded."""
    for name in ("n_blocks", "n_training", "n_validation", "digest"):
        if getattr(before, name) != getattr(now, name):
            raise JournalError(
                f"the journal is of a search on other {other}: {name} was {getattr(before, name)}, and is "
                f"{getattr(now, name)}. Use another journal, or the data that the search was begun with."
            )


def check_same_params(recorded: Trial, now: Params) -> None:
    """Raise JournalError if the sampler gives a trial other parameters than it was recorded with."""
    # An object of a class of a script may be described otherwise once it has been in a journal.
    read_back = {name: decode_value(encode_value(value)) for name, value in now.items()}
    if describe(recorded.params) not in (describe(now), describe(read_back)):
        raise JournalError(
            f"the journal gives trial {recorded.number} the parameters {describe(recorded.params)}, but the sampler of "
            f"this search gives it {describe(now)}. Use the sampler and space that the search was begun with, or "
            "another journal. A sampler object that draws at random needs a seed to give the same again."
        )
