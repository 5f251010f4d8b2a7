"""The live handle of a search."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from dhpo.executor import Executor
from dhpo.history import Best, History

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run"]


class Run:
    """A search while it runs: what `start` of a search returns.

    Attributes
    ----------
    history : History
        All events so far.
    asynchronous : bool
        Whether to await the run instead of asking for its `result()`, because its client is asynchronous.
    """

    def __init__(
        self, client: Any, executor: Executor, history: History, adopt: Callable[[Any], Any], close: Callable[[], None]
    ) -> None:
        self.history = history
        self.asynchronous: bool = client.asynchronous
        self._executor = executor
        self._adopt = adopt
        self._close = close
        self._closed = threading.Lock()
        self._loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop
        self._future: Future[None] = asyncio.run_coroutine_threadsafe(executor.run(), self._loop)
        # A cluster of our own goes with the search, also if nobody asks for the result. Its thread cannot close itself.
        self._future.add_done_callback(lambda _: threading.Thread(target=self._close_once, daemon=True).start())

    @property
    def best(self) -> Best | None:
        """The trial with the highest last score so far, with that report; None before the first score."""
        return self.history.best

    @property
    def done(self) -> bool:
        """Whether the search is over, for whatever reason."""
        return self._future.done()

    def summary(self) -> pd.DataFrame:
        """One row for each trial as it stands now; see `History.summary`."""
        return self.history.summary()

    def stop(self) -> None:
        """End the search soon; what was scored so far is the result."""
        if not self.done:
            self._loop.call_soon_threadsafe(self._executor.stop)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait.

        Returns
        -------
        The search, fitted.

        Raises
        ------
        TimeoutError
            If the search goes on after `timeout`.
        SearchFailed, WorkersLost, ValueError
            What ended the search early. What was scored before is there all the same, as attributes of the search.
        """
        try:
            self._future.result(timeout)
        finally:
            if self.done:
                search = self._adopt(self._executor)
                self._close_once()
        return search

    async def _finished(self) -> Any:
        """The same for a client that is used asynchronously."""
        try:
            await asyncio.wrap_future(self._future)
        finally:
            search = self._adopt(self._executor)
        return search

    def __await__(self) -> Any:
        return self._finished().__await__()

    def _close_once(self) -> None:
        with self._closed:
            close, self._close = self._close, lambda: None
            close()
