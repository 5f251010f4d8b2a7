"""The first look at the data: align it, hold the validation rows out, find the classes."""

from __future__ import annotations

import asyncio
import logging
import math
import operator
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from dask.optimization import cull

from dhpo.cluster.chunks import submit_chunk
from dhpo.cluster.tasks import ATTEMPTS, AnyWorkerClient, failed_to_read, gather
from dhpo.cluster.workers import Workers
from dhpo.data.blocks import Block, BlockMismatch, align, check_lengths, needs_lengths
from dhpo.data.collections import Chunks
from dhpo.data.holdout import Split
from dhpo.data.order import PassOrder
from dhpo.data.reader import HELD_OUT, BlockFacts, BlockSpec
from dhpo.data.rows import n_rows
from dhpo.driver.memory_check import Room
from dhpo.driver.prepared_data import Data, DataPlan
from dhpo.errors.full_disk import JOURNAL, TEMPORARY, says_where
from dhpo.storage.workspace import Workspace
from dhpo.worker.first_look import digest_of, load_blocks
from dhpo.worker.state import forget_run

__all__ = ["look_at_data"]

# A block whose graph is larger than this carries its rows itself; it goes through a file where workers share one.
_HEAVY_BYTES = 64_000
# Of a collection with unknown lengths, to find out about how many rows it has.
_CHUNKS_COUNTED = 8
# Validation rows of several blocks are scored together up to this size, to spare calls.
_VALIDATION_GROUP_BYTES = 8_000_000
# Where workers share no folder, the rows held out of several blocks are one result, up to this size.
_TOGETHER_BYTES = 1_000_000
# For workers to say that they have forgotten what they hold.
_FORGET_SECONDS = 5.0

logger = logging.getLogger(__name__)


