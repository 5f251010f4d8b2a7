"""What functions and classes of users do, in a hash that two processes can compare."""

from __future__ import annotations

import dis
import hashlib
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = [
    "LISTS_BESIDE_CODE",
    "PACKAGES",
    "VERSIONS",
    "class_in_words",
    "code_of",
    "collecting_lists",
    "name_of",
    "package_of",
    "versions_for",
]

# What the functions of these do is told by the version of the package; those of users may be changed at any time.
PACKAGES = {"builtins", "dask", "dhpo", "numpy", "pandas", "scipy", "sklearn"}
_INSTALLED = ("site-packages", "dist-packages")
_EMPTY = types.CellType()
# What a journal calls that which `collecting_lists` collects.
LISTS_BESIDE_CODE = "data beside code of your own"
VERSIONS = "version of a package"
# Where decorators of Python and scikit-learn keep the functions that they were given.
_HOLD_FUNCTIONS = ("__wrapped__", "func", "fn", "check")
# Data beside a function that is larger is no setting of it.
_MOST_ELEMENTS = 1000

_hashed = threading.local()
_Describe = Callable[[Any], str]


def name_of(thing: Any) -> str:
    """The name of a function or class, with its module."""
    return f"{_module_of(thing)}.{thing.__qualname__}"


def package_of(thing: Any) -> str:
    """The package of a function or class; functions that SciPy makes for distributions have no module."""
    return _module_of(thing).partition(".")[0]


def _module_of(thing: Any) -> str:
    owner = getattr(thing, "__objclass__", thing)  # of a method of a class that is written in C
    return getattr(owner, "__module__", None) or ""


def class_in_words(cls: type, describe: _Describe) -> str:
    """The name of a class, with a hash of what it does where it is the user's own.

    Parameters
    ----------
    cls : type
    describe : callable
        Puts values that it holds into words.
    """
    own = [base for base in cls.__mro__ if package_of(base) not in PACKAGES]
    return f"{name_of(cls)}[{_code_of_classes(own, describe)}]" if own else name_of(cls)


def versions_for(estimator: Any) -> str:
    """The versions of the packages that an estimator and its parts are of, and of those below it.

    Parameters
    ----------
    estimator : estimator
    """
    parts = [estimator, *estimator.get_params(deep=True).values()] if hasattr(estimator, "get_params") else [estimator]
    packages = {"numpy", "scipy", "sklearn", *(package_of(type(part)) for part in parts)}
    versions = {name: getattr(sys.modules.get(name), "__version__", None) for name in sorted(packages)}
    return ", ".join(f"{name} {version}" for name, version in versions.items() if isinstance(version, str))


def code_of(function: types.FunctionType, describe: _Describe) -> str:
    """A hash of what a function does, with its defaults, what it has enclosed, and what of its module it names.

    Parameters
    ----------
    function : function
    describe : callable
        Puts values that it holds into words.
    """
    with _once(function) as again:
        if again:  # it calls itself, maybe by others
            return function.__qualname__
        digest = hashlib.blake2b(digest_size=8)
        _add_code(digest, function.__code__, describe)
        enclosed = [cell.cell_contents for cell in function.__closure__ or () if cell != _EMPTY]
        for part in (function.__defaults__, function.__kwdefaults__, [e for e in enclosed if e is not function]):
            digest.update(describe(part).encode())
        for name, value in _named(function):
            if isinstance(value, types.FunctionType | type):
                digest.update(f"{name} {describe(value)}".encode())
            else:
                _add_data(digest, name, value, describe)
        return digest.hexdigest()


@contextmanager
def _once(thing: Any) -> Iterator[bool]:
    """Tells whether something is being hashed already, in this thread."""
    under_way: set[int] = _hashed.__dict__.setdefault("under_way", set())
    if id(thing) in under_way:
        yield True
        return
    under_way.add(id(thing))
    try:
        yield False
    finally:
        under_way.discard(id(thing))


