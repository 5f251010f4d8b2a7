"""A directory that only the user's own jobs read: certificates, environment variables and logs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["PrivateFolder", "sweep"]

_PREFIX = ".dhpo-jobs-"
_LOCK = "in-use"
# A folder that has just been made is not locked yet.
_SETTLED_SECONDS = 3600.0


class PrivateFolder:
    """A folder of mode 0700 with files of mode 0600, in a directory that nodes share.

    Parameters
    ----------
    parent : Path
        The shared directory.

    Attributes
    ----------
    path : Path
        Where it is.
    """

    def __init__(self, parent: Path) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._lock = os.open(self.path / _LOCK, os.O_WRONLY | os.O_CREAT, 0o600)
        # Some shared file systems know no locks; `sweep` then leaves the folder alone.
        with contextlib.suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._open = True

    def write(self, name: str, text: str) -> Path:
        """Write a file that only this user reads."""
        path = self.path / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        return path

    def write_environment(self, name: str, variables: Mapping[str, str]) -> Path:
        """Write lines for a shell to source; the values appear nowhere else."""
        lines = (f"export {variable}={shlex.quote(value)}\n" for variable, value in variables.items())
        return self.write(name, "".join(lines))

    def remove(self) -> None:
        """Remove it with all that is in it."""
        if self._open:
            self._open = False
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)


def sweep(parent: Path) -> None:
    """Remove the folders that killed drivers of this user left in a shared directory."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            known = (folder / _LOCK).stat()
            if known.st_uid != os.getuid() or time.time() - known.st_mtime < _SETTLED_SECONDS:
                continue
            with open(folder / _LOCK, "rb+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
