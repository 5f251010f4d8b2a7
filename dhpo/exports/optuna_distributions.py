"""The parameters of trials as Optuna has them: a distribution for each, and values that it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dhpo.history.history import History
from dhpo.space.parameter_range import Choice, ParameterRange, readable_choice
from dhpo.trial import Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["TrialParameters"]

# Optuna's storages keep numbers as floats.
_EXACT = 2**53


class TrialParameters:
    """What Optuna is told of the parameters of all trials.

    Each parameter has one distribution: that of the space, as far as the history tells it, and as wide as all values
    that were drawn need it.

    Parameters
    ----------
    history : History
    """

    def __init__(self, history: History) -> None:
        planned = history.planned
        drawn: dict[str, list[Any]] = {}
        for trial in history.trials:
            for name, value in trial.params.items():
                drawn.setdefault(name, []).append(value)
        self._distributions: dict[str, BaseDistribution] = {}
        for name, values in drawn.items():
            scale = "linear" if planned is None else planned.scales.get(name, "linear")
            known = None if planned is None else planned.ranges.get(name)
            self._distributions[name] = _distribution(known or ParameterRange(scale), values)

    def distributions(self, trial: Trial) -> dict[str, BaseDistribution]:
        """The distribution of each parameter that a trial has."""
        return {name: self._distributions[name] for name in trial.params}

    def values(self, trial: Trial) -> dict[str, Any]:
        """The parameters of a trial; texts stand for what Optuna does not take."""
        return {name: _value(value, self._distributions[name]) for name, value in trial.params.items()}


def _distribution(known: ParameterRange, drawn: Sequence[Any]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    numbers = all(type(value) in (int, float) and math.isfinite(value) for value in drawn)
    if known.choices is not None or known.kind == "category" or not numbers:
        return CategoricalDistribution(_choices(known.choices or (), drawn))
    low = min([*drawn, *([] if known.low is None else [known.low])])
    high = max([*drawn, *([] if known.high is None else [known.high])])
    log = known.kind == "log" and low > 0
    integers = known.integers and all(type(value) is int for value in drawn)
    if integers and max(-low, high) <= _EXACT:
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _choices(listed: Sequence[Choice], drawn: Sequence[Any]) -> list[Choice]:
    """All values, each once; those are texts that Optuna would take for another one, as it does 1, 1.0 and True."""
    values = {(type(value), value): value for value in [*listed, *map(readable_choice, drawn)]}
    choices = list(values.values())
    told = [str(choice) if choices.count(choice) > 1 else choice for choice in choices]
    return list({(type(choice), choice): choice for choice in told}.values())


def _value(value: Any, distribution: BaseDistribution) -> Any:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if not isinstance(distribution, CategoricalDistribution):
        return int(value) if isinstance(distribution, IntDistribution) else float(value)
    choice = readable_choice(value)
    same_type = any(type(known) is type(choice) and known == choice for known in distribution.choices)
    return choice if same_type else str(choice)