async def look_at_data(
    client: AnyWorkerClient,
    workspace: Workspace,
    plan: DataPlan,
    *,
    order_entropy: int,
    max_resource: int,
    shared: bool,
    held_before: Callable[[], Awaitable[int]],
    looked: Callable[[int, int], None],
) -> Data:
    """Load every block once.

    Parameters
    ----------
    client : AnyWorkerClient
    workspace : Workspace
    plan : DataPlan
    order_entropy : int
        Seed of the passes.
    max_resource : int
        `partial_fit` calls of the longest-trained trial.
    shared : bool
        Whether all workers see the workspace.
    held_before : callable
        Asks workers how many bytes they hold before they load a block.
    looked : callable
        Is told at how many blocks workers have looked, and how many there are.

    Raises
    ------
    SearchFailed
        If a block cannot be read.
    ValueError
        If a block does not fit a worker.
    ValueError
        If X, y and sample_weight do not have the same rows, or no row is left to train or to score on.
    """
    X, y, sample_weight = await _with_lengths(client, plan.X, plan.y, plan.sample_weight)
    blocks = [replace(block, by_labels=plan.by_labels) for block in align(X, y, sample_weight, plan.one_block)]
    test_size = None
    if plan.validation is None and not plan.n_folds:
        given = plan.test_size
        test_size = given(len(blocks), await _n_rows(client, X)) if callable(given) else given
    scratch = str(workspace.scratch) if shared else None
    split = Split(test_size, plan.entropy, scratch, plan.stratified, plan.n_folds)
    sizes = _known_nbytes((X, y, sample_weight), blocks)
    specs = [replace(_spec(b, workspace, shared, "block"), nbytes=n) for b, n in zip(blocks, sizes, strict=True)]
    futures = {key: future for block in blocks for key, future in block.futures.items()}
    data = Data(specs, futures, [], {}, split, PassOrder(range(len(blocks)), order_entropy))
    check = partial(_check_room, client.workers, data.split, held_before, plan.one_block)
    largest = max(range(len(specs)), key=lambda i: specs[i].nbytes)
    await check(specs[largest].nbytes, _rows_of(X, blocks[largest]), None)
    try:
        await _load_all(client, workspace, data, plan, max_resource, check, held_before, looked)
    except BlockMismatch as mismatch:
        if all(chunks is None or chunks.lengths is not None for chunks in (X, y, sample_weight)):
            raise
        X, y, sample_weight = await _with_lengths(client, X, y, sample_weight, of_all=True)
        try:
            check_lengths(X, y, sample_weight)
        except ValueError as error:
            raise ValueError(f"{error} {mismatch}") from None
        # Workers hold rows that were wrongly put together, and some may still load such rows.
        before = workspace.rename()
        with suppress(Exception):
            await asyncio.wait_for(client.client.run(forget_run, before, on_error="ignore"), _FORGET_SECONDS)
        return await look_at_data(
            client,
            workspace,
            replace(plan, X=X, y=y, sample_weight=sample_weight, by_labels=True),
            order_entropy=order_entropy,
            max_resource=max_resource,
            shared=shared,
            held_before=held_before,
            looked=looked,
        )
    if plan.validation is not None:
        own_X, own_y, _ = await _with_lengths(client, *plan.validation, None, of_all=True)
        own = align(own_X, own_y, None)
        data.n_own_validation = own_X.n_rows or 0
        data.validation = [(_spec(block, workspace, shared, "validation"),) for block in own]
        data.validation_futures = {key: future for block in own for key, future in block.futures.items()}
        if plan.with_digest:
            data.validation_digest = await _digests(client, data)
    elif plan.n_folds:
        data.make_folds()
    elif not sum(f.n_validation for f in data.facts):
        raise ValueError(
            f"test_size={test_size} holds out no row of n_samples={sum(f.n_training for f in data.facts)}; give a "
            "larger test_size, or validation_data=(X, y)."
        )
    # Of a single row nothing is left to train on without its fold.
    least = 2 if plan.n_folds else 1
    with_rows = [f.index for f in data.facts if f.n_training >= least]
    if not with_rows and plan.n_folds:
        raise ValueError(f"cv={plan.n_folds} needs blocks of two rows at least; the chunks of X have one: rechunk X.")
    if not with_rows:
        raise ValueError(f"X is empty: it has no rows to train on (test_size={test_size}).")
    # A call that sees no rows would leave its models as they were, and count as training.
    data.order = PassOrder(with_rows, order_entropy)
    return data


async def _with_lengths(
    client: AnyWorkerClient,
    X: Chunks,
    y: Chunks | None,
    sample_weight: Chunks | None,
    of_all: bool = False,
) -> tuple[Chunks, Chunks | None, Chunks | None]:
    """The same collections, those with lengths whose chunks had to be counted to align them; or all of them."""
    counted: dict[str, Chunks] = {}
    unknown = [c for c in (X, y, sample_weight) if c is not None and c.lengths is None]
    for chunks in unknown if of_all else needs_lengths(X, y, sample_weight):
        graphs = [cull(chunks.graph, [key])[0] for key in chunks.keys]
        tasks = [
            submit_chunk(client, graph, key, n, n_rows)
            for n, (graph, key) in enumerate(zip(graphs, chunks.keys, strict=True))
        ]
        counted[chunks.name] = chunks.with_lengths(await gather(client, tasks, "counting rows"))
    return (
        counted.get(X.name, X),
        counted.get(y.name, y) if y is not None else None,
        counted.get(sample_weight.name, sample_weight) if sample_weight is not None else None,
    )


async def _check_room(
    workers: Workers,
    split: Split,
    held_before: Callable[[], Awaitable[int]],
    all_rows: bool,
    nbytes: int,
    n_rows: int | None,
    held: int | None,
) -> None:
    """Raise ValueError if a block of so many bytes does not fit a worker."""
    copied = 1 - 1 / split.n_folds if split.n_folds else split.test_size or 0.0
    room = Room(nbytes, copied, n_rows, workers.least_memory, workers.most_threads, all_rows)
    if nbytes and room.memory_limit and not room.is_ample:
        room.check(await held_before() if held is None else held)


