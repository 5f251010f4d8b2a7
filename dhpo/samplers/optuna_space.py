"""The space of parameters as Optuna has it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.stats

from dhpo.samplers.rung_study import Point
from dhpo.space.membership import is_among
from dhpo.space.parameter_space import Space
from dhpo.space.quantiles import value_at

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

__all__ = ["OptunaSpace"]

_WHICH_DICT = "which dict"
# Up to here a float tells integers apart, and Optuna's samplers compute with floats.
_EXACT = 2**53


class OptunaSpace:
    """Has Optuna suggest points of a space.

    Lists are told by the positions of their values, so that these may be any objects. `scipy.stats.uniform`,
    `loguniform` and `randint` have their like in Optuna. Other distributions are told by their quantiles, from 0 to 1,
    so that before anything was learned their values are as likely as the user said. Those that have `rvs` alone are
    drawn at random, and nothing is learned of them.

    Parameters
    ----------
    space : Space
        Of several dicts one more parameter says which of them a point is of. What has the same name and the same values
        in several dicts is one parameter for Optuna; one of the same name with other values is another.

    Attributes
    ----------
    is_conditional : bool
        Whether points may differ in the parameters that they have.
    n_dimensions : int
        The most parameters of one point that Optuna is told of.
    """

    def __init__(self, space: Space) -> None:
        self.is_conditional = len(space.dicts) > 1
        self._dicts: list[dict[str, _Parameter]] = []
        known: dict[str, Any] = {}
        for choices in space.dicts:
            parameters = {}
            for name in sorted(choices):
                told_as, values = name, _values(choices[name])
                while known.setdefault(told_as, values) != values:
                    told_as += "'"
                parameters[name] = _Parameter(told_as, choices[name], _distribution(choices[name]))
            self._dicts.append(parameters)
        self.n_dimensions: int = self.is_conditional + max(
            sum(parameter.distribution is not None for parameter in parameters.values()) for parameters in self._dicts
        )

    def suggest(self, trial: Trial, rng: np.random.RandomState) -> dict[str, Any]:
        """The parameters of a point that Optuna suggests.

        Parameters
        ----------
        trial : optuna.Trial
            That has just been asked for.
        rng : numpy RandomState
            Where values come from that Optuna is not told of.
        """
        which = trial.suggest_categorical(_WHICH_DICT, range(len(self._dicts))) if self.is_conditional else 0
        return {name: parameter.suggest(trial, rng) for name, parameter in self._dicts[which].items()}

    def point(self, params: Mapping[str, Any]) -> Point | None:
        """What Optuna would have suggested for a point that comes from elsewhere; None for one outside of the space.

        Parameters
        ----------
        params : mapping of str to object
            All parameters of a point.
        """
        for which, parameters in enumerate(self._dicts):
            if parameters.keys() != params.keys():
                continue
            told = {p.told_as: (p.told(params[name]), p.distribution) for name, p in parameters.items()}
            known = {name: (value, law) for name, (value, law) in told.items() if law is not None}
            if any(value is None for value, _ in known.values()):
                continue
            values = {name: value for name, (value, _) in known.items()}
            distributions = {name: law for name, (_, law) in known.items()}
            if self.is_conditional:
                values[_WHICH_DICT] = which
                distributions[_WHICH_DICT] = _positions(len(self._dicts))
            return Point(values, distributions)
        return None


@dataclass(frozen=True)
class _Parameter:
    """One parameter of one dict of the space.

    Parameters
    ----------
    told_as : str
        Its name for Optuna.
    choice : sequence or distribution
        What the user gave.
    distribution : optuna distribution or None
        None for what can only be drawn.
    """

    told_as: str
    choice: Any
    distribution: BaseDistribution | None

    def suggest(self, trial: Trial, rng: np.random.RandomState) -> Any:
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        match self.distribution:
            case CategoricalDistribution(choices=positions):
                return self.choice[trial.suggest_categorical(self.told_as, positions)]
            case IntDistribution(low=low, high=high):
                return trial.suggest_int(self.told_as, low, high)
            case FloatDistribution(low=low, high=high, log=log):
                suggested = trial.suggest_float(self.told_as, low, high, log=log)
                return suggested if _is_told_as_it_is(self.choice) else value_at(self.choice, suggested, rng)
        return self.choice.rvs(random_state=rng)

    def told(self, value: Any) -> Any:
        """What Optuna is told of a value; None where there is nothing to tell, or the value cannot be."""
        if self.distribution is None or not is_among(value, self.choice):
            return None
        if not hasattr(self.choice, "rvs"):
            return next(position for position, listed in enumerate(self.choice) if is_among(value, [listed]))
        return value if _is_told_as_it_is(self.choice) else float(self.choice.cdf(value))


def _values(choice: Any) -> Any:
    """What tells two parameters of one name apart."""
    if not hasattr(choice, "rvs"):
        return [repr(value) for value in choice]
    law = getattr(choice, "dist", choice)
    return law, getattr(choice, "args", ()), getattr(choice, "kwds", {})


def _positions(n: int) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution

    return CategoricalDistribution(range(n))


def _distribution(choice: Any) -> BaseDistribution | None:
    from optuna.distributions import FloatDistribution, IntDistribution

    if not hasattr(choice, "rvs"):
        return _positions(len(choice))
    if _is_told_as_it_is(choice):
        low, high = choice.support()
        if _law(choice) is _RANDINT:
            return IntDistribution(int(low), int(high))
        return FloatDistribution(float(low), float(high), log=_law(choice) is _LOGUNIFORM)
    if not hasattr(choice, "ppf") or not np.isfinite(choice.ppf(0.5)):
        return None
    return FloatDistribution(0.0, 1.0)


_UNIFORM, _LOGUNIFORM, _RANDINT = map(type, (scipy.stats.uniform, scipy.stats.loguniform, scipy.stats.randint))


def _is_told_as_it_is(distribution: Any) -> bool:
    law = _law(distribution)
    if law not in (_UNIFORM, _LOGUNIFORM, _RANDINT):
        return False
    low, high = map(float, distribution.support())
    if law is _RANDINT:
        return max(-low, high) <= _EXACT
    return bool(np.isfinite([low, high]).all()) and (law is _UNIFORM or low > 0)


def _law(distribution: Any) -> type:
    """The class of a frozen distribution of SciPy."""
    return type(getattr(distribution, "dist", None))
