"""What workers do in the first pass: look at every block once, and keep its rows as far as they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dask.typing import Key

from dhpo.data.fingerprint import fingerprint
from dhpo.data.holdout import Split
from dhpo.data.order import PassOrder
from dhpo.data.read_errors import BlockUnreadable
from dhpo.data.reader import BlockFacts, BlockSpec, prepare
from dhpo.data.rows import Rows
from dhpo.data.scratch_copies import CopiesWriter
from dhpo.errors.user_code import guarded
from dhpo.worker.ended_searches import silent_after_end
from dhpo.worker.state import single_threaded, worker_state

__all__ = ["digest_of", "load_blocks"]


@guarded
@silent_after_end(list)
def load_blocks(
    run: str,
    specs: Sequence[BlockSpec],
    names: Sequence[Key],
    values: Sequence[Any],
    *,
    memory_limit: int,
    split: Split,
    order: PassOrder,
    with_classes: bool,
    reads: float,
    free_bytes_needed_per_byte: float,
    with_digest: bool,
    return_validation: bool,
) -> Any:
    """Look at some blocks, on a worker, and keep their training rows in its cache as far as they fit.

    The function of every `load-` task; see `dhpo.data.reader.prepare` for the parameters.
    """
    supplied = dict(zip(names, values, strict=True))
    found: list[BlockFacts] = []
    held_out: dict[int, Rows] = {}
    state = worker_state(run, memory_limit)
    gate = state.cache.gate
    with single_threaded(), CopiesWriter(split.scratch) as copies:
        for spec in specs:
            if state.over:
                break
            try:
                with gate.loading(state.cache.kind("look"), spec.nbytes, given_up=lambda: state.over) as load:
                    facts, training, validation = prepare(
                        spec,
                        split,
                        with_classes=with_classes,
                        reads=reads,
                        free_bytes_needed_per_byte=free_bytes_needed_per_byte,
                        copies=copies,
                        with_digest=with_digest,
                        supplied=supplied,
                    )
                    keep = facts.error is None and state.cache.has_room(0)
                    rows = training() if keep else None
                found.append(replace(facts, taken=load.nbytes))
                if return_validation:
                    held_out[spec.index] = validation
                if rows is not None:
                    state.cache.put(("train", spec.index), rows, order.next_use(spec.index, 0))
                del rows, training, validation
            except BlockUnreadable as error:
                found.append(BlockFacts(spec.index, unreadable=error))
            finally:
                gate.let_go()
    return (found, held_out) if return_validation else found


@guarded
def digest_of(spec: BlockSpec, names: Sequence[Key], values: Sequence[Any]) -> str:
    """The hash of the rows of a block."""
    return fingerprint(spec.load(dict(zip(names, values, strict=True))))
