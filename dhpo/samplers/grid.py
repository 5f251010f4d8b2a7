"""Every point of a finite space, once."""

from __future__ import annotations

from typing import Any

from dhpo.space.parameter_space import Space
from dhpo.trial import Report

__all__ = ["GridSampler"]


class GridSampler:
    """Trial n is point n of the grid, in the order of scikit-learn's ParameterGrid.

    Parameters
    ----------
    space : Space
        Finite: lists of values only.

    Raises
    ------
    ValueError
        If the space has a distribution.

    Examples
    --------
    >>> from dhpo.samplers import GridSampler
    >>> from dhpo import Space
    >>> sampler = GridSampler(Space({"alpha": [0.1, 1.0], "penalty": ["l1", "l2"]}))
    >>> sampler.n_trials
    4
    >>> [sampler.ask(number) for number in range(2)]
    [{'alpha': 0.1, 'penalty': 'l1'}, {'alpha': 0.1, 'penalty': 'l2'}]
    """

    def __init__(self, space: Space) -> None:
        self._grid = space.grid()

    @property
    def n_trials(self) -> int:
        """Number of points of the grid."""
        return self._grid.size

    def ask(self, number: int) -> dict[str, Any]:
        """Return point `number` of the grid; IndexError beyond its end."""
        if number < 0:
            raise ValueError(f"number={number!r} is not allowed: trials are numbered from 0.")
        return self._grid[number]

    def tell(self, report: Report) -> None:
        """Do nothing: a grid does not learn."""
