"""What a search is, in words that two processes can compare."""

from __future__ import annotations

import functools
import hashlib
import re
import threading
import types
from collections.abc import Mapping, Sequence
from typing import Any

import joblib
import numpy as np
import pandas as pd
import scipy.sparse as sp

from dhpo.errors import JournalError
from dhpo.history.events import DataPrepared
from dhpo.history.values import decode_value, encode_value
from dhpo.trial import Params, Trial

__all__ = ["check_same_data", "check_same_params", "describe", "differences"]

_EMPTY = types.CellType()

_described = threading.local()
_ADDRESS = re.compile(r"(?i) at 0x[0-9a-f]+")
# scikit-learn's callbacks of an estimator: what a search finds does not depend on who watches it.
_NO_MATTER = {"_skl_callbacks"}
# What the functions of these do is told by the version of the package; those of users may be changed at any time.
_PACKAGES = {"builtins", "dask", "dhpo", "numpy", "pandas", "scipy", "sklearn"}


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
    if isinstance(value, type | types.BuiltinFunctionType | np.ufunc):
        return getattr(value, "__qualname__", repr(value))
    if isinstance(value, Mapping):
        inside = sorted((describe(key), describe(element)) for key, element in value.items())
        return "{" + ", ".join(f"{key}: {element}" for key, element in inside) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(describe, value)) + "]"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(describe, value))) + "}"
    if isinstance(value, np.ndarray):
        return f"array({value.dtype}, shape {value.shape}, {_hash(value)})"
    if sp.issparse(value) or isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        return f"{type(value).__name__}(shape {value.shape}, {_hash(value)})"
    if isinstance(value, np.random.RandomState | np.random.Generator):
        return f"{type(value).__name__}({_hash(value)})"
    if isinstance(value, functools.partial):
        return f"partial({describe(value.func)}, {describe(value.args)}, {describe(value.keywords)})"
    if hasattr(value, "dist") and hasattr(value, "args") and hasattr(value, "kwds"):  # a frozen distribution of scipy
        dist = value.dist.name if _package(type(value.dist)) in _PACKAGES else describe(vars(value.dist))
        return f"{dist}({', '.join([*map(describe, value.args), _inside(value.kwds)]).rstrip(', ')})"
    if isinstance(value, types.MethodType):
        return f"{describe(value.__func__)} of {describe(value.__self__)}"
    if isinstance(value, types.FunctionType):
        return _name(value) if _package(value) in _PACKAGES else f"{_name(value)}({_code(value)})"
    if callable(value) and hasattr(value, "__qualname__") and str(value.__module__).split(".")[0] in _PACKAGES:
        return _name(value)  # numpy.mean, for instance, which is no function of Python
    return _of_object(value)


def _of_object(value: Any) -> str:
    params = {}
    if hasattr(value, "get_params"):
        params = value.get_params(deep=False)
    state = {name: part for name, part in getattr(value, "__dict__", {}).items() if name not in _NO_MATTER}
    if not params and not state:
        text = repr(value)
        return f"{_class(type(value))}({_hash(value)})" if _ADDRESS.search(text) else text
    around: set[int] = _described.__dict__.setdefault("around", set())
    if id(value) in around:  # an object that refers to itself
        return f"{_class(type(value))}(...)"
    around.add(id(value))
    try:
        # Besides its parameters an estimator may have been fitted, or asked for metadata.
        return f"{_class(type(value))}({_inside({**state, **params})})"
    finally:
        around.discard(id(value))


def _inside(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={describe(params[name])}" for name in sorted(params))


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def _class(cls: type) -> str:
    """The name of a class, with a hash of what its methods do where it is the user's own."""
    own = [base for base in cls.__mro__ if base.__module__.split(".")[0] not in _PACKAGES]
    return f"{_name(cls)}[{_code_of_classes(own)}]" if own else _name(cls)


def _code_of_classes(classes: Sequence[type]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for cls in classes:
        for name, attribute in sorted(vars(cls).items()):
            if isinstance(attribute, property):
                parts: list[Any] = [attribute.fget, attribute.fset]
            else:
                parts = [getattr(attribute, "__func__", attribute)]  # of static methods and those of the class
            for part in parts:
                if isinstance(part, types.FunctionType):
                    digest.update(f"{name} {type(attribute).__name__} {_code(part)}".encode())
                elif isinstance(part, int | float | str | tuple) and not name.startswith("__"):
                    digest.update(f"{name} {describe(part)}".encode())
    return digest.hexdigest()


def _hash(value: Any) -> str:
    try:
        return str(joblib.hash(value))
    except Exception:  # what cannot be pickled cannot be told apart
        return "?"


def _code(function: types.FunctionType) -> str:
    """A hash of what a function does, with its defaults and what it has enclosed."""
    digest = hashlib.blake2b(digest_size=8)
    _add_code(digest, function.__code__)
    enclosed = [cell.cell_contents for cell in function.__closure__ or () if cell != _EMPTY]
    for part in (function.__defaults__, function.__kwdefaults__, [e for e in enclosed if e is not function]):
        digest.update(describe(part).encode())
    return digest.hexdigest()


def _add_code(digest: Any, code: types.CodeType) -> None:
    digest.update(code.co_code)
    digest.update(repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _add_code(digest, constant)
        else:
            digest.update(describe(constant).encode())


def differences(journal: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What is not the same, a sentence for each."""
    return [
        f"{name} was {journal.get(name, 'not there')}, and is {now.get(name, 'not there')}"
        for name in dict.fromkeys([*journal, *now])
        if journal.get(name) != now.get(name)
    ]


def _package(value: Any) -> str:
    return (value.__module__ or "").partition(".")[0]  # functions that SciPy makes for distributions have no module


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