def _rows_of(X: Chunks, block: Block) -> int | None:
    if X.lengths is None or block.parts[0] is None:
        return None
    lengths = dict(zip(X.keys, X.lengths, strict=True))
    return sum(lengths[p.key] if p.start is None or p.stop is None else p.stop - p.start for p in block.parts[0])


def _known_nbytes(collections: Sequence[Chunks | None], blocks: Sequence[Block]) -> list[int]:
    """Bytes of the chunks that each block is made of, as far as their shapes and types tell."""
    known = {
        key: chunks.row_nbytes * length
        for chunks in collections
        if chunks is not None and chunks.row_nbytes is not None and chunks.lengths is not None
        for key, length in zip(chunks.keys, chunks.lengths, strict=True)
    }
    return [sum(known.get(piece.key, 0) for part in block.parts for piece in part or ()) for block in blocks]


async def _n_rows(client: AnyWorkerClient, X: Chunks) -> int:
    """The rows of X; where they are not known, about as many as some of its chunks tell."""
    if X.n_rows is not None:
        return X.n_rows
    step = math.ceil(len(X.keys) / _CHUNKS_COUNTED)
    keys = X.keys[step // 2 :: step]
    tasks = [submit_chunk(client, cull(X.graph, [key])[0], key, X.keys.index(key), n_rows) for key in keys]
    found: list[int] = await gather(client, tasks, "counting rows")
    return math.ceil(sum(found) * len(X.keys) / len(keys))


async def _digests(client: AnyWorkerClient, data: Data) -> str:
    """Hash the validation rows of the user."""
    tasks = []
    for (spec,) in data.validation:
        values = [data.validation_futures[key] for key in spec.supplied]
        tasks.append(client.submit(digest_of, spec, list(spec.supplied), values, pure=False))
    return "".join(await gather(client, tasks, "looking at validation_data"))


def _spec(block: Block, workspace: Workspace, shared: bool, kind: str) -> BlockSpec:
    data = block.dumps()
    supplied = tuple(block.futures)
    if not shared or len(data) <= _HEAVY_BYTES:
        return BlockSpec(block.index, data=data, supplied=supplied)
    path = workspace.scratch / f"{kind}-{block.index:06d}.graph"
    with says_where(workspace.scratch, f"{TEMPORARY}, or by {JOURNAL}"):
        path.write_bytes(data)
    return BlockSpec(block.index, path=str(path), supplied=supplied)


async def _load_all(
    client: AnyWorkerClient,
    workspace: Workspace,
    data: Data,
    plan: DataPlan,
    max_resource: int,
    check: Callable[[int, int | None, int | None], Awaitable[None]],
    held_before: Callable[[], Awaitable[int]],
    looked: Callable[[int, int], None],
) -> None:
    """Run one task for a few blocks each, and put what they found into `data`."""
    workers = client.workers
    await workers.some_alive()
    load = partial(
        load_blocks,
        workspace.run,
        memory_limit=workers.least_memory,
        split=data.split,
        order=data.order,
        with_classes=plan.with_classes,
        reads=max(max_resource / len(data.specs), 1.0) * max(len(workers), 1),
        free_bytes_needed_per_byte=2.0 * len(data.specs),
        with_digest=plan.with_digest,
        return_validation=_validation_travels(data.split),
    )
    facts: dict[int, BlockFacts] = {}

    def take(found: Sequence[BlockFacts]) -> None:
        facts.update((f.index, f) for f in found if f.unreadable is None)
        looked(len(facts), len(data.specs))

    looked(0, len(data.specs))
    todo = sorted(range(len(data.specs)), key=lambda i: data.order.next_use(i, 0))
    if not any(spec.nbytes for spec in data.specs) and len(todo) > 1:
        held = await held_before()
        # Nobody knows how large a block is: one alone tells, before a worker loads as many as it has threads.
        (first_found,) = await _load_some(client, workspace.run, load, data, [todo[:1]], take)
        if first_found.unreadable is None:
            todo = todo[1:]
            await check(first_found.nbytes + first_found.validation_nbytes, first_found.n_rows, held)
            data.specs = [replace(spec, nbytes=max(first_found.taken, 1)) for spec in data.specs]
    size = _blocks_of_a_task(data, workers)
    for attempt in range(1, ATTEMPTS + 1):
        batches = [todo[i : i + size] for i in range(0, len(todo), size)]
        found = await _load_some(client, workspace.run, load, data, batches, take)
        unreadable = [f.unreadable for f in found if f.unreadable is not None]
        if not unreadable:
            break
        first = min(unreadable, key=lambda error: error.block)
        logger.warning("attempt %d of %d, %d blocks: %s", attempt, ATTEMPTS, len(unreadable), first)
        if attempt == ATTEMPTS:
            others = f"; {len(unreadable) - 1} others could not be read either" if len(unreadable) > 1 else ""
            raise failed_to_read(first, others) from (first.original or first)
        todo, size = [error.block for error in unreadable], 1
    data.facts = [facts[index] for index in sorted(facts)]
    mismatches = [f.error for f in data.facts if f.error]
    if mismatches:
        raise BlockMismatch(mismatches[0])
    no_classes = [f.no_classes for f in data.facts if f.no_classes and not plan.classes_given]
    if no_classes:
        raise ValueError(no_classes[0])
    for f in data.facts:
        spec = data.specs[f.index]
        bare = BlockSpec(spec.index) if f.materialised else spec
        data.specs[f.index] = replace(bare, copies=f.copies, nbytes=f.nbytes + f.validation_nbytes)
    data.futures = {key: data.futures[key] for spec in data.specs for key in spec.supplied}
    if data.split.test_size is not None:
        data.group_validation()


def _validation_travels(split: Split) -> bool:
    """Whether rows held out are results of tasks, because workers share no folder."""
    return split.scratch is None and not split.n_folds


def _blocks_of_a_task(data: Data, workers: Workers) -> int:
    """As many as make some eight tasks for each thread; one where their rows are results that must stay small."""
    share = math.ceil(len(data.specs) / (8 * max(workers.n_threads, 1)))
    if _validation_travels(data.split):
        largest = max(spec.nbytes for spec in data.specs)
        share = min(share, _TOGETHER_BYTES // largest if largest else 1)
    return max(share, 1)


async def _load_some(
    client: AnyWorkerClient,
    run: str,
    load: Any,
    data: Data,
    batches: Sequence[Sequence[int]],
    take: Callable[[Sequence[BlockFacts]], None],
) -> list[BlockFacts]:
    """Load blocks once, a task for each batch, and have what each finds taken in when it is there."""
    with_rows = _validation_travels(data.split)

    def submit(indices: Sequence[int], **where: Any) -> list[Any]:
        specs = [data.specs[i] for i in indices]
        names = [key for spec in specs for key in spec.supplied]
        values = [data.futures[key] for key in names]
        key = f"load-{run}-{uuid.uuid4().hex}"
        loading = client.client.submit(load, specs, names, values, key=key, pure=False, **where)
        if not with_rows:
            return [loading]
        held_out, facts = (client.client.submit(operator.itemgetter(n), loading, pure=False, **where) for n in (1, 0))
        return [loading, held_out, facts]

    tasks = [client.send(partial(submit, indices)) for indices in batches]
    results = await gather(client, tasks, "looking at the data", came=take)
    if with_rows:
        for indices, task in zip(batches, tasks, strict=True):
            data.validation_futures[HELD_OUT, indices[0], len(indices)] = task.futures[1]
            data.held_out_by.update((index, (HELD_OUT, indices[0], len(indices))) for index in indices)
    return [facts for result in results for facts in result]
