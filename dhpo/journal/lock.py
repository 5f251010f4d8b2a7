"""Keeps a second process away from a journal while the first lives."""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from pathlib import Path
from typing import Any, Protocol

from dhpo.errors import JournalError
from dhpo.storage.model_store import is_local

__all__ = ["FileLock", "LeaseLock", "Lock", "is_locked"]

# A process that wrote no sign of life for so many seconds is taken for dead, where there are no locks but files.
LEASE_SECONDS = 60.0
# Who looks whether a lock is held holds it for a moment himself.
_MOMENT_SECONDS, _TRIES = 0.02, 10


class Lock(Protocol):
    """Held from the moment that it is made until it is released."""

    def renew(self) -> None:
        """Give a sign of life."""

    def release(self) -> None:
        """Let others in."""


def _holder() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}


def _refusal(name: str, content: bytes) -> JournalError:
    try:
        holder = json.loads(content)
        who = f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return JournalError(f"{name} is in use by {who}: wait for its end or stop it, or use another journal.")


class FileLock:
    """A lock of the operating system, which ends with the process that holds it, however that ends.

    Parameters
    ----------
    path : Path
        The file; it stays when the lock is released.

    Raises
    ------
    JournalError
        If somebody else holds it.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if not _lock(self._descriptor, _TRIES):
            content = os.read(self._descriptor, 1000)
            os.close(self._descriptor)
            raise _refusal(str(path.parent), content) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, json.dumps(_holder()).encode())

    def renew(self) -> None:
        """Nothing to do: the operating system knows who lives."""

    def release(self) -> None:
        """Let others in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _lock(descriptor: int, tries: int = 1) -> bool:
    """Whether the lock was free; if so, it is held now."""
    for left in reversed(range(tries)):
        try:
            _lock_at_once(descriptor)
        except OSError:
            if left:
                time.sleep(_MOMENT_SECONDS)
        else:
            return True
    return False


def _lock_at_once(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_free(descriptor: int) -> bool:
    """Whether nobody holds the lock; several may look at the same time."""
    try:
        import fcntl
    except ImportError:  # Windows
        return _lock(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_locked(fs: Any, folder: str) -> bool:
    """Whether a process uses the journal in a folder; of one in an object store, whether one did within a minute."""
    path = f"{folder}/lock"
    if not is_local(fs):
        try:
            return time.time() - _written(fs.cat_file(path)) < LEASE_SECONDS
        except FileNotFoundError:
            return False
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # there is none, or it is another's
        return False
    try:
        return not _is_free(descriptor)
    finally:
        os.close(descriptor)


class LeaseLock:
    """A lock by an object that is written anew all the while, for stores without locks.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    folder : str

    Raises
    ------
    JournalError
        If somebody else has written it within the last minute.
    """

    def __init__(self, fs: Any, folder: str) -> None:
        self._fs, self._folder = fs, folder
        self._path = f"{folder}/lock"
        self._token = uuid.uuid4().hex
        content = self._read()
        if content and time.time() - _written(content) < LEASE_SECONDS:
            raise _refusal(folder, content)
        self._renewed = 0.0
        self.renew()
        if json.loads(self._read() or b"{}").get("token") != self._token:  # somebody came at the same moment
            raise _refusal(folder, self._read())

    def _read(self) -> bytes:
        try:
            content: bytes = self._fs.cat_file(self._path)
        except FileNotFoundError:
            return b""
        return content

    def renew(self) -> None:
        """Give a sign of life, now and then."""
        if time.monotonic() - self._renewed > LEASE_SECONDS / 4 or not self._renewed:
            self._fs.pipe_file(self._path, json.dumps({**_holder(), "token": self._token}).encode())
            self._renewed = time.monotonic()

    def release(self) -> None:
        """Let others in."""
        if json.loads(self._read() or b"{}").get("token") == self._token:
            self._fs.rm_file(self._path)


def _written(content: bytes) -> float:
    try:
        return float(json.loads(content)["time"])
    except (ValueError, KeyError, TypeError):
        return 0.0
