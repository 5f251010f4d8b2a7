"""Points that are given by the user or by an earlier search, before those of a sampler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dhpo.samplers.base import Sampler
from dhpo.space.parameter_space import Space
from dhpo.trial import Drop, Params, Report

__all__ = ["Enqueued"]


class Enqueued:
    """Gives some trials parameters that are known before, and asks a sampler for those of all others.

    What a point leaves out is drawn by the sampler. One that learns is told of these trials by its method `take`, and
    then of their reports; where it has none it does not hear of them.

    Parameters
    ----------
    sampler : Sampler
    space : Space
        That it draws from.
    points : mapping of int to mapping
        Parameters by the number of the trial.

    Attributes
    ----------
    sampler : Sampler
    points : dict of int to mapping

    Examples
    --------
    >>> from dhpo import Space
    >>> from dhpo.samplers import Enqueued, RandomSampler
    >>> space = Space({"alpha": [0.1, 1.0, 10.0]})
    >>> sampler = Enqueued(RandomSampler(space, random_state=0), space, {0: {"alpha": 0.5}})
    >>> sampler.ask(0)
    {'alpha': 0.5}
    >>> sampler.ask(1) == RandomSampler(space, random_state=0).ask(1)
    True
    """

    def __init__(self, sampler: Sampler, space: Space, points: Mapping[int, Params]) -> None:
        self.sampler = sampler
        self.points = dict(points)
        self._space = space

    @property
    def learns(self) -> bool:
        """Whether what it gives depends on reports."""
        return bool(getattr(self.sampler, "learns", False))

    @property
    def n_trials(self) -> int | None:
        """How many distinct trials the sampler has to give."""
        return self.sampler.n_trials

    def ask(self, number: int) -> dict[str, Any]:
        """Return the parameters of trial `number`."""
        if number not in self.points:
            return self.sampler.ask(number)
        params = dict(self.points[number])
        if not self._space.is_complete(params):
            params = {**self.sampler.ask(number), **params}
        if hasattr(self.sampler, "take"):
            self.sampler.take(number, params)
        return params

    def tell(self, report: Report) -> None:
        """Learn from what came of a trial."""
        if report.trial not in self.points or hasattr(self.sampler, "take"):
            self.sampler.tell(report)

    def learn_from(self, scored: Iterable[tuple[Params, float]]) -> None:
        """Begin with what an earlier search has found, where the sampler can."""
        if hasattr(self.sampler, "learn_from"):
            self.sampler.learn_from(scored)

    def drop(self, drop: Drop) -> None:
        """A trial was given up."""
        if hasattr(self.sampler, "drop"):
            self.sampler.drop(drop)
