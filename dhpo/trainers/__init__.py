"""WHAT a unit of resource is: trainers bring the model of a trial from one amount to another."""

from __future__ import annotations

from dhpo.trainers.base import Trainer
from dhpo.trainers.parameter import ParameterTrainer
from dhpo.trainers.partial_fit import PartialFit
from dhpo.trainers.rounds_on_blocks import RoundsOnBlocks
from dhpo.trainers.row_samples import RowSamples

__all__ = ["ParameterTrainer", "PartialFit", "RoundsOnBlocks", "RowSamples", "Trainer"]
