"""The data of a search: as the user gave it, and as the steps see it after the first pass."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from dask.typing import Key

from dhpo.data.collections import Chunks
from dhpo.data.holdout import Split
from dhpo.data.order import PassOrder
from dhpo.data.reader import BlockFacts, BlockSpec
from dhpo.worker.messages import Step, Work

__all__ = ["Data", "DataPlan"]

# Validation rows of several blocks are scored together up to this size, to spare calls.
_VALIDATION_GROUP_BYTES = 8_000_000


@dataclass(frozen=True)
class DataPlan:
    """The data as the user gave it, and what to do with it.

    Parameters
    ----------
    X : Chunks
    y, sample_weight : Chunks, optional
    validation : tuple of (Chunks, Chunks or None), optional
        Validation data of the user's own.
    test_size : float or callable
        The share of rows held out, or what maps the numbers of blocks and of rows to it.
    entropy : int
        Seed of the split.
    with_classes : bool
        Whether the distinct targets are wanted.
    stratified : bool
        Whether every class gives its share of the rows held out, or of every fold.
    n_folds : int
        Folds that the rows of every block are dealt out to, instead of holding some out; 0 for none.
    with_digest : bool
        Whether to hash all rows, to know them again.
    classes_given : bool
        Whether the user told the classes: the distinct targets are only compared with them then.
    by_labels : bool
        Whether rows of X and y are refused whose labels differ.
    one_block : bool
        Whether all rows are one block, whatever chunks they come in.
    """

    X: Chunks
    y: Chunks | None
    sample_weight: Chunks | None
    validation: tuple[Chunks, Chunks | None] | None
    test_size: float | Callable[[int, int], float]
    entropy: int
    with_classes: bool
    stratified: bool = False
    n_folds: int = 0
    with_digest: bool = False
    classes_given: bool = False
    by_labels: bool = False
    one_block: bool = False


@dataclass
class Data:
    """The data as the steps see it.

    Parameters
    ----------
    specs : list of BlockSpec
        Training blocks.
    futures : mapping of key to Future
        Data on the cluster that the graphs of some blocks need.
    validation : list of tuple of BlockSpec
        Groups of blocks whose validation rows are scored together.
    validation_futures : mapping of key to Future
    split : Split
    order : PassOrder
        Of the training blocks.
    facts : list of BlockFacts
        One for each training block.
    validation_digest : str
        Hash of the validation rows of the user, if it was asked for.
    n_own_validation : int
        How many these are.
    held_out_by : mapping of int to key
        Where workers share no folder: which of `validation_futures` has the rows held out of a block.
    computed_arguments : str
        Those arguments of `fit` in words that Dask has computed.
    """

    specs: list[BlockSpec]
    futures: dict[Key, Any]
    validation: list[tuple[BlockSpec, ...]]
    validation_futures: dict[Key, Any]
    split: Split
    order: PassOrder
    facts: list[BlockFacts] = field(default_factory=list)
    validation_digest: str = ""
    n_own_validation: int = 0
    held_out_by: dict[int, Key] = field(default_factory=dict)
    computed_arguments: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of the training rows in memory."""
        return sum(f.nbytes for f in self.facts)

    @property
    def n_validation(self) -> int:
        """Rows that scores rest on."""
        return self.n_own_validation or sum(f.n_validation for f in self.facts)

    @property
    def digest(self) -> str:
        """Hash of all rows, and of what else Dask has computed, if it was asked for."""
        rows = "".join(f.digest for f in self.facts) + self.validation_digest
        digests = rows + self.computed_arguments
        return hashlib.blake2b(digests.encode(), digest_size=16).hexdigest() if rows else ""

    @property
    def classes(self) -> np.ndarray:
        """The distinct targets of the blocks that have some."""
        return np.unique(np.concatenate([f.classes for f in self.facts if f.classes is not None] or [np.empty(0)]))

    def step(
        self, works: Sequence[Work], until: int, seconds: float, memory_limit: int, crumb: str
    ) -> tuple[Step, dict[Key, Any]]:
        """A step with the blocks that its models need.

        Parameters
        ----------
        works, until, seconds, memory_limit, crumb
            See `Step`.

        Returns
        -------
        Step
        dict of key to Future
            Data on the cluster that its blocks need.
        """
        start = min(work.start for work in works)
        blocks = {self.order.block_at(call): None for call in range(start, until)}
        may_score = any(work.target <= max(until, work.start) for work in works)
        specs = {block: self.specs[block] for block in blocks}
        futures = {key: self.futures[key] for spec in specs.values() for key in spec.supplied}
        if may_score:
            futures.update(self.validation_futures)
        validation = self.validation if may_score else ()
        return Step(works, until, specs, validation, seconds, memory_limit, crumb), futures

    def make_folds(self) -> None:
        """Score on the rows of the training blocks: those of one fold at a time."""
        n_rows, n_folds = sum(f.n_training for f in self.facts), self.split.n_folds
        if n_rows < n_folds:
            raise ValueError(f"cv={n_folds} needs at least as many rows; X has n_samples={n_rows}: give fewer folds.")
        self.facts = [replace(f, n_validation=f.n_training, validation_nbytes=f.nbytes // n_folds) for f in self.facts]
        self.group_validation()
        self.validation_futures = {} if all(f.folds_kept for f in self.facts) else self.futures

    def group_validation(self) -> None:
        """Put the validation rows of the training blocks into groups that are scored together."""
        groups: list[list[BlockSpec]] = []
        size = 0
        for facts in self.facts:
            if not facts.n_validation:
                continue
            if not groups or size + facts.validation_nbytes > _VALIDATION_GROUP_BYTES:
                groups.append([])
                size = 0
            # The rows held out lie in scratch space, or come with the task; those of a fold may have to be computed.
            if facts.folds_kept or not self.split.n_folds:
                held_out = self.held_out_by.get(facts.index)
                copies = {kind: place for kind, place in facts.copies.items() if kind != "train"}
                supplied = () if held_out is None else (held_out,)
                groups[-1].append(BlockSpec(facts.index, supplied=supplied, copies=copies))
            else:
                groups[-1].append(self.specs[facts.index])
            size += facts.validation_nbytes
        self.validation = [tuple(group) for group in groups]
