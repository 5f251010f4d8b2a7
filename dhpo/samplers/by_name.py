"""Samplers as users ask for them: by name, or as an object."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from dhpo.errors.checks import check_methods
from dhpo.samplers.base import Sampler
from dhpo.samplers.grid import GridSampler
from dhpo.samplers.random import RandomSampler
from dhpo.space.parameter_space import Space
from dhpo.wording import counted

__all__ = ["make_sampler"]

_NAMES = ("random", "grid")


def make_sampler(sampler: Any, space: Space, entropy: int, n_trials: int) -> Sampler:
    """Make the sampler of one search.

    Parameters
    ----------
    sampler : str or Sampler
        "random", "grid", or an object, which is copied: one that learns begins anew with each search.
    space : Space
    entropy : int
        Seed of those made by name.
    n_trials : int
        That will be asked for.

    Raises
    ------
    TypeError, ValueError
        If it is neither of the names nor a sampler, or the space has a distribution or too few points where a grid is
        asked for.
    """
    if isinstance(sampler, str):
        if sampler not in _NAMES:
            raise ValueError(f"sampler={sampler!r} is not allowed: give 'random', 'grid', or a sampler.")
        made: Sampler = RandomSampler(space, entropy) if sampler == "random" else GridSampler(space)
    else:
        check_methods(f"sampler={sampler!r}", sampler, ("ask", "tell"), "dhpo.Sampler")
        made = deepcopy(sampler)
    if isinstance(made, GridSampler) and n_trials > made.n_trials:
        raise ValueError(
            f"sampler={sampler!r} has {counted(made.n_trials, 'point')}, and the search asks for {n_trials} trials. "
            f"Give {made.n_trials} trials at most, or sampler='random'."
        )
    return made
