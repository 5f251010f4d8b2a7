"""Values of a parameter by their place in its range, for samplers that spread their points evenly."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rv_discrete

__all__ = ["value_at"]

# Distributions without bounds are infinite at 0 and 1.
_NEAREST_TO_THE_ENDS = 2.0**-32


def value_at(choice: Any, quantile: float, rng: np.random.RandomState) -> Any:
    """The value of a parameter that has a share of all its values before it.

    Parameters
    ----------
    choice : sequence or distribution
        Values, which are equally likely; or a distribution with `ppf`, as the frozen ones of `scipy.stats` have, or at
        least with `rvs`.
    quantile : float
        From 0 to 1.
    rng : numpy RandomState
        Where the value comes from if the distribution has no `ppf`.
    """
    if not hasattr(choice, "rvs"):
        return choice[min(int(quantile * len(choice)), len(choice) - 1)]
    if not hasattr(choice, "ppf"):
        return choice.rvs(random_state=rng)
    value = choice.ppf(min(max(quantile, _NEAREST_TO_THE_ENDS), 1 - _NEAREST_TO_THE_ENDS))
    is_discrete = isinstance(getattr(choice, "dist", choice), rv_discrete)
    return int(value) if is_discrete else float(value)
