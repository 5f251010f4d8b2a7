"""scikit-learn's scorers on whole test sets, one metric or several."""

from __future__ import annotations

import inspect
import numbers
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sklearn.metrics import check_scoring, get_scorer, get_scorer_names

from dhpo.errors.user_code import told
from dhpo.wording import did_you_mean

__all__ = ["ScoringFailed", "WholeScoring", "check_refit", "resolve_whole_scoring"]


class ScoringFailed(ValueError):
    """A scorer returned something that is no number: a mistake of the caller that ends the search."""


@dataclass(frozen=True)
class WholeScoring:
    """How candidates are scored.

    Parameters
    ----------
    scorer : callable
        `(estimator, X, y) -> float`, or a mapping of metrics to floats.
    metrics : tuple of str, or None
        The names of several metrics; ("score",) for the only one; None for a callable, which may return either.
    scorers : callable or dict of callable
        What the search shows as its `scorer_`.
    """

    scorer: Any
    metrics: tuple[str, ...] | None
    scorers: Any

    @property
    def has_several(self) -> bool:
        """Whether several metrics were asked for by name."""
        return self.metrics is not None and self.metrics != ("score",)

    def __call__(
        self, model: Any, X: Any, y: Any, params: Mapping[str, Any], error_score: Any
    ) -> tuple[dict[str, float] | float, list[str]]:
        """Score a fitted model.

        Parameters
        ----------
        model : estimator
        X, y : array-like
        params : mapping
            More arguments of the scorers.
        error_score : float or "raise"
            The score where a scorer fails.

        Returns
        -------
        scores : float, or dict of str to float
        failures : list of str
            The traceback of each scorer that failed.

        Raises
        ------
        ScoringFailed
            If a score is no number.
        Exception
            What the scorer raised, if `error_score` is "raise".
        """
        failures: list[str] = []
        try:
            scores = self.scorer(model, X, **params) if y is None else self.scorer(model, X, y, **params)
        except BaseException as error:
            if error_score == "raise":
                raise
            failures.append(told(error))
            scores = dict.fromkeys(self.metrics or (), error_score) if self.has_several else error_score
        if not isinstance(scores, Mapping):
            return _number(scores, "score", self.scorers), failures
        if self.has_several:  # scikit-learn hands the traceback out as the score of a scorer that failed
            failures += [score for score in scores.values() if isinstance(score, str)]
            scores = {name: error_score if isinstance(score, str) else score for name, score in scores.items()}
        return {name: _number(score, name, name) for name, score in scores.items()}, failures


def _number(score: Any, name: str, scorer: Any) -> float:
    if hasattr(score, "item"):
        with suppress(ValueError):  # an array with more than one value, which is refused below
            score = score.item()
    if not isinstance(score, numbers.Number):
        raise ScoringFailed(f"scoring must return a number, got {score} ({type(score)}) instead. (scorer={scorer})")
    return score  # type: ignore[return-value]


def resolve_whole_scoring(estimator: Any, scoring: Any, error_score: Any) -> WholeScoring:
    """What scikit-learn makes of `scoring`.

    Parameters
    ----------
    estimator : estimator
    scoring : None, str, callable, list, tuple, set or dict
        As for scikit-learn's GridSearchCV.
    error_score : float or "raise"

    Raises
    ------
    ValueError, TypeError
        As scikit-learn says it.
    """
    if callable(scoring):
        return WholeScoring(scoring, None, scoring)
    _check_names(scoring)
    if scoring is None or isinstance(scoring, str):
        scorer = check_scoring(estimator, scoring)
        return WholeScoring(scorer, ("score",), scorer)
    if isinstance(scoring, list | tuple | set) and len(set(map(_hashable, scoring))) != len(scoring):
        raise ValueError(f"scoring={scoring!r} names a metric more than once.")
    several = check_scoring(estimator, scoring, raise_exc=error_score == "raise")
    named: Iterable[tuple[str, Any]] = (
        scoring.items() if isinstance(scoring, Mapping) else ((name, name) for name in scoring)
    )
    scorers = {name: get_scorer(value) if isinstance(value, str) else value for name, value in named}
    return WholeScoring(several, tuple(scorers), scorers)


def _check_names(scoring: Any) -> None:
    values: Iterable[Any] = [scoring]
    if isinstance(scoring, list | tuple | set | Mapping):
        values = scoring.values() if isinstance(scoring, Mapping) else scoring
    for value in values:
        if isinstance(value, str) and value not in get_scorer_names():
            hint = did_you_mean(value, get_scorer_names())
            raise ValueError(
                f"scoring: {value!r} is not the name of a scorer.{hint} Allowed are: {', '.join(get_scorer_names())}."
            )


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str) else id(value)


def check_refit(refit: Any, metrics: Iterable[str]) -> None:
    """Raise ValueError unless `refit` says which of several metrics finds the best candidate."""
    known = list(metrics)
    if refit is False or callable(refit) or (isinstance(refit, str) and refit in known):
        return
    raise ValueError(
        "For multi-metric scoring, the parameter refit must be set to a scorer key or a callable to refit an estimator "
        "with the best parameter setting on the whole data and make the best_* attributes available for that metric. "
        f"If this is not needed, refit should be set to False explicitly. {refit!r} was passed; the keys are {known}."
        + did_you_mean(refit, known)
    )


def accepts_sample_weight(scoring: WholeScoring, search: Any) -> bool:
    """Whether scores are weighted where `fit` is given a `sample_weight`; warn of each scorer that is not."""
    scorers = scoring.scorers if isinstance(scoring.scorers, Mapping) else {"": scoring.scorers}
    accepting = {name: _takes_weights(scorer) for name, scorer in scorers.items()}
    for name, accepts in accepting.items():
        if not accepts:
            said = f"{name}={scorers[name]}" if name else str(scorers[name])
            warnings.warn(
                f"The scoring {said} does not support sample_weight, which may lead to statistically incorrect results "
                f"when fitting {search} with sample_weight. ",
                UserWarning,
                stacklevel=2,
            )
    return any(accepting.values())


def _takes_weights(scorer: Any) -> bool:
    # scikit-learn's scorers know it of their metric; a plain function shows it.
    asks = getattr(scorer, "_accept_sample_weight", None)
    return bool(asks()) if asks is not None else "sample_weight" in inspect.signature(scorer).parameters
