"""What an earlier search has left that a new one may begin with."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import fsspec

from dhpo.history.events import ModelState, Reported, Reused, StartedFrom, StepDone
from dhpo.history.history import History
from dhpo.journal.journal import JournalReader
from dhpo.storage.model_store import ModelStore, is_local

__all__ = ["EarlierSearch", "read_earlier_searches"]

logger = logging.getLogger(__name__)

_ALLOWED = "a list of journals (their folders or URLs), of what dhpo.load() returned, or of searches that were fitted"


@dataclass(frozen=True)
class EarlierSearch:
    """A search that has ended, or that was interrupted.

    Parameters
    ----------
    source : str
        Its journal, or its class.
    history : History
    identity : mapping of str to str
        See `dhpo.journal.Header`; empty without a journal.
    entropy : int or None
        Its seed; None without a journal.
    store : ModelStore or None
        Where its models lie.
    """

    source: str
    history: History
    identity: Mapping[str, str] = field(default_factory=dict)
    entropy: int | None = None
    store: ModelStore | None = None

    @property
    def digest(self) -> str:
        """Hash of its data; empty where it is not known."""
        prepared = self.history.prepared
        return "" if prepared is None else prepared.digest

    def states(self) -> dict[int, list[ModelState]]:
        """How far each model had come, wherever a file of it is there, by the number of the model."""
        if self.store is None:
            return {}
        try:
            there = self.store.files()
        except FileNotFoundError:  # a folder that was deleted, or that an object store does not have while it is empty
            return {}
        states: dict[int, dict[int, ModelState]] = {}
        for event in self.history.events:
            if isinstance(event, StepDone | Reused):
                for state in event.models:
                    if state.checkpoint is not None and state.checkpoint.file in there:
                        stored = replace(state, calls=state.checkpoint.calls)  # more calls may have been lost
                        states.setdefault(state.model, {})[stored.calls] = stored
        return {model: list(by_calls.values()) for model, by_calls in states.items()}

    def reports(self) -> dict[tuple[int, int], Reported]:
        """The reports that are no failures, by trial and resource."""
        reported = (event for event in self.history.events if isinstance(event, Reported) and not event.failed)
        return {(event.report.trial, event.report.resource): event for event in reported}


def read_earlier_searches(start_from: Any, journal: Any = None) -> tuple[EarlierSearch, ...]:
    """Read what the user wants a search to start from.

    Parameters
    ----------
    start_from : list or one of its elements, or None
    journal : str, path or None
        Of the new search.

    Raises
    ------
    TypeError, ValueError
        If it is none of what is allowed, or the journal of the new search itself.
    FileNotFoundError, JournalError
        If there is no journal where one was named, or it cannot be read.
    """
    if start_from is None:
        return ()
    listed = start_from if isinstance(start_from, Sequence) and not isinstance(start_from, str) else [start_from]
    found = [_read_unless_taken_over(source, journal) for source in listed]
    earlier = tuple(one for one in found if one is not None)
    if journal is not None and any(_same_place(one.source, journal) for one in earlier):
        raise ValueError(
            f"start_from={start_from!r} names the journal of this very search: leave start_from out to go on with that "
            "search, or give another journal."
        )
    return earlier


def _read_unless_taken_over(source: Any, journal: Any) -> EarlierSearch | None:
    """What a source has; None where it is gone, and the new search has taken over from it what it wanted."""
    try:
        return _read(source)
    except FileNotFoundError:
        url = source if isinstance(source, str | os.PathLike) else getattr(source, "_journal", None)
        if journal is None or not any(_same_place(begun, url) for begun in _sources(journal)):
            raise
        logger.info("%s is gone; the search goes on with what its journal has taken over", source)
        return None


def _sources(journal: Any) -> list[str]:
    """What a search that was begun has started from, by its journal."""
    try:
        events = JournalReader(journal).history().events
    except FileNotFoundError:
        return []
    return [event.source for event in events if isinstance(event, StartedFrom)]


def _read(source: Any) -> EarlierSearch:
    url = source if isinstance(source, str | os.PathLike) else getattr(source, "_journal", None)
    history = getattr(source, "_history", None)
    if url is not None:
        try:
            reader = JournalReader(url)
        except FileNotFoundError:
            history = getattr(source, "history", history)  # of what dhpo.load() returned
            if history is None:
                raise
        else:
            header = reader.header
            return EarlierSearch(str(url), reader.history(), header.identity, header.entropy, reader.models)
    if not isinstance(history, History):
        raise TypeError(f"start_from has {source!r} of type {type(source).__name__}: give {_ALLOWED}.")
    return EarlierSearch(f"{type(source).__name__} in this process", history)


def _same_place(source: str, journal: Any) -> bool:
    (fs, one), (other_fs, other) = (fsspec.core.url_to_fs(str(place)) for place in (source, journal))
    if is_local(fs) and is_local(other_fs):
        one, other = os.path.realpath(one), os.path.realpath(other)
    return type(fs) is type(other_fs) and bool(one == other)
