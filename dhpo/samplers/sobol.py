"""Points that are spread more evenly than random ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import qmc

from dhpo.space.parameter_space import Space
from dhpo.space.seeds import RandomStateLike, entropy_of, params_rng, seed_sequence
from dhpo.trial import Report

__all__ = ["SobolSampler"]


class SobolSampler:
    """Trial n is point n of a scrambled Sobol' sequence, which fills the space evenly from the first points on.

    Lists are taken as values that are equally likely, and distributions by their quantile function (`ppf`). Those that
    have `rvs` alone are drawn at random. Of a space of several dicts one more dimension decides which of them it is,
    with the same probability as a random search has.

    Parameters
    ----------
    space : Space
    random_state : int, numpy RandomState, numpy Generator or None
        Scrambles the sequence; see `dhpo.space.seeds.entropy_of`.

    Attributes
    ----------
    entropy : int
        Given as `random_state`, it repeats the search.

    References
    ----------
    .. [1] Owen, A. B. (1998). Scrambling Sobol' and Niederreiter-Xing points. Journal of Complexity 14(4), 466-489.
       https://doi.org/10.1006/jcom.1998.0487

    Examples
    --------
    Of four values each comes once among the first four points:

    >>> from dhpo import Space
    >>> from dhpo.samplers import SobolSampler
    >>> sampler = SobolSampler(Space({"alpha": [0.001, 0.01, 0.1, 1.0]}), random_state=0)
    >>> sorted(sampler.ask(number)["alpha"] for number in range(4))
    [0.001, 0.01, 0.1, 1.0]
    """

    n_trials = None  # points of a finite space come again

    def __init__(self, space: Space, random_state: RandomStateLike = None) -> None:
        self.entropy: int = entropy_of(random_state)
        self._space = space
        self._points = self._from_the_start()

    def ask(self, number: int) -> dict[str, Any]:
        """Return the parameters of trial `number`."""
        if number < 0:
            raise ValueError(f"number={number!r} is not allowed: trials are numbered from 0.")
        if number < self._points.num_generated:
            self._points = self._from_the_start()
        if number > self._points.num_generated:
            self._points.fast_forward(number - self._points.num_generated)
        (point,) = self._points.random(1)
        return self._space.at(point.tolist(), params_rng(self.entropy, number))

    def tell(self, report: Report) -> None:
        """Do nothing: the sequence does not depend on what came of its points."""

    def _from_the_start(self) -> qmc.Sobol:
        rng = np.random.default_rng(seed_sequence(self.entropy, 0, "sobol"))
        return qmc.Sobol(self._space.n_dimensions, rng=rng)
