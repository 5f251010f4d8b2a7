"""The contract of samplers."""

from __future__ import annotations

from typing import Any, Protocol

from dhpo.trial import Report

__all__ = ["Sampler"]


class Sampler(Protocol):
    """Gives the parameters of trials.

    The parameters of trial n are a function of (`random_state`, n) and, for model-based samplers, of the reports told
    so far. They do not depend on which other trials were asked for, nor in which order.
    `dhpo.testing.check_sampler` checks that.

    A sampler is asked for a trial when a thread is free to begin it. One with an attribute ``learns = True``, whose
    parameters depend on reports, is asked as late as the threads allow: trials are then begun in shorter steps, so that
    few are begun before others are scored. Where an answer takes more than a fiftieth of a trial, it is asked in a
    thread while all others are busy, for one trial ahead for each four threads; it is told nothing meanwhile. It is
    told of every report: of each rung, and of failures. One that has a method ``drop(drop)``, too, is told of every
    `Drop`.

    Trials may get parameters of the user, or of an earlier search. A sampler hears of them where it has a method
    ``take(number, params)``, and then of their reports. A method ``learn_from(scored)`` gets pairs of parameters and
    numbers, higher for better ones, that an earlier search has found.

    Examples
    --------
    >>> from dhpo.testing import check_sampler
    >>> class Halves:
    ...     n_trials = None  # there is no end of them
    ...
    ...     def ask(self, number):
    ...         return {"alpha": 0.5**number}
    ...
    ...     def tell(self, report):
    ...         pass  # it does not learn
    >>> check_sampler(Halves)
    >>> Halves().ask(3)
    {'alpha': 0.125}
    """

    @property
    def n_trials(self) -> int | None:
        """How many distinct trials there are to give; None for endless.

        A sampler may raise IndexError for numbers from there on, as a grid does, or repeat itself, as random sampling
        of a finite space does.
        """

    def ask(self, number: int) -> dict[str, Any]:
        """Return the parameters of trial `number`, as a dict that belongs to the caller."""

    def tell(self, report: Report) -> None:
        """Learn from what came of a trial."""
