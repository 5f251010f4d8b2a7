"""scikit-learn's scorers over blocks: exact, and X is never brought together.

A score that is a mean over rows adds up block by block (`sums`). For every other scorer the outputs of the model are
collected over the blocks (`collecting`).
"""

from dhpo.scoring.base import BlockScorer, Tally
from dhpo.scoring.collecting import CollectingScorer
from dhpo.scoring.own import AdditiveScorer, OwnScorer
from dhpo.scoring.resolve import Metrics, deciding_scoring, make_block_scorer, resolve_metrics, resolve_scoring
from dhpo.scoring.several import SeveralTallies
from dhpo.scoring.sums import MeanScorer, R2Scorer

__all__ = [
    "AdditiveScorer",
    "BlockScorer",
    "CollectingScorer",
    "MeanScorer",
    "Metrics",
    "OwnScorer",
    "R2Scorer",
    "SeveralTallies",
    "Tally",
    "deciding_scoring",
    "make_block_scorer",
    "resolve_metrics",
    "resolve_scoring",
]
