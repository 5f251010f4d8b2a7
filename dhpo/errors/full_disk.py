"""Says where there was no room to write, and which setting names another place."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["JOURNAL", "TEMPORARY", "says_where"]

# ENOSPC of the disk, EDQUOT of a quota, EFBIG of a limit on the size of files.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

TEMPORARY = (
    "temporary-directory in Dask's configuration (dask.config.set(temporary_directory=...), or the variable "
    "DASK_TEMPORARY_DIRECTORY)"
)
JOURNAL = "journal= of fit"


@contextmanager
def says_where(folder: str | os.PathLike[str], setting: str) -> Iterator[None]:
    """Raise an OSError of the block for want of room as one that names the folder and the setting.

    Parameters
    ----------
    folder : path
        Where the block writes.
    setting : str
        What names another folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        said = f"{os.strerror(error.errno)}: the search cannot write to {os.fspath(folder)}"
        raise OSError(error.errno, f"{said}. Make room there, or name another place by {setting}.") from error
