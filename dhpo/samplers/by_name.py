"""Samplers as users ask for them: by name, or as an object."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from dhpo.errors.checks import check_methods
from dhpo.samplers.base import Sampler
from dhpo.samplers.grid import GridSampler
from dhpo.samplers.random import RandomSampler
from dhpo.samplers.sobol import SobolSampler
from dhpo.space.parameter_space import Space
from dhpo.wording import counted, did_you_mean

__all__ = ["make_sampler"]

_BY_NAME: dict[str, Callable[[Space, int], Sampler]] = {
    "random": RandomSampler,
    "grid": lambda space, entropy: GridSampler(space),
    "sobol": SobolSampler,
}


def make_sampler(sampler: Any, space: Space, entropy: int, n_trials: int) -> Sampler:
    """Make the sampler of one search.

    Parameters
    ----------
    sampler : str or Sampler
        "random", "grid", "sobol", or an object, which is copied: one that learns begins anew with each search.
    space : Space
    entropy : int
        Seed of those made by name.
    n_trials : int
        That will be asked for.

    Raises
    ------
    TypeError, ValueError
        If it is none of the names nor a sampler, or the space has a distribution or too few points where a grid is
        asked for.
    """
    if isinstance(sampler, str):
        if sampler not in _BY_NAME:
            names = ", ".join(map(repr, _BY_NAME))
            raise ValueError(
                f"sampler={sampler!r} is not allowed: give {names}, or a sampler.{did_you_mean(sampler, _BY_NAME)}"
            )
        made = _BY_NAME[sampler](space, entropy)
    else:
        check_methods(f"sampler={sampler!r}", sampler, ("ask", "tell"), "dhpo.Sampler")
        made = deepcopy(sampler)
    if isinstance(made, GridSampler) and n_trials > made.n_trials:
        raise ValueError(
            f"sampler={sampler!r} has {counted(made.n_trials, 'point')}, and the search asks for {n_trials} trials. "
            f"Give {counted(made.n_trials, 'trial')} at most, or sampler='random'."
        )
    return made
