"""For tests of your own schedules and samplers: what each has to keep, and a cluster that is made up."""

from dhpo.testing.conformance import check_sampler, check_schedule
from dhpo.testing.simulator import Simulation, simulate
from dhpo.testing.synthetic import lognormal_stragglers

__all__ = ["Simulation", "check_sampler", "check_schedule", "lognormal_stragglers", "simulate"]
