"""What the searches share whose trials are drawn by a sampler of the user's choice."""

from __future__ import annotations

from typing import Any

from dhpo.samplers.base import Sampler
from dhpo.samplers.by_name import make_sampler
from dhpo.samplers.grid import GridSampler
from dhpo.schedules.base import Schedule
from dhpo.schedules.patience import Patience
from dhpo.schedules.plan import Plan
from dhpo.search.base import BlockSearchCV
from dhpo.space.parameter_space import Space

__all__ = ["InitialParameters", "SampledSearchCV", "with_patience"]


class SampledSearchCV(BlockSearchCV):
    """Base of the searches over `parameters` that have a `sampler`."""

    parameters: Any
    sampler: Any

    def _space(self) -> Space:
        return Space(self.parameters)

    def _sampler(self, space: Space, entropy: int, plan: Plan) -> Sampler:
        return make_sampler(self.sampler, space, entropy, plan, self.scoring)


class InitialParameters(SampledSearchCV):
    """Base of the searches over `n_initial_parameters` trials, or over the whole grid."""

    n_initial_parameters: int | str

    def _n_trials(self) -> int:
        if self.n_initial_parameters != "grid":
            if isinstance(self.n_initial_parameters, str):
                raise ValueError(
                    f"n_initial_parameters={self.n_initial_parameters!r} is not allowed: give an int >= 1, or 'grid'."
                )
            return self.n_initial_parameters  # the schedule checks it
        size = self._space().size
        if size is None:
            raise ValueError(
                "n_initial_parameters='grid' needs parameters that are lists; some are distributions. Give a number of "
                "draws instead."
            )
        return size

    def _sampler(self, space: Space, entropy: int, plan: Plan) -> Sampler:
        sampler = self.sampler
        if self.n_initial_parameters != "grid":
            return make_sampler(sampler, space, entropy, plan, self.scoring)
        if isinstance(sampler, str):
            made = make_sampler("grid" if sampler == "random" else sampler, space, entropy, plan, self.scoring)
            if isinstance(made, GridSampler):
                return made
        raise ValueError(
            f"n_initial_parameters='grid' tries all points of the grid, and sampler={sampler!r} gives others. "
            "Give a number of trials, or leave the sampler out."
        )


def with_patience(schedule: Schedule, patience: Any, tol: float | None, fits_per_score: int | None = None) -> Schedule:
    """The schedule, which stops trials that no longer improve where `patience` is a number of calls.

    Parameters
    ----------
    schedule : Schedule
    patience : int, False or None
    tol : float or None
    fits_per_score : int, optional
        See `Patience`.
    """
    if isinstance(patience, bool) or patience is None or patience == 0:
        if patience is True:
            raise ValueError(
                "patience=True is not allowed here: give the number of calls to wait, 2 or more, or False."
            )
        return schedule
    return Patience(schedule, patience, tol, fits_per_score)
