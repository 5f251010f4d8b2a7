"""Points drawn at random, each from its own stream of random numbers."""

from __future__ import annotations

from typing import Any

from dhpo.samplers.permutation import Permutation
from dhpo.space.parameter_space import Space
from dhpo.space.seeds import RandomStateLike, entropy_of, params_rng, seed_sequence
from dhpo.trial import Report

__all__ = ["RandomSampler"]


class RandomSampler:
    """Random search, as scikit-learn's ParameterSampler has it.

    A finite space is sampled without replacement: the trials go through the grid in random order, and when it is
    exhausted once more in a new random order (Hyperband may start more trials than a grid has points). A space with a
    distribution is sampled with replacement.

    Parameters
    ----------
    space : Space
        What to draw from.
    random_state : int, numpy RandomState, numpy Generator or None
        See `dhpo.space.seeds.entropy_of`.

    Attributes
    ----------
    entropy : int
        Given as `random_state`, it repeats the search.

    Examples
    --------
    >>> from dhpo.samplers import RandomSampler
    >>> from dhpo import Space
    >>> sampler = RandomSampler(Space({"alpha": [0.1, 1.0, 10.0]}), random_state=0)
    >>> sorted(sampler.ask(number)["alpha"] for number in range(3))
    [0.1, 1.0, 10.0]

    A trial has its parameters whichever others were asked for:

    >>> RandomSampler(Space({"alpha": [0.1, 1.0, 10.0]}), random_state=0).ask(2) == sampler.ask(2)
    True
    """

    def __init__(self, space: Space, random_state: RandomStateLike = None) -> None:
        self.entropy: int = entropy_of(random_state)
        self._space = space
        self._grid = space.grid() if space.is_finite else None

    @property
    def n_trials(self) -> int | None:
        """Number of points of a finite space, after which points come again; None for an infinite one."""
        return self._space.size

    def ask(self, number: int) -> dict[str, Any]:
        """Return the parameters of trial `number`."""
        if number < 0:
            raise ValueError(f"number={number!r} is not allowed: trials are numbered from 0.")
        if self._grid is None:
            return self._space.sample(params_rng(self.entropy, number))
        cycle, position = divmod(number, self._grid.size)
        order = Permutation(self._grid.size, seed_sequence(self.entropy, cycle, "permutation"))
        return self._grid[order[position]]

    def tell(self, report: Report) -> None:
        """Do nothing: random search does not learn."""
