"""A sampler as a stranger would write it: a seeded quasi-random sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scipy.stats import qmc

from dhpo import Report


class QuasiRandom:
    """Point n of a scrambled Halton sequence, through the inverse distribution function of each parameter."""

    n_trials = None

    def __init__(self, space: Mapping[str, Any], seed: int) -> None:
        self.space = dict(space)
        self.seed = seed

    def ask(self, number: int) -> dict[str, Any]:
        sequence = qmc.Halton(len(self.space), rng=self.seed).fast_forward(number)
        (point,) = sequence.random(1)
        return {name: float(law.ppf(u)) for (name, law), u in zip(self.space.items(), point, strict=True)}

    def tell(self, report: Report) -> None:
        """It learns nothing."""
