"""What a trial has scored by several metrics."""

from __future__ import annotations

from collections.abc import Sequence

from dhpo.history.events import SplitScores

__all__ = ["mean_scores"]


def mean_scores(splits: Sequence[SplitScores]) -> dict[str, float]:
    """The mean of each metric over the splits; nothing where there is but one metric, or a split lacks some.

    Parameters
    ----------
    splits : sequence of SplitScores
        Of one trial.
    """
    names = list(splits[0].test) if splits else []
    if len(names) < 2 or any(split.test.keys() != splits[0].test.keys() for split in splits):
        return {}
    return {name: sum(split.test[name] for split in splits) / len(splits) for name in names}
