"""The space of parameters: what scikit-learn's ParameterGrid and ParameterSampler take, checked at the door."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.stats import rv_discrete
from sklearn.model_selection import ParameterSampler

from dhpo.space.grid import Grid, n_points
from dhpo.space.membership import gives_numbers, is_among, is_number, is_same
from dhpo.space.parameter_range import MAX_CHOICES, Choice, ParameterRange, are_far_apart, readable_choice, scales_of
from dhpo.space.quantiles import value_at
from dhpo.wording import did_you_mean

__all__ = ["Space"]

_ALLOWED = (
    "a dict, or a list of dicts, from parameter names to lists, tuples or one-dimensional arrays of values, or to "
    "distributions with an `rvs` method such as scipy.stats.loguniform(1e-4, 1)"
)


class Space:
    """What a search may try.

    Parameters
    ----------
    parameters : dict or list of dict
        Parameter names to lists, tuples, ranges or one-dimensional arrays of values, or to distributions: anything with
        an `rvs(random_state=...)` method, such as the frozen ones of `scipy.stats`. Of a list of dicts, a grid takes
        each in turn and a sample draws one of them first, as in scikit-learn.

    Attributes
    ----------
    dicts : list of dict
        The parameters as they were given; one dict makes a list of one.
    names : tuple of str
        All parameters of the space, sorted.
    is_finite : bool
        Whether there are lists of values only.
    size : int or None
        Number of points of the grid, None for an infinite space.

    Raises
    ------
    TypeError, ValueError
        If `parameters` is anything else, or empty.

    Examples
    --------
    >>> import numpy as np
    >>> from dhpo import Space
    >>> space = Space({"alpha": [1e-4, 1e-2], "penalty": ["l1", "l2"]})
    >>> space.size, space.grid()[3]
    (4, {'alpha': 0.01, 'penalty': 'l2'})
    >>> sorted(space.sample(np.random.default_rng(0)))
    ['alpha', 'penalty']
    """

    def __init__(self, parameters: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> None:
        self.dicts: list[dict[str, Any]] = _checked(parameters)
        self.names: tuple[str, ...] = tuple(sorted({name for choices in self.dicts for name in choices}))
        self.is_finite: bool = not any(_is_distribution(v) for choices in self.dicts for v in choices.values())
        self._grid = Grid(self.dicts) if self.is_finite else None
        self.size: int | None = self._grid.size if self._grid is not None else None

    def __repr__(self) -> str:
        return f"Space({self.dicts if len(self.dicts) > 1 else self.dicts[0]!r})"

    def grid(self) -> Grid:
        """Return all points of a finite space, computed when asked for, in the order of scikit-learn's ParameterGrid.

        Raises
        ------
        ValueError
            If the space has a distribution.
        """
        if self._grid is None:
            endless = sorted({name for d in self.dicts for name, value in d.items() if _is_distribution(value)})
            raise ValueError(
                f"parameters: {', '.join(map(repr, endless))} given as a distribution; a grid needs lists of values."
            )
        return self._grid

    def sample(self, rng: np.random.RandomState | np.random.Generator) -> dict[str, Any]:
        """Draw one point, uniformly from a finite space.

        Parameters
        ----------
        rng : numpy RandomState or Generator
            All randomness comes from it.
        """
        if self._grid is not None:
            # 64 bits more than the size needs, so that the remainder favours no point measurably.
            raw = rng.bytes(self._grid.size.bit_length() // 8 + 9)
            return self._grid[int.from_bytes(raw, "little") % self._grid.size]
        if isinstance(rng, np.random.Generator):
            rng = np.random.RandomState(rng.bit_generator)  # scikit-learn takes no Generator; this shares its state
        (params,) = ParameterSampler(self.dicts, n_iter=1, random_state=rng)
        return dict(params)

    @property
    def n_dimensions(self) -> int:
        """How many numbers tell a point of the space; see `at`."""
        return (len(self.dicts) > 1) + max(map(len, self.dicts))

    def at(self, position: Sequence[float], rng: np.random.RandomState) -> dict[str, Any]:
        """The point at these quantiles.

        Parameters
        ----------
        position : sequence of float
            As many numbers from 0 to 1 as there are dimensions. Where the space has several dicts, the first tells
            which one is meant: those of a finite space are as likely as they have points, else all are equally likely.
        rng : numpy RandomState
            Where values come from of distributions that have no quantile function.
        """
        choices = self.dicts[0]
        if len(self.dicts) > 1:
            which, *position = position
            ends = list(accumulate(map(n_points, self.dicts) if self.is_finite else [1] * len(self.dicts)))
            choices = self.dicts[bisect_right(ends[:-1], which * ends[-1])]
        return {
            name: value_at(choices[name], quantile, rng)
            for name, quantile in zip(sorted(choices), position, strict=False)  # another dict may have more
        }

    def is_complete(self, params: Mapping[str, Any]) -> bool:
        """Whether these are all parameters of a point."""
        return any(params.keys() == choices.keys() for choices in self.dicts)

    def __contains__(self, params: Mapping[str, Any]) -> bool:
        """Whether a point, or what is known of one, is of this space: its names, and values that it may have."""
        whole_or_part = self.dicts if len(self.dicts) == 1 else [d for d in self.dicts if d.keys() == params.keys()]
        return any(
            params.keys() <= choices.keys() and all(is_among(value, choices[name]) for name, value in params.items())
            for choices in whole_or_part
        )

    def check_points(self, points: Any, estimator: Any, n_trials: int) -> None:
        """Refuse points to begin with that a search could not try.

        Parameters
        ----------
        points : list of dict
            As the user gave them; values may lie outside of the space.
        estimator : estimator
        n_trials : int
            Of the search.

        Raises
        ------
        TypeError, ValueError
            Saying what is allowed.
        """
        allowed = f"a list of dicts with values of {', '.join(self.names)}"
        if isinstance(points, Mapping | str) or not isinstance(points, Sequence):
            raise TypeError(f"enqueue={points!r} is not allowed: give {allowed}.")
        if len(points) > n_trials:
            raise ValueError(f"enqueue has {len(points)} points, and the search makes {n_trials} trials: give no more.")
        for point in points:
            if not isinstance(point, Mapping):
                raise TypeError(f"enqueue has {point!r}, which is no dict: give {allowed}.")
            for name in point:
                if name not in self.names:
                    raise ValueError(
                        f"enqueue has {name!r}, which is not searched: give {allowed}, and set what is the same for "
                        f"all trials on the {type(estimator).__name__}.{did_you_mean(str(name), self.names)}"
                    )
            if len(self.dicts) > 1 and not self.is_complete(point):
                raise ValueError(
                    f"enqueue has {dict(point)!r}, and there are several dicts of parameters: give all parameters of "
                    "one of them."
                )
            self._check_numbers(point, estimator)

    def _check_numbers(self, point: Mapping[str, Any], estimator: Any) -> None:
        """Refuse what is no number where numbers are searched; a default such as gamma="scale" is worth a trial."""
        dicts = [choices for choices in self.dicts if len(self.dicts) == 1 or choices.keys() == point.keys()]
        known = estimator.get_params(deep=True)
        for name, value in point.items():
            if is_number(value) or (name in known and is_same(value, known[name])):
                continue
            if all(gives_numbers(choices[name]) for choices in dicts):
                default = f", or {known[name]!r} as the {type(estimator).__name__} has it" if name in known else ""
                raise ValueError(
                    f"enqueue has {value!r} for {name!r}, which is searched among numbers: give a number, which may "
                    f"lie outside of the space{default}."
                )

    def scales(self) -> dict[str, str]:
        """How each parameter is best drawn: "log" or "linear" for numbers, else "category"."""
        return scales_of(self.ranges())

    def ranges(self) -> dict[str, ParameterRange]:
        """The values that each parameter may take, over all dicts of the space."""
        return {name: _range([d[name] for d in self.dicts if name in d]) for name in self.names}

    def warn_of_ranges(self) -> None:
        """Warn of tuples of two numbers: they are two values, and read like the ends of a range."""
        for choices in self.dicts:
            for name, value in choices.items():
                if _looks_like_a_range(value):
                    low, high = value
                    by_magnitude = f"scipy.stats.loguniform({low!r}, {high!r}) or " if low > 0 else ""
                    warnings.warn(
                        f"parameters: {name!r} is {value!r}, a tuple of two numbers: these two values are tried, and "
                        f"none between them. For a range write {by_magnitude}scipy.stats.uniform({low!r}, "
                        f"{high - low!r}), which take all between {low!r} and {high!r}; for the two values write "
                        f"[{low!r}, {high!r}].",
                        UserWarning,
                        stacklevel=2,
                    )

    def validate_for(self, estimator: Any) -> None:
        """Refuse a space with a parameter that the estimator does not have.

        Parameters
        ----------
        estimator : estimator object
            With scikit-learn's `get_params`.

        Raises
        ------
        ValueError
            Naming the parameter and the nearest that exists.
        """
        known = estimator.get_params(deep=True)
        for choices in self.dicts:
            for name in choices:
                if not _is_settable(name, known, choices):
                    hint = did_you_mean(name, known) or f" Allowed are {', '.join(sorted(known))}."
                    raise ValueError(f"parameters: {name!r} is not a parameter of {type(estimator).__name__}.{hint}")


def _is_distribution(value: Any) -> bool:
    return hasattr(value, "rvs")


def _scale(choices: list[Any]) -> str:
    """Of all that a parameter may be, in one space or several."""
    if all(map(_is_distribution, choices)):
        names = {getattr(getattr(choice, "dist", None), "name", "") for choice in choices}
        return "log" if names <= {"loguniform", "lograndint", "reciprocal"} else "linear"
    values = [value for choice in choices if not _is_distribution(choice) for value in choice]
    if not all(isinstance(value, Real) and not isinstance(value, bool | np.bool) for value in values):
        return "category"
    return "log" if are_far_apart(values) else "linear"


def _range(choices: list[Any]) -> ParameterRange:
    """Of all that a parameter may be, in one space or several."""
    kind = _scale(choices)
    if kind == "category":
        return ParameterRange(kind, choices=_listed(choices))
    lows, highs, integers = zip(*map(_ends, choices), strict=True)
    return ParameterRange(
        kind,
        low=None if None in lows else min(lows),
        high=None if None in highs else max(highs),
        integers=all(integers),
        choices=_listed(choices),
    )


def _listed(choices: list[Any]) -> tuple[Choice, ...] | None:
    """The values where all are listed and there are not too many, each once; 1, 1.0 and True are three."""
    if any(map(_is_distribution, choices)) or sum(map(len, choices)) > MAX_CHOICES:
        return None
    values = [readable_choice(value) for one in choices for value in one]
    return tuple({(type(value), value): value for value in values}.values())


def _ends(choice: Any) -> tuple[float | None, float | None, bool]:
    """The lowest and the highest number, None where that is not known or not finite, and whether all are integers."""
    if not _is_distribution(choice):
        low, high = (value.item() if hasattr(value, "item") else value for value in (min(choice), max(choice)))
        return _bound(low), _bound(high), all(isinstance(value, Integral) for value in choice)
    integers = isinstance(getattr(choice, "dist", None), rv_discrete)
    try:
        low, high = map(float, choice.support())
    except Exception:  # a class of the user's: the method may be missing, or something else
        return None, None, integers
    return _bound(low, integers), _bound(high, integers), integers


def _bound(value: Any, integer: bool = False) -> float | None:
    if not math.isfinite(value):
        return None
    return int(value) if integer or isinstance(value, Integral) else float(value)


def _looks_like_a_range(value: Any) -> bool:
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    # Two integers are as often two sizes to try.
    numbers = all(isinstance(number, Real) and not isinstance(number, bool) for number in value)
    return numbers and any(isinstance(number, float) for number in value) and value[0] < value[1]


def _is_settable(name: str, known: Mapping[str, Any], choices: Mapping[str, Any]) -> bool:
    if name in known:
        return True
    parent, nested, _ = name.rpartition("__")
    while nested:
        # A parent that is searched itself may become anything; one that is no estimator (skorch's `module`) may take
        # anything. Both only show in set_params.
        if parent in choices or (parent in known and not hasattr(known[parent], "get_params")):
            return True
        parent, nested, _ = parent.rpartition("__")
    return False


def _checked(parameters: Any) -> list[dict[str, Any]]:
    if isinstance(parameters, Mapping):
        dicts = [dict(parameters)]
    elif isinstance(parameters, Iterable) and not isinstance(parameters, str | bytes):
        dicts = []
        for choices in parameters:
            if not isinstance(choices, Mapping):
                raise TypeError(f"parameters: a list with {choices!r} is not allowed; give {_ALLOWED}.")
            dicts.append(dict(choices))
    else:
        raise TypeError(f"parameters={parameters!r} is not allowed; give {_ALLOWED}.")
    if not any(dicts):
        raise ValueError(f"parameters={parameters!r} is empty; give {_ALLOWED}.")
    for choices in dicts:
        for name, value in choices.items():
            if not isinstance(name, str):
                raise TypeError(f"parameters: the name {name!r} is not a string; give {_ALLOWED}.")
            if _is_distribution(value):
                _check_distribution(name, value)
            else:
                _check_values(name, value)
    return dicts


def _check_values(name: str, value: Any) -> None:
    if hasattr(value, "icdf") and hasattr(value, "sample"):
        raise TypeError(
            f"parameters: {name!r} is {value!r}, one of SciPy's new distributions, which cannot be drawn by a "
            "random_state. Give a frozen one instead, as scipy.stats.norm(0, 1) for scipy.stats.Normal(mu=0, sigma=1)."
        )
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
        raise TypeError(
            f"parameters: {name!r} is {value!r} of type {type(value).__name__}, which is neither values nor a "
            f"distribution; write [{value!r}] for a single value, list(...) for another kind of collection. "
            f"Allowed is {_ALLOWED}."
        )
    if isinstance(value, np.ndarray) and value.ndim != 1:
        raise ValueError(f"parameters: {name!r} is an array of shape {value.shape}; give {_ALLOWED}.")
    if len(value) == 0:
        raise ValueError(f"parameters: {name!r} has no values ({value!r}); give at least one.")


def _check_distribution(name: str, distribution: Any) -> None:
    # A distribution that is not frozen has `rvs` as well, and fails in the first trial; drawing once tells it here.
    try:
        distribution.rvs(random_state=np.random.RandomState(0))
    except Exception as error:
        raise TypeError(
            f"parameters: {name!r} is {distribution!r}, whose rvs(random_state=...) fails with "
            f"{type(error).__name__}: {error}. Allowed are frozen ones such as scipy.stats.loguniform(1e-4, 1)."
        ) from error
