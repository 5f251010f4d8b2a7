"""How another process asks that which runs a search to end it: by a file in the journal."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Any

from dhpo.storage.model_store import is_local

__all__ = ["StopRequest"]

logger = logging.getLogger(__name__)

_AT_ONCE = b"at once"
# Between two looks, where one goes over the network.
_LOOKS_SECONDS = 5.0


class StopRequest:
    """The request in one journal.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    folder : str
        Of the journal.
    """

    def __init__(self, fs: Any, folder: str) -> None:
        self._fs = fs
        self._path = f"{folder}/stop"
        self._every = 0.0 if is_local(fs) else _LOOKS_SECONDS
        self._looked: float | None = None

    def make(self, at_once: bool) -> None:
        """Ask for the end; `at_once` also leaves out the last training of the best on all rows."""
        self._fs.pipe_file(self._path, _AT_ONCE if at_once else b"soon")

    def withdraw(self) -> None:
        """Ask for nothing any more."""
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._path)

    def look(self) -> bool | None:
        """None if nobody asks, or has been looked for just now; else whether the end is wanted at once."""
        now = time.monotonic()
        if self._looked is not None and now - self._looked < self._every:
            return None
        self._looked = now
        try:
            return bool(self._fs.cat_file(self._path) == _AT_ONCE)
        except FileNotFoundError:
            return None
        except OSError:  # whoever asks is heard at the next look
            logger.debug("could not look whether somebody asks for the end", exc_info=True)
            return None
