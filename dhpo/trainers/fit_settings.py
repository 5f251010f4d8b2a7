"""Parameters and arguments that an estimator has for one fit alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dhpo.data.rows import Rows
from dhpo.trainers.method_calls import fit

__all__ = ["FitSettings"]


@dataclass(frozen=True)
class FitSettings:
    """What one fit needs that goes on from where a model stands.

    Parameters
    ----------
    params : dict
        Parameters of the estimator.
    fit_params : dict
        Arguments of `fit`.
    """

    params: dict[str, Any] = field(default_factory=dict)
    fit_params: dict[str, Any] = field(default_factory=dict)

    def __or__(self, other: FitSettings) -> FitSettings:
        """Both, and those of the other where both have some."""
        return FitSettings(self.params | other.params, self.fit_params | other.fit_params)

    def fit(self, model: Any, rows: Rows, fit_params: Mapping[str, Any], prefix: str = "") -> None:
        """Fit a model with these settings, and give it its own parameters back.

        Parameters
        ----------
        model : estimator
        rows : Rows
        fit_params : mapping
            Arguments of the user.
        prefix : str, default ""
            Comes before the names, as in "model__" of a pipeline.
        """
        params, arguments = _prefixed(prefix, self.params), _prefixed(prefix, self.fit_params)
        callbacks = f"{prefix}callbacks"
        if callbacks in arguments:
            arguments[callbacks] = [*(fit_params.get(callbacks) or ()), *arguments[callbacks]]
        before = model.get_params()
        model.set_params(**params)
        fit(model, rows, {**fit_params, **arguments})
        model.set_params(**{name: before[name] for name in params})


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{name}": value for name, value in values.items()}
