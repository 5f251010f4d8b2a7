"""What ends a trial or a search early."""

from __future__ import annotations

from dataclasses import dataclass

from dhpo.errors import SearchFailed
from dhpo.history.history import History
from dhpo.wording import counted

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """What ends a trial or the search early.

    Parameters
    ----------
    trial_timeout : float, optional
        Seconds that a model may spend in `partial_fit` and scores.
    time_budget : float, optional
        Seconds that the search may take.
    max_failures : int, optional
        Trials that may fail.
    workers_timeout : float, default 60.0
        Seconds without any worker after which the search gives up.
    """

    trial_timeout: float | None = None
    time_budget: float | None = None
    max_failures: int | None = None
    workers_timeout: float = 60.0

    def check_failures(self, history: History, what: str) -> None:
        """Raise SearchFailed if more have failed than may.

        Parameters
        ----------
        history : History
        what : str
            Who failed, for the message: "trial", for instance.
        """
        if self.max_failures is None:
            return
        failed = history.n_failed
        if failed > self.max_failures:
            raise SearchFailed(
                f"{counted(failed, what)} failed, and max_failures={self.max_failures} allows no more. "
                f"The first failure:\n{history.first_error or 'the score was nan or infinite'}"
            )
