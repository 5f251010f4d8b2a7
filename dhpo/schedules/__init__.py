"""HOW LONG to train: schedules decide by trial numbers and scores alone."""

from __future__ import annotations

from dhpo.schedules.asha import ASHA
from dhpo.schedules.base import Schedule
from dhpo.schedules.bracket import Bracket, BracketSchedule
from dhpo.schedules.fixed import Fixed
from dhpo.schedules.halving import SuccessiveHalving
from dhpo.schedules.hyperband import Hyperband
from dhpo.schedules.incremental import Incremental
from dhpo.schedules.inverse_decay import InverseDecay
from dhpo.schedules.patience import Patience
from dhpo.schedules.plan import BracketPlan, Plan, Rung
from dhpo.schedules.virtual_time import InVirtualTime

__all__ = [
    "ASHA",
    "Bracket",
    "BracketPlan",
    "BracketSchedule",
    "Fixed",
    "Hyperband",
    "InVirtualTime",
    "Incremental",
    "InverseDecay",
    "Patience",
    "Plan",
    "Rung",
    "Schedule",
    "SuccessiveHalving",
]
