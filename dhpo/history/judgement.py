"""How good the predictions of the best model are on rows that it was not trained on: numbers enough to draw them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["BestJudged", "ClassJudgement", "Judgement", "NumberJudgement"]


@dataclass(frozen=True, slots=True)
class ClassJudgement:
    """How well a classifier tells the classes apart.

    Parameters
    ----------
    classes : tuple of str
        The labels, sorted as in `classes_`; all others are positions in here.
    counts : tuple of (int, int, int)
        True class, predicted class, and rows: the confusion matrix, without its zeros.
    areas : mapping of int to float
        The area under the ROC curve of each class that has one; of two classes the second alone has.
    curves : mapping of int to (tuple of float, tuple of float)
        False and true positive rates; of many classes, of those with the smallest areas.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, int, int], ...]
    areas: Mapping[int, float] = field(default_factory=dict)
    curves: Mapping[int, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Rows that were judged by."""
        return sum(count for _, _, count in self.counts)


@dataclass(frozen=True, slots=True)
class NumberJudgement:
    """How near a regressor comes.

    Parameters
    ----------
    n_rows : int
        That were judged by.
    metrics : mapping of str to float
        By their names in words.
    true, predicted : tuple of float
        Of some of the rows.
    residual_edges, residual_counts : tuple
        The histogram of what is true less what is predicted, of all of them.
    """

    n_rows: int
    metrics: Mapping[str, float]
    true: tuple[float, ...] = ()
    predicted: tuple[float, ...] = ()
    residual_edges: tuple[float, ...] = ()
    residual_counts: tuple[int, ...] = ()


Judgement = ClassJudgement | NumberJudgement


@dataclass(frozen=True, slots=True)
class BestJudged:
    """The best model predicted rows that were held out.

    Parameters
    ----------
    trial, resource : int
        The trial that it is of, and how far that was trained.
    judgement : ClassJudgement or NumberJudgement
        By all rows held out, or by as many of them as can be looked at quickly, drawn at random.
    time : float
    """

    trial: int
    resource: int
    judgement: Judgement
    time: float
