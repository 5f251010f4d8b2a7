"""Makes the models of trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import clone

from dhpo.data.wrappers import unwrap
from dhpo.space.seeds import seed_for

__all__ = ["is_seeded_by_trial", "new_model"]


def new_model(estimator: Any, params: Mapping[str, Any], entropy: int, trial: int) -> Any:
    """An unfitted model with the parameters of a trial, and a seed of its own wherever its `random_state` is None."""
    model = clone(estimator, safe=False).set_params(**{name: clone(v, safe=False) for name, v in params.items()})
    seeds = {name: seed_for(entropy, trial, name) for name in _seeded(model)}
    return unwrap(model.set_params(**seeds) if seeds else model)


def is_seeded_by_trial(estimator: Any, params: Mapping[str, Any]) -> bool:
    """Whether the model of a trial depends on its number, and not on its parameters alone."""
    model = clone(estimator, safe=False).set_params(**{name: clone(v, safe=False) for name, v in params.items()})
    return bool(_seeded(model))


def _seeded(model: Any) -> list[str]:
    """The parameters that a trial gives seeds to."""
    return [
        name
        for name, value in model.get_params(deep=True).items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    ]
