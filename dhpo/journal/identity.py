"""What a search is, in words that two processes can compare."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

__all__ = ["describe", "differences"]

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def describe(value: Any) -> str:
    """A parameter of a search in words: the same for equal values in any process, different for different ones.

    Functions are told by their name alone, not by what they do.

    Parameters
    ----------
    value : object
        An estimator, a distribution, an array, a function, a container of such, or anything with a good repr.
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {describe(value[key])}" for key in sorted(value, key=str)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(describe, value)) + "]"
    if isinstance(value, np.ndarray):
        digest = hashlib.blake2b(repr(value.tolist()).encode(), digest_size=8).hexdigest()
        return f"array({value.dtype}, shape {value.shape}, {digest})"
    if sp.issparse(value):
        return f"sparse {describe(value.toarray())}"
    if isinstance(value, functools.partial):
        return f"partial({describe(value.func)}, {describe(value.args)}, {describe(value.keywords)})"
    if hasattr(value, "get_params") and not isinstance(value, type):
        return f"{_name(type(value))}({_inside(value.get_params(deep=False))})"
    if hasattr(value, "dist") and hasattr(value, "args") and hasattr(value, "kwds"):  # a frozen distribution of scipy
        return f"{value.dist.name}({', '.join([*map(describe, value.args), _inside(value.kwds)]).rstrip(', ')})"
    if callable(value) and hasattr(value, "__qualname__"):
        return _name(value)
    text = repr(value)
    if _ADDRESS.search(text) and hasattr(value, "__dict__"):
        return f"{_name(type(value))}({_inside(vars(value))})"
    return _ADDRESS.sub("", text)


def _inside(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={describe(params[name])}" for name in sorted(params))


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def differences(journal: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What is not the same, a sentence for each."""
    return [
        f"{name} was {journal.get(name, 'not there')}, and is {now.get(name, 'not there')}"
        for name in dict.fromkeys([*journal, *now])
        if journal.get(name) != now.get(name)
    ]
