"""Where the lines of a journal lie: in one file that grows, or in numbered objects where nothing can grow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

from dhpo.storage.model_store import is_local

__all__ = ["FileLog", "Log", "ObjectLog", "open_log", "read_log"]


class Log(Protocol):
    """Bytes to which only can be added."""

    name: str

    def read(self) -> bytes:
        """All that was written."""

    def cut(self, length: int) -> None:
        """Forget what follows the first `length` bytes."""

    def write(self, data: bytes) -> None:
        """Add; once it returns, the data outlives this process and this machine's power."""

    def close(self) -> None:
        """End; nothing is written after it."""


class FileLog:
    """A file on this machine, synced to its disk with each write.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # else the file could be gone after a power cut, whatever was synced into it
        finally:
            os.close(folder)

    def read(self) -> bytes:
        """All that was written."""
        return Path(self.name).read_bytes()

    def cut(self, length: int) -> None:
        """Forget what follows the first `length` bytes."""
        os.ftruncate(self._descriptor, length)
        os.fsync(self._descriptor)

    def write(self, data: bytes) -> None:
        """Add, and wait until it is on disk."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class ObjectLog:
    """Objects of a store, one for each write: most object stores cannot add to one.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    folder : str
    """

    def __init__(self, fs: Any, folder: str) -> None:
        self.name = f"{folder}/journal"
        self._fs = fs
        self._fs.makedirs(self.name, exist_ok=True)
        self._sizes: dict[str, int] = {}
        self._next = 0

    def read(self) -> bytes:
        """All that was written."""
        paths = [path for path, _ in _objects(self._fs, self.name)]
        parts = {path: self._fs.cat_file(path) for path in paths}
        self._sizes = {path: len(part) for path, part in parts.items()}
        if paths:
            self._next = int(paths[-1].rpartition("/")[2].partition(".")[0]) + 1
        return b"".join(parts.values())

    def cut(self, length: int) -> None:
        """Forget what follows the first `length` bytes."""
        for path, size in self._sizes.items():
            if size > length:
                kept = self._fs.cat_file(path)[:length]
                self._fs.pipe_file(path, kept)
                self._sizes[path] = len(kept)
            length = max(length - size, 0)

    def write(self, data: bytes) -> None:
        """Add one object."""
        self._fs.pipe_file(f"{self.name}/{self._next:09d}.jsonl", data)
        self._next += 1

    def close(self) -> None:
        """Nothing is open."""


def open_log(fs: Any, folder: str) -> Log:
    """The log in a folder, made where there is none.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    folder : str
    """
    return FileLog(Path(folder) / "journal.jsonl") if is_local(fs) else ObjectLog(fs, folder)


def read_log(fs: Any, folder: str, start: int) -> tuple[bytes, str]:
    """What was written from some byte on, and the name of the log; nothing is opened for writing.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    folder : str
    start : int
    """
    if is_local(fs):
        path = f"{folder}/journal.jsonl"
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(), path
    name, content = f"{folder}/journal", b""
    for path, size in _objects(fs, name):
        if start < size:
            content += fs.cat_file(path)[start:]
        start = max(start - size, 0)
    return content, name


def _objects(fs: Any, name: str) -> list[tuple[str, int]]:
    """The objects of an `ObjectLog` in their order, and their sizes; as they are now, from no cache."""
    found = fs.ls(name, detail=True, refresh=True)
    return sorted((str(o["name"]), o["size"]) for o in found if str(o["name"]).endswith(".jsonl"))
