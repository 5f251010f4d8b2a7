"""The events of a search as lines on disk, from which it can be resumed or looked at."""

from dhpo.journal.code import LISTS_BESIDE_CODE, VERSIONS, collecting_lists, versions_for
from dhpo.journal.description import describe
from dhpo.journal.earlier_search import EarlierSearch, read_earlier_searches
from dhpo.journal.journal import Header, Journal, open_journal

__all__ = [
    "LISTS_BESIDE_CODE",
    "VERSIONS",
    "EarlierSearch",
    "Header",
    "Journal",
    "collecting_lists",
    "describe",
    "open_journal",
    "read_earlier_searches",
    "versions_for",
]
