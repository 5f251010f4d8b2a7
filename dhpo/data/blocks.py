"""Blocks: aligned rows of X, y and sample_weight, each with the culled graph that computes it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cloudpickle
import dask
import pandas as pd
from dask.optimization import cull
from dask.typing import Key

from dhpo.data.collections import Chunks
from dhpo.data.graphs import split_futures
from dhpo.data.rows import Rows, as_target, concatenate, n_rows, take

__all__ = ["Block", "BlockMismatch", "Piece", "align", "check_lengths", "needs_lengths"]


class BlockMismatch(ValueError):
    """X, y or sample_weight of one block turned out to have different numbers of rows."""


class Piece(NamedTuple):
    """Rows `start:stop` of one chunk; all of them where both are None."""

    key: Key
    start: int | None = None
    stop: int | None = None


@dataclass(frozen=True)
class Block:
    """What one `partial_fit` call sees, as a graph that a worker computes on its own.

    Parameters
    ----------
    index : int
        Position among the blocks of the collection; chunks known to be empty are none.
    graph : mapping
        The culled low-level graph of this block alone.
    parts : tuple of (tuple of Piece, or None)
        The pieces of X, y and sample_weight.
    futures : mapping of key to Future
        Nodes of the graph that are data on the cluster; `load` wants their results.
    by_labels : bool
        Whether rows of X and y are refused whose labels differ: their chunks were cut by counted rows alone.
    """

    index: int
    graph: Mapping[Key, Any]
    parts: tuple[tuple[Piece, ...] | None, ...]
    futures: Mapping[Key, Any] = field(default_factory=dict)
    by_labels: bool = False

    def dumps(self) -> bytes:
        """The block as bytes, without its futures."""
        data: bytes = cloudpickle.dumps((self.index, dict(self.graph), self.parts, self.by_labels), protocol=5)
        return data

    @staticmethod
    def loads(data: bytes) -> Block:
        """The block that `dumps` wrote."""
        index, graph, parts, by_labels = cloudpickle.loads(data)
        return Block(index, graph, parts, by_labels=by_labels)

    def load(self, supplied: Mapping[Key, Any] | None = None) -> Rows:
        """Compute the rows in this thread.

        Parameters
        ----------
        supplied : mapping of key to object, optional
            The results of `futures`.

        Raises
        ------
        BlockMismatch
            If X, y and sample_weight do not have the same number of rows, or rows of other labels.
        """
        graph = {**self.graph, **(supplied or {})}
        keys = list(dict.fromkeys(piece.key for part in self.parts if part for piece in part))
        values = dict(zip(keys, dask.get(graph, keys), strict=True))
        X, y, weight = (None if part is None else concatenate([_cut(values, p) for p in part]) for part in self.parts)
        if self.by_labels:
            self._check_labels(values, {"X": X, "y": y, "sample_weight": weight})
        rows = Rows(X, as_target(y), as_target(weight))
        for name, part in (("y", rows.y), ("sample_weight", rows.sample_weight)):
            if part is not None and n_rows(part) != len(rows):
                raise BlockMismatch(
                    f"X and {name} must have the same rows, block by block: block {self.index} of X has "
                    f"{len(rows)} rows and of "
                    f"{name} {n_rows(part)}."
                )
        return rows

    def _check_labels(self, values: Mapping[Key, Any], rows: Mapping[str, Any]) -> None:
        found = {
            name: rows[name].index
            for name, part in zip(rows, self.parts, strict=True)
            if part and all(_has_labels(values[piece.key]) for piece in part)
        }
        for name in found.keys() - {"X"}:
            if "X" in found and not found["X"].equals(found[name]):
                raise BlockMismatch(
                    f"rows of X and {name} go together by their positions, but those of block {self.index} have other "
                    f"labels (X: {_few(found['X'])}; {name}: {_few(found[name])}), and the partitions of X and {name} "
                    "are of other lengths. If the rows are in the same order, say so by reset_index(drop=True) of "
                    "both; else bring them into one."
                )


def _has_labels(chunk: Any) -> bool:
    """Whether the index of a frame is more than the positions of the rows in this chunk."""
    index = getattr(chunk, "index", None) if hasattr(chunk, "iloc") else None
    return index is not None and not (isinstance(index, pd.RangeIndex) and index.start == 0)


def _few(index: pd.Index) -> str:
    return ", ".join(map(str, index[:3])) + (", ..." if len(index) > 3 else "")


def _cut(values: Mapping[Key, Any], piece: Piece) -> Any:
    value = values[piece.key]
    return value if piece.start is None else take(value, slice(piece.start, piece.stop))


def needs_lengths(X: Chunks, *others: Chunks | None) -> list[Chunks]:
    """The collections whose chunk lengths must be counted before the blocks can be aligned."""
    present = [other for other in others if other is not None]
    if all(len(other.keys) == len(X.keys) and not other.in_memory for other in present) or not present:
        unknown = any(c.lengths is None for c in (X, *present))
        known = {c.lengths for c in (X, *present) if c.lengths is not None}
        divisions = {c.divisions for c in (X, *present) if c.divisions is not None}
        if not unknown or (len(known) <= 1 and len(divisions) <= 1):
            return []  # equal, or presumably so: `Block.load` finds out, and they are counted then
    return [c for c in (X, *present) if c.lengths is None]


def check_lengths(*collections: Chunks | None) -> None:
    """Raise ValueError if collections that go together are known to have different numbers of rows."""
    rows = {c.name: c.n_rows for c in collections if c is not None and c.n_rows is not None}
    if len(set(rows.values())) > 1:
        said = ", ".join(f"{name} has {n}" for name, n in rows.items())
        raise ValueError(f"{', '.join(rows)} must have the same number of rows, but {said}.")


def align(X: Chunks, y: Chunks | None, sample_weight: Chunks | None, one_block: bool = False) -> list[Block]:
    """Cut y and sample_weight where X is cut, and give each block its own graph.

    Data in memory is cut as the first of the others is that has more than one chunk; alone, it is one block, as in
    dask-ml. So is all data with `one_block`.

    Raises
    ------
    ValueError
        If the numbers of rows differ.

    Warns
    -----
    UserWarning
        If chunks have to be cut, with what that costs.
    """
    check_lengths(X, y, sample_weight)
    present = [c for c in (X, y, sample_weight) if c is not None]
    sources = (X, y, sample_weight)
    if one_block:
        return [_block(0, sources, [None if c is None else _all_pieces(c) for c in sources])]
    guide = next((c for c in present if not c.in_memory), X)
    parts = [_pieces(c, guide) if c is not None else None for c in sources]
    filled = [i for i in range(len(guide.keys)) if guide.lengths is None or guide.lengths[i]]
    return [
        _block(index, sources, tuple(None if part is None else part[chunk] for part in parts))
        for index, chunk in enumerate(filled)
    ]


def _all_pieces(chunks: Chunks) -> tuple[Piece, ...]:
    lengths = chunks.lengths or [None] * len(chunks.keys)
    pieces = tuple(Piece(key) for key, length in zip(chunks.keys, lengths, strict=True) if length != 0)
    return pieces or (Piece(chunks.keys[0]),)


def _pieces(chunks: Chunks, guide: Chunks) -> list[tuple[Piece, ...]]:
    same_count = len(chunks.keys) == len(guide.keys)
    if chunks is guide or (same_count and (chunks.lengths == guide.lengths or None in (chunks.lengths, guide.lengths))):
        return [(Piece(key),) for key in chunks.keys]
    if chunks.lengths is None or guide.lengths is None:  # pragma: no cover - needs_lengths() had them counted
        raise ValueError(f"the chunks of {chunks.name} cannot be aligned while their lengths are unknown.")
    cut = list(_cuts(chunks, guide.lengths))
    loads = sum(len(pieces) for pieces in cut)
    if not chunks.in_memory and loads > len(chunks.keys):
        warnings.warn(
            f"the chunks of {chunks.name} do not match those of {guide.name}: to read every block once, "
            f"{loads} chunks of "
            f"{chunks.name} are computed where {len(chunks.keys)} would do. Rechunk {chunks.name} like "
            f"{guide.name} to avoid that.",
            UserWarning,
            stacklevel=2,
        )
    return cut


def _cuts(chunks: Chunks, lengths: Sequence[int]) -> Iterator[tuple[Piece, ...]]:
    """For each of `lengths` rows, the pieces of `chunks` that hold them."""
    held = chunks.lengths or ()
    number, offset = 0, 0
    for wanted in lengths:
        pieces = []
        while wanted > 0:
            available = held[number] - offset
            if available == 0:
                number, offset = number + 1, 0
                continue
            used = min(wanted, available)
            pieces.append(Piece(chunks.keys[number], offset, offset + used))
            wanted, offset = wanted - used, offset + used
        yield tuple(pieces)


def _block(index: int, sources: Sequence[Chunks | None], parts: Sequence[tuple[Piece, ...] | None]) -> Block:
    graph: dict[Key, Any] = {}
    own: list[tuple[Piece, ...] | None] = []
    for source, part in zip(sources, parts, strict=True):
        if source is None or part is None:
            own.append(None)
        elif source.in_memory:
            # Cut here, in the caller's process, so that a block carries its own rows and not the whole data.
            key = source.keys[0]
            graph[key] = concatenate([_cut(source.graph, piece) for piece in part])
            own.append((Piece(key),))
        else:
            graph.update(cull(source.graph, [piece.key for piece in part])[0])
            own.append(part)
    rest, futures = split_futures(graph)
    return Block(index, rest, tuple(own), futures)
