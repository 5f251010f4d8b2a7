"""WHAT to try: samplers give the parameters of a trial by its number."""

from __future__ import annotations

from dhpo.samplers.base import Sampler
from dhpo.samplers.enqueued import Enqueued
from dhpo.samplers.grid import GridSampler
from dhpo.samplers.optuna_sampler import OptunaSampler
from dhpo.samplers.random import RandomSampler
from dhpo.samplers.sobol import SobolSampler

__all__ = ["Enqueued", "GridSampler", "OptunaSampler", "RandomSampler", "Sampler", "SobolSampler"]