def _code_of_classes(classes: list[type], describe: _Describe) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for cls in classes:
        with _once(cls) as again:
            for name, attribute in () if again else sorted(vars(cls).items()):
                functions = list(_functions_in(attribute))
                for function in functions:
                    digest.update(f"{name} {type(attribute).__name__} {code_of(function, describe)}".encode())
                if not functions and not name.startswith("__"):
                    _add_data(digest, name, attribute, describe)
    return digest.hexdigest()


def _functions_in(attribute: Any) -> Iterator[types.FunctionType]:
    """The functions that something is made of: properties, what is cached, wrapped, partial or available at times."""
    if isinstance(attribute, types.FunctionType):
        yield attribute
        return
    if isinstance(attribute, type):
        return
    if isinstance(attribute, property):
        parts: list[Any] = [attribute.fget, attribute.fset]
    elif isinstance(attribute, staticmethod | classmethod):
        parts = [attribute.__func__]
    else:
        inside = getattr(attribute, "__dict__", {})
        parts = [inside.get(name) for name in _HOLD_FUNCTIONS] if isinstance(inside, dict) else []
    for part in parts:
        if part is not None and part is not attribute:
            yield from _functions_in(part)


def _named(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """What of its module a function of the user reads: functions and classes beside it, and settings."""
    if _is_installed(function.__module__):
        return
    package = package_of(function)
    for name in sorted(_globals_read(function.__code__)):
        value = function.__globals__.get(name)
        if isinstance(value, type):
            if package_of(value) == package:
                yield name, value
        elif functions := list(_functions_in(value)):
            yield from ((name, part) for part in functions if package_of(part) == package)
        else:
            yield name, value


def _globals_read(code: types.CodeType) -> set[str]:
    """The names of its module that a piece of code reads, and does not write: a counter is no setting."""
    instructions = list(dis.get_instructions(code))
    read = {str(one.argval) for one in instructions if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    read -= {str(one.argval) for one in instructions if one.opname == "STORE_GLOBAL"}
    return read.union(*(_globals_read(part) for part in code.co_consts if isinstance(part, types.CodeType)))


@contextmanager
def collecting_lists() -> Iterator[list[str]]:
    """Collect, in words, the lists, dicts, sets and arrays beside the code that is hashed meanwhile.

    They are no part of the hashes: code may keep in them what it has done, and would be other code at each look.
    """
    found: list[str] = []
    before, _hashed.lists = getattr(_hashed, "lists", None), found
    try:
        yield found
    finally:
        _hashed.lists = before


def _add_data(digest: Any, name: str, value: Any, describe: _Describe) -> None:
    """Add plain data to a hash, or to what is collected."""
    if not _is_plain(value):
        return
    said = f"{name} {describe(value)}"
    if not _may_change(value):
        digest.update(said.encode())
    elif getattr(_hashed, "lists", None) is not None:
        _hashed.lists.append(said)


def _may_change(value: Any) -> bool:
    if isinstance(value, tuple | frozenset):
        return any(map(_may_change, value))
    return isinstance(value, list | dict | set | np.ndarray)


def _is_plain(value: Any, depth: int = 3) -> bool:
    """Whether it is plain data, and little of it."""
    if isinstance(value, bool | int | float | complex | str | bytes | np.generic):
        return True
    if isinstance(value, np.ndarray):
        return value.size <= _MOST_ELEMENTS and not value.dtype.hasobject
    if isinstance(value, list | tuple | set | frozenset | dict):
        elements = [*value.keys(), *value.values()] if isinstance(value, dict) else list(value)
        return depth > 0 and len(elements) <= _MOST_ELEMENTS and all(_is_plain(e, depth - 1) for e in elements)
    return False


def _is_installed(module: str | None) -> bool:
    """Whether a module is of a package that was installed, and is told by its version."""
    file = getattr(sys.modules.get(module or ""), "__file__", None) or ""
    return any(folder in file for folder in _INSTALLED)


def _add_code(digest: Any, code: types.CodeType, describe: _Describe) -> None:
    digest.update(code.co_code)
    digest.update(repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _add_code(digest, constant, describe)
        else:
            digest.update(describe(constant).encode())
