"""Samplers as users ask for them: by name, or as an object."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from dhpo.checks import check_methods
from dhpo.samplers.base import Sampler
from dhpo.samplers.grid import GridSampler
from dhpo.samplers.random import RandomSampler
from dhpo.space import Space

__all__ = ["make_sampler"]

_NAMES = ("random", "grid")


def make_sampler(sampler: Any, space: Space, entropy: int) -> Sampler:
    """Make the sampler of one search.

    Parameters
    ----------
    sampler : str or Sampler
        "random", "grid", or an object, which is copied: one that learns begins anew with each search.
    space : Space
    entropy : int
        Seed of those made by name.

    Raises
    ------
    TypeError, ValueError
        If it is neither of the names nor a sampler, or the space has a distribution where a grid is asked for.
    """
    if isinstance(sampler, str):
        if sampler not in _NAMES:
            raise ValueError(f"sampler={sampler!r} is not allowed: give 'random', 'grid', or a sampler.")
        return GridSampler(space) if sampler == "grid" else RandomSampler(space, entropy)
    check_methods(f"sampler={sampler!r}", sampler, ("ask", "tell"), "dhpo.Sampler")
    made: Sampler = deepcopy(sampler)
    return made
