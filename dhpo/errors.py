"""The errors that dhpo raises by name; everything else is a ValueError or TypeError at the door."""

from __future__ import annotations

__all__ = [
    "DhpoError",
    "ExtraNotInstalled",
    "ImpreciseScoresWarning",
    "JournalError",
    "RepeatedWorkWarning",
    "SearchFailed",
    "WorkersLost",
]


class DhpoError(Exception):
    """Base class of the errors that only dhpo raises."""


class SearchFailed(DhpoError, ValueError):
    """No trial of the search produced a finite score; a ValueError, as it is where all fits of scikit-learn's fail.

    The message carries the traceback of the first trial that failed.
    """


class WorkersLost(DhpoError):
    """No worker was there to run the search until the deadline passed."""


class JournalError(DhpoError, ValueError):
    """A journal is damaged, in use by another process, or of another search; the message says what differs."""


class ExtraNotInstalled(DhpoError, ImportError):
    """An optional dependency is missing; the message names the extra to install."""


class RepeatedWorkWarning(UserWarning):
    """The blocks of a collection have most of their work in common; it is done again for each of them."""


class ImpreciseScoresWarning(UserWarning):
    """The rows held out are too few to tell the candidates apart; the message gives the standard error of a score."""
