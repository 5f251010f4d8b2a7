"""The events of a search as lines on disk, from which it can be resumed or looked at."""

from dhpo.journal.description import describe
from dhpo.journal.journal import Header, Journal, open_journal
from dhpo.journal.stored_search import StoredSearch, load

__all__ = ["Header", "Journal", "StoredSearch", "describe", "load", "open_journal"]
