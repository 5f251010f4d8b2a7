"""What many messages need: numbers with their nouns, the nearest name that is allowed, the start of an error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = ["counted", "did_you_mean", "first_line", "listed", "percent", "were_done"]


def counted(number: int, noun: str) -> str:
    """A number and its noun: "1 call", "1,581 calls".

    Parameters
    ----------
    number : int
    noun : str
        In the singular; the plural is regular.
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def first_line(error: BaseException) -> str:
    """What an error says first; nothing where it says nothing.

    Parameters
    ----------
    error : BaseException
    """
    return str(error).partition("\n")[0]


def listed(names: Sequence[str]) -> str:
    """Names in one phrase, as in "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def percent(share: float) -> str:
    """A share in whole percent: "31 %"."""
    return f"{100 * share:.0f} %"


def were_done(number: int, noun: str) -> str:
    """A sentence: "1 call was done.", "1,581 calls were done."."""
    return f"{counted(number, noun)} {'was' if number == 1 else 'were'} done."


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The question after the nearest name that is known, with a space before it; nothing where none is near.

    Parameters
    ----------
    name : object
        What was given; only a string is near to any.
    known : iterable of str
    """
    if not isinstance(name, str):
        return ""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""
