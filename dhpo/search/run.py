"""The live handle of a search."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import time
import warnings
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from dhpo.cluster.interrupts import UninterruptedWorkers, wait_for_idle_workers
from dhpo.cluster.stopping import event_loop, from_any_thread
from dhpo.errors import ImpreciseScoresWarning, SearchFailed, WorkersLost
from dhpo.errors.user_code import is_harmless, said
from dhpo.exports.to_optuna import ToOptuna
from dhpo.history.history import Best, History
from dhpo.views.html import progress_html
from dhpo.views.progress import Progress
from dhpo.views.summary_stream import SummaryStream
from dhpo.views.text import best_line, progress_line

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

__all__ = ["Run", "Runs"]

_LOOK_SECONDS = 1.0
_LOOP_HAS_ENDED = (
    "the event loop of the client has ended, and the search with it: did something raise SystemExit or "
    "KeyboardInterrupt in it, or was the client closed? Start a new distributed.Client. What was done before is in "
    "summary(); a journal goes on from there."
)
_WITHOUT_JOURNAL = (
    ' summary() has what was found. With fit(..., journal="FOLDER") a search goes on where it was interrupted.'
)


class Runs(Protocol):
    """What runs a search: an executor."""

    def now(self) -> float:
        """Seconds since the search began."""

    def so_far(self, without_journal: str = "") -> str:
        """What was done, and how the search goes on where it ends early; where that cannot be, what is given."""

    def stop(self, at_once: bool = False) -> None:
        """End the search soon."""

    async def run(self) -> None:
        """Run the search to its end."""


class Run(ToOptuna):
    """A search while it runs: what `start` of a search returns.

    Attributes
    ----------
    history : History
        All events so far.
    asynchronous : bool
        Whether to await the run instead of asking for its `result()`, because its client is asynchronous.
    dashboard_link : str or None
        The address of the Dask dashboard of the cluster.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import HyperbandSearchCV
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> space = {"alpha": [1e-4, 1e-2, 1, 100]}
    >>> run = HyperbandSearchCV(SGDClassifier(), space, max_iter=3, random_state=0, verbose=0).start(X, y)

    The search runs now, and `run.best`, `run.status`, `run.summary()` and `run.stop()` may be used at any moment. The
    summary can also be had every few seconds, until the search is over.

    >>> for frame in run.stream(every=0.5):
    ...     seen = frame
    >>> len(seen)
    5
    >>> search = run.result()
    >>> run.status
    'done'
    >>> run.done
    True
    >>> run.best.report.score == search.best_score_
    True
    """

    def __init__(
        self,
        client: Client,
        executor: Runs,
        history: History,
        adopt: Callable[[Any, History], Any],
        close: Callable[..., None] | None,
    ) -> None:
        self.history = history
        self.asynchronous: bool = client.asynchronous
        self.dashboard_link: str | None = client.dashboard_link
        self._progress = Progress(history)
        self._executor = executor
        self._stop = from_any_thread(client, executor.stop)
        self._adopt = adopt
        self._close = close
        self._search: Any = None
        self._interrupts = 0
        self._lock = threading.Lock()
        self._loop = event_loop(client)
        self._future = asyncio.run_coroutine_threadsafe(_guarded(lambda: self._run(client, executor)), self._loop)
        if close is not None:
            # A cluster of our own goes with the search, also if nobody asks for the result. Its loop cannot end itself.
            self._future.add_done_callback(lambda _: threading.Thread(target=self._close_once, daemon=True).start())

    async def _run(self, client: Client, executor: Runs) -> None:
        async with UninterruptedWorkers(client):
            try:
                await executor.run()
            finally:
                await wait_for_idle_workers(client, lambda: self._interrupts == 1)

    @property
    def best(self) -> Best | None:
        """The trial with the highest last score so far, with that report; None before the first score."""
        return self.history.best

    @property
    def done(self) -> bool:
        """Whether the search is over, for whatever reason."""
        return self._future.done()

    @property
    def status(self) -> str:
        """What the search is doing.

        One of "starting workers", "first pass 3/20" (blocks), "training 31 %" ("fitting" where trials are fitted whole,
        after "collecting the data"), "last training" of the best on all rows, "judging the best" by the rows held out;
        in the end "done", "stopped", "time budget" where that was over, or "failed".
        """
        return self._progress_now().status

    def summary(self, splits: bool = False) -> pd.DataFrame:
        """One row for each trial as it stands now; see `History.summary`."""
        return self.history.summary(splits)

    def stream(self, every: float = 2.0) -> SummaryStream:
        """The summary again and again while the search runs, for `for` and `async for`.

        Parameters
        ----------
        every : float, default 2.0
            Seconds between two summaries.

        Returns
        -------
        iterable of pandas.DataFrame
            Of `summary()`: one now, one every few seconds, and a last one when the search is over.

        Raises
        ------
        TypeError, ValueError
            If `every` is no positive number.
        RuntimeError
            If the client is asynchronous, and not `async for` is used.
        """
        return SummaryStream(
            self.summary, lambda: self.done or not self._loop.is_running(), every, blocking=not self.asynchronous
        )

    def _happened(self) -> tuple[History, bool]:
        return self.history, not self.done

    def report(self, file: str | os.PathLike[str]) -> None:
        """Write how the search stands as one page of HTML, which needs no network and no other file.

        Parameters
        ----------
        file : str or path
            Overwritten where it exists.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        from dhpo.report import write_report

        write_report(self.history, file)

    def __repr__(self) -> str:
        progress = self._progress_now()
        line = progress_line(progress, self._seconds(progress))
        return f"<{type(self).__name__}: {line}>"

    def _repr_html_(self) -> str:
        progress = self._progress_now()
        return progress_html(progress, self._seconds(progress), self.dashboard_link)

    def _progress_now(self) -> Progress:
        with self._lock:
            self._progress.update()
        return self._progress

    def _seconds(self, progress: Progress) -> float:
        return progress.time if progress.stopped is not None else max(self._executor.now(), progress.time)

    def stop(self, at_once: bool = False) -> None:
        """End the search soon; what was scored so far is the result.

        Parameters
        ----------
        at_once : bool, default False
            Whether to do without the last training of the best on all rows, which a cross-validated search ends with.
        """
        if not self.done:
            self._stop(at_once)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end.

        An interrupt, as by Ctrl-C, ends the search: the best so far is its result, and its attributes are those of what
        was done. A second one ends the waiting for that, too.

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
            If the search is still running after `timeout`.
        SearchFailed, WorkersLost, ValueError
            What ended the search early. What was scored before is there all the same, as attributes of the search.
        RuntimeError
            If the client is asynchronous: await the run.
        KeyboardInterrupt
            If it is interrupted. The message says what was done and how the search goes on.
        """
        if self.asynchronous and not self.done:
            raise RuntimeError("the client is asynchronous: await the run instead of asking for its result()")
        try:
            return self._result(timeout)
        except KeyboardInterrupt:
            pass
        # Anew, and here: nobody wants to read where in the waiting the first one came.
        raise KeyboardInterrupt(self._ended_by_interrupt())

    def _ended_by_interrupt(self) -> str:
        """End the search, and say what stands."""
        try:
            self._interrupts += 1
            self.stop(at_once=True)
            with warnings.catch_warnings():
                # Nobody decides anything by the scores of a search that was interrupted.
                warnings.simplefilter("ignore", ImpreciseScoresWarning)
                self._result(None)
            done = self.status == "done"
            what = "the search is done" if done else "the search was stopped"
        except KeyboardInterrupt:
            self._interrupts += 1
            done = False
            concurrent.futures.wait([self._future], timeout=_LOOK_SECONDS)
            if self.done:
                self._close_once()  # else the end of the interpreter would, and Dask would complain of calls under way
            what = "the search was given up while it was being stopped"
        except Exception as error:
            return f"the search was to be stopped, and failed. {said(error)}"
        best = self.history.best
        if best is not None:
            what += f", {best_line(best, self.history.unit)}"
        return f"{what}." if done else f"{what}. {self._executor.so_far(_WITHOUT_JOURNAL)}"

    def _result(self, timeout: float | None) -> Any:
        try:
            self._wait(timeout)
            self._future.result()
        except concurrent.futures.CancelledError as error:
            raise WorkersLost(_LOOP_HAS_ENDED) from error
        finally:
            if self.done:
                search = self._adopt_once()
                self._close_once()
        return search

    def _wait(self, timeout: float | None) -> None:
        """Wait for the end, which does not come where the event loop of the client has ended."""
        ends_at = None if timeout is None else time.monotonic() + timeout
        while not self._future.done():
            left = _LOOK_SECONDS if ends_at is None else min(_LOOK_SECONDS, ends_at - time.monotonic())
            running = self._loop.is_running()
            concurrent.futures.wait([self._future], timeout=max(left, 0.0))
            if self._future.done():
                return
            if not running:
                self._future.cancel()
                raise WorkersLost(_LOOP_HAS_ENDED)
            if ends_at is not None and time.monotonic() >= ends_at:
                raise TimeoutError(f"the search is still running after timeout={timeout:g} s; call result() again.")

    async def finished(self) -> Any:
        """Await the end, with a client that is used asynchronously; the same as awaiting the run itself."""
        try:
            await asyncio.wrap_future(self._future)  # of this very loop: where it ends, so does this
        finally:
            search = self._adopt_once()
        return search

    def __await__(self) -> Any:
        return self.finished().__await__()

    def _adopt_once(self) -> Any:
        with self._lock:
            if self._search is None:
                self._search = self._adopt(self._executor, self.history)
            return self._search

    def _close_once(self) -> None:
        with self._lock:
            close, self._close = self._close, None
            if close is not None:
                close(at_once=self._interrupts > 0)


async def _guarded(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a search; what it raises does not end the event loop, nor look as if somebody had cancelled the search.

    That is for what the user's code may raise in the driver: a callable `refit`, a distribution, the best model when it
    is unpickled.
    """
    try:
        await run()
    except BaseException as error:
        if is_harmless(error) or isinstance(error, GeneratorExit):  # the loop ends, and closes what it leaves
            raise
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        raised = SearchFailed(f"the search ended because code outside of any trial raised: {said(error)}")
        raised.__cause__ = error
    else:
        return
    raise raised
