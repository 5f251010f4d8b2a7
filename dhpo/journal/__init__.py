"""The events of a search as lines on disk, from which it can be resumed or looked at."""

from dhpo.journal.description import describe
from dhpo.journal.journal import Header, Journal, open_journal

__all__ = ["Header", "Journal", "describe", "open_journal"]
