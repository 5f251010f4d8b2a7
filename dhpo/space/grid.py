"""The points of a finite space."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, overload

from dhpo.wording import counted

__all__ = ["Grid", "n_points"]


class Grid(Sequence[dict[str, Any]]):
    """All points of a finite space, computed when asked for.

    Made by `Space.grid`. scikit-learn's ParameterGrid has the same order, but multiplies sizes in 64 bits and so
    repeats points of very large grids. `len` is limited to `sys.maxsize` by Python; `size` is not.
    """

    def __init__(self, dicts: Sequence[Mapping[str, Any]]) -> None:
        self._subgrids = [(sorted(choices.items()), n_points(choices)) for choices in dicts]
        self.size: int = sum(n_points for _, n_points in self._subgrids)

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.size))]
        position = operator.index(index)
        if position < 0:
            position += self.size
        if not 0 <= position < self.size:
            raise IndexError(f"the grid has {counted(self.size, 'point')}, number {index} is not one of them")
        for choices, n_points in self._subgrids:
            if position < n_points:
                return _decode(choices, position)
            position -= n_points
        raise AssertionError("unreachable: sizes of subgrids add up to the size of the grid")


def _decode(choices: list[tuple[str, Any]], position: int) -> dict[str, Any]:
    digits = []
    for _, values in reversed(choices):  # the last name runs fastest
        position, digit = divmod(position, len(values))
        digits.append(digit)
    return {name: values[digit] for (name, values), digit in zip(choices, reversed(digits), strict=True)}


def n_points(choices: Mapping[str, Any]) -> int:
    """How many points the values of some parameters make."""
    return math.prod(len(values) for values in choices.values())
