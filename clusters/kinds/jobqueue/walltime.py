"""How long jobs may take, in the words of people and of batch systems, and when their workers have to end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from dask.utils import parse_timedelta
from pydantic import PlainValidator

__all__ = ["Lifetime", "Walltime", "clock", "hours_and_minutes", "lifetime_of", "parse_walltime"]

_CLOCK = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)")
_LONGEST_GRACE = 300.0
_GRACE_SHARE = 0.1


def parse_walltime(value: Any) -> float:
    """Seconds of a walltime.

    Parameters
    ----------
    value : str, int or float
        As "02:00:00", "1-12:00:00" (days first) or "2 hours"; a number is seconds. "02:00" is refused: to Slurm it is
        two minutes, and to LSF two hours. So is "90", minutes to Slurm and seconds to SGE.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(value, str) and (found := _CLOCK.fullmatch(value.strip())):
        parts = {name: int(text or 0) for name, text in found.groupdict().items()}
        seconds = float(((parts["days"] * 24 + parts["hours"]) * 60 + parts["minutes"]) * 60 + parts["seconds"])
    else:
        seconds = _seconds(value)
    if not 1 <= seconds < float("inf"):
        raise ValueError("expected 'HH:MM:SS', 'D-HH:MM:SS', a time as '2 hours', or a number of seconds")
    return seconds


def _seconds(value: Any) -> float:
    if isinstance(value, str) and not any(letter.isalpha() for letter in value):
        return 0.0
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return 0.0
    try:
        # YAML reads 12:00:00 as a number, and that is seconds.
        return float(parse_timedelta(value, default="s"))
    except (ValueError, KeyError, OverflowError):
        return 0.0


Walltime = Annotated[float, PlainValidator(parse_walltime)]


def clock(seconds: float) -> str:
    """The form "HH:MM:SS", which all batch systems but LSF read alike; hours may be more than 24."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"


def hours_and_minutes(seconds: float) -> str:
    """The form "HH:MM" of LSF, rounded up."""
    minutes = -(-round(seconds) // 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


@dataclass(frozen=True)
class Lifetime:
    """When a worker begins to end: after `seconds`, give or take `stagger`, so that not all of them end at once.

    Parameters
    ----------
    seconds, stagger : float
        Both in seconds.
    """

    seconds: float
    stagger: float


def lifetime_of(walltime: float, grace: float | None) -> Lifetime:
    """When the worker of a job begins to end: between once and twice the grace before the job would be killed.

    Parameters
    ----------
    walltime : float
        Seconds of its job.
    grace : float, optional
        Seconds left for the worker to hand over what it holds. Default: a tenth of the walltime, 5 minutes at most.

    Raises
    ------
    ValueError
        If the grace leaves no time to work.
    """
    if grace is None:
        grace = min(_LONGEST_GRACE, walltime * _GRACE_SHARE)
    if 2 * grace >= walltime:
        raise ValueError(f"grace={grace:g}: expected less than half of the walltime, which is {walltime:g} s")
    return Lifetime(walltime - 1.5 * grace, 0.5 * grace)
