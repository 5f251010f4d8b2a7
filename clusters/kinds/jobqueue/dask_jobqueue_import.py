"""Imports dask-jobqueue without what the import does to this process."""

from __future__ import annotations

import signal
import threading
from importlib import import_module
from typing import Any

__all__ = ["native_class"]


def native_class(name: str) -> Any:
    """A cluster class of dask-jobqueue.

    Parameters
    ----------
    name : str
        Its name, such as "SLURMCluster".

    Raises
    ------
    RuntimeError
        If this is the first import, and not the main thread, the only one in which dask-jobqueue can be imported.
    """
    # On import, it makes Ctrl-C end the process without a KeyboardInterrupt, also that of a notebook.
    kept = signal.getsignal(signal.SIGINT)
    try:
        module = import_module("dask_jobqueue")
    except ValueError as error:
        raise RuntimeError("dask-jobqueue handles a signal on import: import it in the main thread first") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, kept)
    return getattr(module, name)
