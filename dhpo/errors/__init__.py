"""The errors that dhpo raises by name; a wrong argument is a ValueError or TypeError, before any work."""

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
    """The search could not give a result; a ValueError, as scikit-learn raises where all fits fail.

    No trial was scored, more trials failed than `max_failures` allows, data or models could not be read or written, or
    code of the user raised outside of a trial. The message says which, with the first traceback where there is one.
    """


class WorkersLost(DhpoError):
    """For longer than `dhpo.workers-timeout` a search had no worker, or no answer, or all its tasks were cancelled."""


class JournalError(DhpoError, ValueError):
    """A journal is damaged, in use by another process, or of another search; the message says what differs."""


class ExtraNotInstalled(DhpoError, ImportError):
    """An optional dependency is missing; the message names the extra to install."""


class RepeatedWorkWarning(UserWarning):
    """The blocks of a collection have most of their work in common; it is done again for each of them."""


class ImpreciseScoresWarning(UserWarning):
    """The rows held out are too few to tell the candidates apart; the message gives the standard error of a score."""
