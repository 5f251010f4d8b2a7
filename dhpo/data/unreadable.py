"""An error that says which block could not be read, and from which file."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from dhpo.data.blocks import BlockMismatch

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
    """

    def __init__(self, block: int, file: str | None, said: str, original: Exception | None = None) -> None:
        super().__init__(block, file, said, original)
        self.block = block
        self.file = file
        self.said = said
        self.original = original

    @property
    def name(self) -> str:
        """The block, with its file where that is known."""
        return f"block {self.block}" + (f" (of {self.file})" if self.file else "")

    def __str__(self) -> str:
        return f"{self.name} could not be read: {self.said}"


@contextmanager
def naming_block(block: int, graph: Mapping[Any, Any]) -> Iterator[None]:
    """Have whatever is raised inside say which block it is about."""
    try:
        yield
    except (BlockMismatch, MemoryError, BlockUnreadable):
        raise
    except Exception as error:
        file = getattr(error, "filename", None) or next(iter(_files(graph)), None)
        name = None if file is None else os.fsdecode(file) if isinstance(file, str | bytes | os.PathLike) else str(file)
        said = f"{type(error).__name__}: {error}"
        raise BlockUnreadable(block, name, said, error if _travels(error) else None) from error


def _travels(error: Exception) -> bool:
    try:
        return isinstance(pickle.loads(pickle.dumps(error)), Exception)
    except Exception:
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
