"""For tests of your own schedules, samplers and trainers: what each has to keep, and a cluster that is made up."""

from dhpo.testing.conformance import check_sampler, check_schedule
from dhpo.testing.simulator import Simulation, simulate
from dhpo.testing.synthetic import lognormal_stragglers
from dhpo.testing.trainer_conformance import check_trainer

__all__ = ["Simulation", "check_sampler", "check_schedule", "check_trainer", "lognormal_stragglers", "simulate"]
