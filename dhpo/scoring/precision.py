"""How precise a score is: its standard error, as far as the metric tells it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dhpo.scoring.additive_scores import MeanScorer, R2Scorer
from dhpo.scoring.base import BlockScorer

__all__ = ["standard_error"]


def standard_error(scorer: BlockScorer, score: float, n_rows: int, splits: Sequence[float] = ()) -> float:
    """The standard error of a score; nan where it cannot be told.

    Parameters
    ----------
    scorer : BlockScorer
    score : float
        Over the rows held out, or the mean over folds.
    n_rows : int
        Rows held out.
    splits : sequence of float
        The scores of the folds, where there are any. Their spread tells the error of any metric.

    References
    ----------
    .. [1] Agresti, A. and Coull, B. A. (1998). Approximate is better than "exact" for interval estimation of binomial
       proportions. The American Statistician 52(2), 119-126. For accuracies: two successes and two failures are added,
       since an accuracy of 1 on three rows is not exact.
    .. [2] Olkin, I. and Finn, J. D. (1995). Correlations redux. Psychological Bulletin 118(1), 155-164. For R2, the
       large-sample variance 4 R2 (1 - R2)^2 / n.
    """
    if len(splits) > 1:
        return float(np.std(splits, ddof=1) / math.sqrt(len(splits)))
    if n_rows < 1:
        return math.nan
    if isinstance(scorer, MeanScorer) and scorer.name == "accuracy":
        share = (score * n_rows + 2) / (n_rows + 4)
        return math.sqrt(share * (1 - share) / (n_rows + 4))
    if isinstance(scorer, R2Scorer) and 0 <= score <= 1:
        return 2 * math.sqrt(score) * (1 - score) / math.sqrt(n_rows)
    return math.nan
