"""Breadcrumbs: a step notes what it is about to do, so that the driver knows what the step did when its worker died.

The note is a few bytes in a file that is mapped into memory: to write it costs a microsecond, and the operating system
keeps it whatever becomes of the process.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from dhpo.errors.full_disk import TEMPORARY, says_where

__all__ = ["Crumb", "CrumbTrail", "Deed", "read_crumb", "remove_crumb"]

_LAYOUT = struct.Struct("<qqqq")
_NOBODY = -(2**62)


class Deed(IntEnum):
    """What is done with a model, by its own code or by what it is made of."""

    TRAINING = 0
    SCORING = 1
    MAKING = 2
    UNPICKLING = 3
    PICKLING = 4
    FITTING = 5


@dataclass(frozen=True, slots=True)
class Crumb:
    """What a step was about to do.

    Parameters
    ----------
    model : int or None
        Number of the model that it was about to do something with; None while it loads data.
    call : int
        The calls that the model has seen; of a `partial_fit` call its number, counted from 0.
    deed : Deed
        What was done with the model.
    turn : int
        Counts the notes of the step, so that two looks tell whether it goes on.
    """

    model: int | None
    call: int
    deed: Deed
    turn: int

    @property
    def doing(self) -> str:
        """What it was, in words."""
        match self.deed:
            case Deed.TRAINING:
                return f"partial_fit call {self.call + 1}"
            case Deed.SCORING:
                return f"the score after call {self.call}"
            case Deed.MAKING:
                return "clone or set_params"
            case Deed.UNPICKLING:
                return f"the unpickling after call {self.call}"
            case Deed.PICKLING:
                return f"the pickling after call {self.call}"
            case Deed.FITTING:
                return f"the fit that began with resource {self.call}"


class CrumbTrail:
    """The notes of one step, the last of which is kept.

    Parameters
    ----------
    path : str
        Absolute, or the name of a file in the temporary folder of this machine.
    """

    def __init__(self, path: str) -> None:
        self._path = _located(path)
        self._turn = 0
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Not by ftruncate(): to write through the mapping what a full disk has no room for kills the process.
            with says_where(self._path.parent, TEMPORARY):
                left = _LAYOUT.size
                while left:
                    left -= os.write(descriptor, bytes(left))
            self._map = mmap.mmap(descriptor, _LAYOUT.size)
        except BaseException:
            self._path.unlink(missing_ok=True)  # or the next to try would take this step for dead
            raise
        finally:
            os.close(descriptor)
        self.nobody()

    def note(self, model: int, call: int, deed: Deed = Deed.TRAINING) -> None:
        """Note what is about to be done."""
        self._turn += 1
        _LAYOUT.pack_into(self._map, 0, model, call, deed, self._turn)

    def nobody(self) -> None:
        """Note that no model is at work."""
        self.note(_NOBODY, 0)

    def remove(self) -> None:
        """The step ended by itself."""
        self._map.close()
        remove_crumb(str(self._path))


def read_crumb(path: str) -> Crumb | None:
    """The last note of a step; None if it has not begun, or ended by itself.

    Parameters
    ----------
    path : str
        As of its `CrumbTrail`.
    """
    try:
        content = _located(path).read_bytes()
    except OSError:
        return None
    if len(content) < _LAYOUT.size:
        return None
    model, call, deed, turn = _LAYOUT.unpack(content)
    return Crumb(None if model == _NOBODY else model, call, Deed(deed), turn) if turn else None


def remove_crumb(path: str) -> None:
    """Forget the notes of a step; see `read_crumb`."""
    _located(path).unlink(missing_ok=True)


def _located(path: str) -> Path:
    return Path(tempfile.gettempdir()) / path  # an absolute path stays what it is
