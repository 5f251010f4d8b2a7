"""An error that says which block could not be read, and from which file."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from dhpo.data.blocks import BlockMismatch
from dhpo.errors.user_code import is_harmless, said

__all__ = ["BlockUnreadable", "naming_block"]

_LOOKED_AT = 10_000


class BlockUnreadable(Exception):
    """A block could not be loaded.

    Parameters
    ----------
    block : int
    file : str or None
        What it was read from, where that is known.
    said : str
        Type and message of the error.
    original : Exception or None
        The error itself, where it can travel.
    collection : str
        Which of several collections that are not read together it is a block of.
    """

    def __init__(
        self, block: int, file: str | None, said: str, original: Exception | None = None, collection: str = ""
    ) -> None:
        super().__init__(block, file, said, original, collection)
        self.block = block
        self.file = file
        self.said = said
        self.original = original
        self.collection = collection

    @property
    def __context__(self) -> BaseException | None:
        """None: once Dask has sent an error, all of its type are pickled with their context, which may not travel."""
        return None

    @__context__.setter
    def __context__(self, context: BaseException | None) -> None:
        pass

    @property
    def name(self) -> str:
        """The block, with its file where that is known."""
        of = f" of {self.collection}" if self.collection else ""
        return f"block {self.block}{of}" + (f" (of {self.file})" if self.file else "")

    def __str__(self) -> str:
        return f"{self.name} could not be read: {self.said}"


@contextmanager
def naming_block(block: int, graph: Mapping[Any, Any], collection: str = "") -> Iterator[None]:
    """Have whatever is raised inside say which block it is about."""
    try:
        yield
    except (BlockMismatch, MemoryError, BlockUnreadable):
        raise
    except BaseException as error:
        file = getattr(error, "filename", None) or next(iter(_files(graph)), None)
        name = None if file is None else os.fsdecode(file) if isinstance(file, str | bytes | os.PathLike) else str(file)
        original = error if isinstance(error, Exception) and _travels(error) else None
        # What would end a process does not travel along as a cause, either.
        raise BlockUnreadable(block, name, _named(error), original, collection) from original


def _named(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}".removesuffix(": ")
    except BaseException:  # of the exception's own methods
        return said(error)


def _travels(error: Exception) -> bool:
    try:
        return is_harmless(error) and isinstance(pickle.loads(pickle.dumps(error)), Exception)
    except BaseException:
        return False


def _files(graph: Mapping[Any, Any]) -> Iterator[str]:
    """Texts in a graph that look like a file or its URL."""
    for text in islice(_texts(graph.values()), _LOOKED_AT):
        if "://" in text or (os.sep in text and os.path.exists(text)):
            yield text


def _texts(nodes: Iterable[Any]) -> Iterator[str]:
    waiting, seen = list(nodes), 0
    while waiting and seen < _LOOKED_AT:
        node, seen = waiting.pop(), seen + 1
        if isinstance(node, str):
            yield node
        elif isinstance(node, os.PathLike):
            yield str(os.fspath(node))
        elif isinstance(node, Mapping):
            waiting += node.values()
        elif isinstance(node, list | tuple | set | frozenset):
            waiting += node
        else:  # a task of a Dask graph, or a literal in one
            waiting += [getattr(node, name) for name in ("value", "kwargs", "args") if hasattr(type(node), name)]
