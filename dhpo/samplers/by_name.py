"""Samplers as users ask for them: by name, or as an object."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from dhpo.errors.checks import check_methods
from dhpo.samplers.base import Sampler
from dhpo.samplers.enqueued import Enqueued
from dhpo.samplers.grid import GridSampler
from dhpo.samplers.optuna_sampler import NAMES, OptunaSampler, is_optuna_sampler
from dhpo.samplers.random import RandomSampler
from dhpo.samplers.sobol import SobolSampler
from dhpo.schedules.plan import Plan
from dhpo.space.parameter_space import Space
from dhpo.wording import counted, did_you_mean

__all__ = ["check_repeatable", "learns", "make_sampler"]

_OWN: dict[str, Callable[[Space, int], Sampler]] = {
    "random": RandomSampler,
    "grid": lambda space, entropy: GridSampler(space),
    "sobol": SobolSampler,
}


_NAMES = (*_OWN, *NAMES)


def learns(sampler: Any) -> bool:
    """Whether a sampler, as users give it, learns from the trials before."""
    if isinstance(sampler, str):
        return sampler in NAMES
    return is_optuna_sampler(sampler) or bool(getattr(sampler, "learns", False))


def make_sampler(sampler: Any, space: Space, entropy: int, plan: Plan, scoring: Any = None) -> Sampler:
    """Make the sampler of one search.

    Parameters
    ----------
    sampler : str or Sampler
        "random", "grid", "sobol", "tpe", "gp", "cmaes", "nsga2", or an object, also of Optuna, which is copied: one
        that learns begins anew with each search.
    space : Space
    entropy : int
        Seed of those made by name.
    plan : Plan
        What will run.
    scoring : str, callable, sequence, dict or None
        Of the search: names of several metrics, all of which "nsga2" learns from.

    Raises
    ------
    ExtraNotInstalled
        If Optuna is missing, or what a sampler of it needs.
    TypeError, ValueError
        If it is none of the names nor a sampler, the space has a distribution or too few points where a grid is asked
        for, or scores of several resources are given to a sampler that takes those of one.
    """
    if isinstance(sampler, str):
        if sampler not in _NAMES:
            names = ", ".join(map(repr, _NAMES))
            raise ValueError(
                f"sampler={sampler!r} is not allowed: give {names}, or a sampler.{did_you_mean(sampler, _NAMES)}"
            )
        if sampler in _OWN:
            made = _OWN[sampler](space, entropy)
        else:
            made = OptunaSampler(space, entropy, sampler, _several_metrics(scoring))
    elif is_optuna_sampler(sampler):
        made = OptunaSampler(space, entropy, deepcopy(sampler), _several_metrics(scoring))
    else:
        check_methods(f"sampler={sampler!r}", sampler, ("ask", "tell"), "dhpo.Sampler")
        made = deepcopy(sampler)
    n_trials = plan.n_trials
    if isinstance(made, GridSampler) and n_trials > made.n_trials:
        raise ValueError(
            f"sampler={sampler!r} has {counted(made.n_trials, 'point')}, and the search asks for {n_trials} trials. "
            f"Give {counted(made.n_trials, 'trial')} at most, or sampler='random'."
        )
    if isinstance(made, OptunaSampler) and made.needs_one_resource:
        resources = sorted({rung.resource for bracket in plan.brackets for rung in bracket.rungs})
        if len(resources) > 1:
            raise ValueError(
                f"sampler={made.given} is not allowed here: it learns from trials that are scored after the same "
                f"number of calls, and this search scores them after {', '.join(map(str, resources))}. Give 'tpe' or "
                "'random', or a search that trains all trials equally long."
            )
    return made


def _several_metrics(scoring: Any) -> tuple[str, ...]:
    """The names of several metrics; none where there is one, or only its results tell."""
    if not isinstance(scoring, list | tuple | set | dict) or len(scoring) < 2:
        return ()
    return tuple(sorted(scoring) if isinstance(scoring, set) else scoring)


def check_repeatable(sampler: Sampler | None) -> None:
    """Refuse a sampler that another process could not go on with, where there is a journal.

    Parameters
    ----------
    sampler : Sampler or None
        That was made for the search, and not asked yet.

    Raises
    ------
    ValueError
        If it is one of Optuna's without a seed.
    """
    if isinstance(sampler, Enqueued):
        sampler = sampler.sampler
    if isinstance(sampler, OptunaSampler) and not sampler.is_repeatable:
        raise ValueError(
            f"sampler={sampler.given} draws other points in each process, so a search with a journal could not go on: "
            "give it a seed, as in TPESampler(seed=0)."
        )
