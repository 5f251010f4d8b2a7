"""scikit-learn's scorers over blocks: exact, and X is never brought together.

A score that is a mean over rows adds up block by block (`sums`). For every other scorer the outputs of the model are
collected over the blocks (`collecting`).
"""

from dhpo.scoring.additive_scores import MeanScorer, R2Scorer
from dhpo.scoring.base import BlockScorer, Tally
from dhpo.scoring.collected_outputs import CollectingScorer
from dhpo.scoring.estimator_score import AdditiveScorer, OwnScorer
from dhpo.scoring.metrics import Metrics, deciding_scoring, make_block_scorer, resolve_metrics, resolve_scoring
from dhpo.scoring.several_metrics import SeveralTallies

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
