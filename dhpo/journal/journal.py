"""The journal of one search: opened, checked, replayed and written."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import fsspec

import dhpo
from dhpo.errors import JournalError
from dhpo.errors.full_disk import JOURNAL, says_where
from dhpo.history.codec import decode_event, encode_event
from dhpo.history.events import Event
from dhpo.history.history import History
from dhpo.journal.code import LISTS_BESIDE_CODE, VERSIONS
from dhpo.journal.description import differences
from dhpo.journal.lines import decode_lines, encode_line
from dhpo.journal.lock import FileLock, LeaseLock, Lock, is_locked
from dhpo.journal.log import Log, open_log, read_log
from dhpo.journal.stop_request import StopRequest
from dhpo.storage.model_store import ModelStore

__all__ = ["Header", "Journal", "JournalReader", "open_journal"]

_FORMAT = 5


@dataclass(frozen=True)
class Header:
    """What is recorded of a search before its first event.

    Parameters
    ----------
    identity : mapping of str to str
        All that its answer depends on, in words.
    entropy : int
        Seed of the search.
    first_of_bracket : mapping of int to int, optional
        See `dhpo.history.history.History`.
    by_fits : bool
        Whether candidates are fitted whole.
    version : str
        Of dhpo.
    format : int
        Of the journal.
    """

    identity: Mapping[str, str]
    entropy: int
    first_of_bracket: Mapping[int, int] | None = None
    by_fits: bool = False
    version: str = ""
    format: int = _FORMAT


class Journal:
    """The events of a search on disk, and its models beside them.

    While it is open no other process can open it.

    Parameters
    ----------
    url : str or path
        A folder, or any fsspec URL; made where there is none.

    Attributes
    ----------
    header : Header or None
        None for a new journal.
    events : list of Event
        What an earlier process recorded.
    models : ModelStore
    folder : Path or None
        The folder, where it is one of this machine.
    address : str
        Its URL, or its whole path, which holds in any working directory.
    stop_request : StopRequest
        Of another process; one that was made before is withdrawn.

    Raises
    ------
    JournalError
        If the journal is damaged, or another process uses it.
    """

    def __init__(self, url: Any) -> None:
        self.url = str(url)
        fs, root = fsspec.core.url_to_fs(self.url)
        self.models = ModelStore(f"{fs.unstrip_protocol(root)}/models", durable=True)
        self.folder = Path(root) if self.models.is_local else None
        self.address = self.url if self.folder is None else str(self.folder)
        if self.folder is not None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.models.create()
        self._lock: Lock = FileLock(self.folder / "lock") if self.folder is not None else LeaseLock(fs, root)
        self.stop_request = StopRequest(fs, root)
        self._adding, self._committing = threading.Lock(), threading.Lock()
        self._log: Log | None = None
        try:
            self.stop_request.withdraw()
            self._log = open_log(fs, root)
            content = self._log.read()
            self.header, self.events, n_lines, length = _decode(content, self._log.name)
            if length < len(content):
                self._log.cut(length)
        except BaseException:
            self.close()
            raise
        self._n_lines = n_lines
        self._length = length
        self._waiting: list[bytes] = []

    def begin(self, header: Header) -> None:
        """Record what search this is, or check that it is the one that was recorded.

        Raises
        ------
        JournalError
            Saying what differs.
        """
        if self.header is None:
            self.header = replace(header, version=dhpo.__version__)
            self._add({"event": "search", **asdict(self.header)})
            self.commit()
            return
        before = {**self.header.identity, "random_state": f"seed {self.header.entropy}"}
        now = {**header.identity, "random_state": f"seed {header.entropy}"}
        for identity in (before, now):
            identity.pop(LISTS_BESIDE_CODE, None)  # the search may have written there itself
            identity.pop(VERSIONS, None)  # a search that was paid for goes on
        found = differences(before, now)
        if dhpo.__version__.split(".")[0] != self.header.version.split(".")[0]:
            found.insert(0, f"dhpo was {self.header.version}, and is {dhpo.__version__}")
        if found:
            raise JournalError(
                f"{self.url} is the journal of another search: "
                + "; ".join(found)
                + ". Use another journal for this search, or fit the one that was begun."
            )

    def append(self, event: Event) -> None:
        """Record an event; it is safe after the next `commit`."""
        self._add(encode_event(event))

    def _add(self, record: dict[str, Any]) -> None:
        line = encode_line(self._n_lines, record)
        with self._adding:
            self._waiting.append(line)
        self._n_lines += 1

    def commit(self) -> None:
        """Write what was recorded since the last commit, and wait until it is safe; from any thread."""
        with self._committing:
            self._commit()

    def _commit(self) -> None:
        self._lock.renew()
        if not self._waiting or self._log is None:
            return
        with self._adding:  # events may come while these are written
            lines, self._waiting = self._waiting, []
        data = b"".join(lines)
        try:
            with says_where(self.url, JOURNAL):
                self._log.write(data)
        except BaseException:
            with self._adding:
                self._waiting = lines + self._waiting
            # A part of it may be there. What a later commit adds has to follow the last whole line.
            with suppress(OSError):
                self._log.cut(self._length)
            raise
        self._length += len(data)

    def close(self) -> None:
        """Let other processes in."""
        if self._log is not None:
            self._log.close()
        self._lock.release()


@contextmanager
def open_journal(url: Any) -> Iterator[Journal | None]:
    """Open a journal for a search that begins in the block, and ends after it; close it if the block raises.

    Parameters
    ----------
    url : str, path or None
        None for a search without a journal.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If it is empty.
    """
    if url is not None and not isinstance(url, str | os.PathLike):
        raise TypeError(f"journal={url!r} is of type {type(url).__name__}; give the path or the URL of a folder.")
    if url == "":
        raise ValueError("journal='' names no folder; give its path or its URL, or leave journal out.")
    journal = None if url is None else Journal(url)
    try:
        yield journal
    except BaseException:
        if journal is not None:
            journal.close()
        raise


class JournalReader:
    """A journal that another process may be writing, for those who only look.

    Parameters
    ----------
    url : str or path

    Attributes
    ----------
    header : Header
    models : ModelStore
    address : str
        Its URL, or its whole path, which holds in any working directory.
    stop_request : StopRequest

    Raises
    ------
    FileNotFoundError
        If there is no journal.
    JournalError
        If it is damaged, or of another format.
    """

    def __init__(self, url: Any) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(str(url))
        if not self._fs.exists(f"{self._root}/journal.jsonl") and not self._fs.exists(f"{self._root}/journal"):
            raise FileNotFoundError(
                f"{url} is no journal of a search: there is neither journal.jsonl nor journal/ in it."
            )
        self.models = ModelStore(f"{self._fs.unstrip_protocol(self._root)}/models")
        self.address = self._root if self.models.is_local else str(url)
        self.stop_request = StopRequest(self._fs, self._root)
        self._n_lines = self._length = 0
        header, self._first = self._read()
        if header is None:
            raise JournalError(f"{url} holds no search: the process that began it died before its first line.")
        self.header = header

    @property
    def in_use(self) -> bool:
        """Whether a process holds the journal open; of one in an object store, whether one did within a minute."""
        return is_locked(self._fs, self._root)

    @property
    def idle_seconds(self) -> float:
        """Seconds since something was recorded; 0 where that is not known."""
        try:
            return max(time.time() - os.path.getmtime(f"{self._root}/journal.jsonl"), 0.0)
        except OSError:
            return 0.0

    def history(self) -> History:
        """A history of all that was recorded; of a reader that has read nothing yet."""
        history = History(self.header.first_of_bracket, self.header.by_fits)
        self.read_into(history)
        return history

    def read_into(self, history: History) -> None:
        """Append the events to a history that were recorded since this was asked last, and say whether it is alive."""
        history.alive = self.in_use  # before the events: what ends meanwhile has told so
        for event in self.new_events():
            history.append(event)

    def new_events(self) -> list[Event]:
        """The events that were recorded since this was asked last; all at first."""
        events, self._first = self._first, []
        return events + self._read()[1]

    def _read(self) -> tuple[Header | None, list[Event]]:
        content, name = read_log(self._fs, self._root, self._length)
        header, events, n_lines, length = _decode(content, name, self._n_lines)
        self._n_lines += n_lines
        self._length += length
        return header, events


def _decode(content: bytes, name: str, first: int = 0) -> tuple[Header | None, list[Event], int, int]:
    """The header, where the first line is there, the events, and how many lines and bytes they take."""
    records, length = decode_lines(content, name, first)
    if not records:
        return None, [], 0, 0
    header = _header(records[0], name) if not first else None
    try:
        events = [decode_event(record) for record in (records if first else records[1:])]
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(
            f"{name} holds what this version of dhpo cannot read: {error!r}. Read it with the version that wrote it, "
            "or begin with a new journal."
        ) from error
    return header, events, len(records), length


def _header(record: dict[str, Any], name: str) -> Header:
    if record.get("event") != "search" or record.get("format") != _FORMAT:
        raise JournalError(
            f"{name} has format {record.get('format')!r} of dhpo {record.get('version')}; this is dhpo "
            f"{dhpo.__version__}, which reads format {_FORMAT}. Read it with that version, or begin with a new journal."
        )
    brackets = record["first_of_bracket"]
    return Header(
        record["identity"],
        record["entropy"],
        None if brackets is None else {int(bracket): first for bracket, first in brackets.items()},
        record["by_fits"],
        record["version"],
        record["format"],
    )
