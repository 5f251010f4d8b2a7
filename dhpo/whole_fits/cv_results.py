"""What a search by whole fits makes of its outcomes: `cv_results_`, the best candidate, and warnings."""

from __future__ import annotations

import numbers
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import FitFailedWarning

from dhpo.history.events import SplitScores
from dhpo.history.tables import param_columns, score_columns, time_columns
from dhpo.trial import Params

__all__ = ["best_index", "cv_results", "failed_fits", "warn_of_fits", "warn_of_scores", "with_error_scores"]

_RULE = "-" * 80


def with_error_scores(split: SplitScores, metrics: Iterable[str], error_score: float, train: bool) -> SplitScores:
    """A failed fit with the score that the user gave for such."""
    if split.error is None:
        return split
    scores = dict.fromkeys(metrics, error_score)
    return replace(split, test=scores, train=scores if train else None)


def cv_results(
    params: Sequence[Params], splits: Sequence[Sequence[SplitScores]], metrics: Sequence[str], with_train: bool
) -> dict[str, Any]:
    """The results in scikit-learn's words, a row for each candidate.

    Parameters
    ----------
    params : sequence of mapping
        Of each candidate.
    splits : sequence of sequence of SplitScores
        For each candidate, its splits; all of the same number.
    metrics : sequence of str
    with_train : bool
        Whether there are training scores.
    """
    results: dict[str, Any] = dict(time_columns(splits))
    results.update((f"param_{name}", values) for name, values in param_columns(params).items())
    results["params"] = [dict(of_candidate) for of_candidate in params]
    for metric in metrics:
        results.update(score_columns(splits, "test", [metric]))
        if with_train:
            results.update(score_columns(splits, "train", [metric]))
    return results


def best_index(results: dict[str, Any], refit: bool | str | Callable[[dict[str, Any]], int], metric: str) -> Any:
    """The row of the best candidate: of rank 1, or what a callable `refit` says.

    Raises
    ------
    TypeError, IndexError
        If a callable returns something else than the number of a row.
    """
    if not callable(refit):
        return np.argmin(results[f"rank_test_{metric}"])  # of NumPy's type, as scikit-learn's
    index = refit(results)
    if not isinstance(index, numbers.Integral):
        raise TypeError(f"best_index_ returned is not an integer: refit returned {index!r}.")
    if not 0 <= index < len(results["params"]):
        raise IndexError(
            f"best_index_ index out of range: refit returned {index}, and there are {len(results['params'])} "
            "candidates."
        )
    return index


def failed_fits(errors: Sequence[str], n_fits: int, error_score: Any) -> str | None:
    """What there is to say of fits that failed; None if none did.

    Parameters
    ----------
    errors : sequence of str
        The traceback of each.
    n_fits : int
        All fits, failed or not.
    error_score : float
    """
    if not errors:
        return None
    details = "\n".join(
        f"{_RULE}\n{number} fits failed with the following error:\n{error}" for error, number in Counter(errors).items()
    )
    debug = "try to debug the error by setting error_score='raise'."
    if len(errors) == n_fits:
        return (
            f"\nAll the {n_fits} fits failed.\nIt is very likely that your model is misconfigured.\nYou can {debug}\n\n"
            f"Below are more details about the failures:\n{details}"
        )
    return (
        f"\n{len(errors)} fits failed out of a total of {n_fits}.\nThe score on these train-test partitions for these "
        f"parameters will be set to {error_score}.\nIf these failures are not expected, you can {debug}\n\n"
        f"Below are more details about the failures:\n{details}"
    )


def warn_of_fits(message: str | None) -> None:
    """Warn of fits that failed."""
    if message is not None:
        warnings.warn(message, FitFailedWarning, stacklevel=2)


def warn_of_scores(results: dict[str, Any], failures: Sequence[str], error_score: Any) -> None:
    """Warn of scorers that failed, and of scores that are not finite."""
    for failure in failures:
        warnings.warn(
            "Scoring failed. The score on this train-test partition for these parameters will be set to "
            f"{error_score}. Details: \n{failure}",
            UserWarning,
            stacklevel=2,
        )
    for name, means in results.items():
        kind = name.removeprefix("mean_").partition("_")[0]
        if name.startswith(("mean_test_", "mean_train_")) and not np.isfinite(means).all():
            warnings.warn(f"One or more of the {kind} scores are non-finite: {means}", UserWarning, stacklevel=2)
