"""Copies of rows on disk, many in one file: a file for each of ten thousand small blocks takes longer than the rows."""

from __future__ import annotations

import os
import pickle
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from dhpo.data.rows import Rows
from dhpo.errors.full_disk import JOURNAL, TEMPORARY, says_where

__all__ = ["CopiesWriter", "CopyPlace", "read_copies", "read_copy"]

# The folder of a journal on this machine holds them, too.
_SETTING = f"{TEMPORARY}, or by {JOURNAL}"


class CopyPlace(NamedTuple):
    """Where a copy is: a file of the folder of copies, and the first byte in it."""

    file: str
    offset: int


class CopiesWriter:
    """Writes copies of rows into one file, which others see when it is closed: whole, or not at all.

    Parameters
    ----------
    folder : str or None
        None where workers share none; nothing can be written then.
    """

    def __init__(self, folder: str | None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._name = f"rows-{uuid.uuid4().hex}"
        self._file: Any = None

    @property
    def folder(self) -> Path | None:
        """Where the file lies, or will lie."""
        return self._folder

    def write(self, rows: Rows) -> CopyPlace:
        """Add a copy."""
        if self._folder is None:
            raise ValueError("there is no folder for copies")
        with says_where(self._folder, _SETTING):
            if self._file is None:
                self._file = open(self._partial, "wb")  # noqa: SIM115 - closed in __exit__
            place = CopyPlace(self._name, self._file.tell())
            # Not joblib: it takes a millisecond for a few rows, and protocol 5 writes arrays without a copy, too.
            pickle.dump(rows, self._file, protocol=5)
        return place

    @property
    def _partial(self) -> Path:
        return Path(self._folder or "") / f"{self._name}.partial"

    def __enter__(self) -> CopiesWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None or self._folder is None:
            return
        try:
            with says_where(self._folder, _SETTING):
                self._file.close()
            if kind is None:
                os.replace(self._partial, self._folder / self._name)
        finally:
            self._partial.unlink(missing_ok=True)


def read_copy(folder: str, place: CopyPlace) -> Rows:
    """The rows of one copy."""
    return read_copies(folder, [place])[0]


def read_copies(folder: str, places: Sequence[CopyPlace]) -> list[Rows]:
    """The rows of some copies, each file opened once."""
    by_file: dict[str, list[int]] = {}
    for number, place in enumerate(places):
        by_file.setdefault(place.file, []).append(number)
    found: dict[int, Rows] = {}
    for name, numbers in by_file.items():
        with open(Path(folder) / name, "rb") as file:
            for number in sorted(numbers, key=lambda n: places[n].offset):
                file.seek(places[number].offset)
                found[number] = pickle.load(file)
    return [found[number] for number in range(len(places))]
