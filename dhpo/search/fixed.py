"""Grid and random search over blocks: every candidate is trained for `max_iter` calls."""

from __future__ import annotations

import warnings
from typing import Any

from dhpo.samplers.base import Sampler
from dhpo.samplers.grid import GridSampler
from dhpo.samplers.random import RandomSampler
from dhpo.schedules.base import Schedule
from dhpo.schedules.fixed import Fixed
from dhpo.schedules.rungs import checked_int
from dhpo.search.base import BlockSearchCV
from dhpo.space import Space

__all__ = ["GridSearchCV", "RandomizedSearchCV"]


class GridSearchCV(BlockSearchCV):
    """Train every point of a grid over the blocks.

    Parameters
    ----------
    estimator : estimator
        With `partial_fit`, `get_params` and `set_params`.
    param_grid : dict or list of dict
        Names of parameters with lists of values.
    scoring : str, callable or None, default None
        As in scikit-learn. None is the estimator's own `score`.
    max_iter : int, default 100
        `partial_fit` calls of each candidate; each call sees one block.
    test_size : float, optional
        Share of the rows of every block to score on. Default: about one block in all, at most 0.2.
    random_state : int, RandomState, Generator or None, default None
        Seeds the split, the order of the blocks and the estimators.
    verbose : bool or int, default True
        Show progress if the output is a terminal.

    Attributes
    ----------
    best_estimator_, best_params_, best_score_, best_index_, cv_results_, history_, model_history_, metadata_
        See `IncrementalSearchCV`.
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        scoring: Any = None,
        max_iter: int = 100,
        test_size: float | None = None,
        random_state: Any = None,
        verbose: Any = True,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.scoring = scoring
        self.max_iter = max_iter
        self.test_size = test_size
        self.random_state = random_state
        self.verbose = verbose

    def _space(self) -> Space:
        space = Space(self.param_grid)
        if space.size is None:
            raise ValueError(
                "param_grid holds a distribution: a grid needs lists of values. RandomizedSearchCV takes both."
            )
        return space

    def _schedule(self) -> Schedule:
        return Fixed(len(self._space().grid()), self.max_iter)

    def _sampler(self, space: Space, entropy: int) -> Sampler:
        return GridSampler(space)


class RandomizedSearchCV(BlockSearchCV):
    """Train random candidates over the blocks.

    Parameters
    ----------
    estimator : estimator
        With `partial_fit`, `get_params` and `set_params`.
    param_distributions : dict or list of dict
        Names of parameters with lists of values or distributions (`rvs`). Lists alone are drawn from without
        replacement.
    n_iter : int, default 10
        Number of candidates.
    random_state, scoring, max_iter, test_size, verbose
        See `GridSearchCV`.

    Attributes
    ----------
    best_estimator_, best_params_, best_score_, best_index_, cv_results_, history_, model_history_, metadata_
        See `IncrementalSearchCV`.
    """

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        n_iter: int = 10,
        random_state: Any = None,
        scoring: Any = None,
        max_iter: int = 100,
        test_size: float | None = None,
        verbose: Any = True,
    ) -> None:
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.random_state = random_state
        self.scoring = scoring
        self.max_iter = max_iter
        self.test_size = test_size
        self.verbose = verbose

    def _space(self) -> Space:
        return Space(self.param_distributions)

    def _schedule(self) -> Schedule:
        size = self._space().size
        n_trials = checked_int("n_iter", self.n_iter)
        if size is not None and size < n_trials:
            warnings.warn(
                f"n_iter={n_trials} is more than the {size} points of param_distributions; all of them are "
                f"trained, once each.",
                UserWarning,
                stacklevel=2,
            )
            n_trials = size
        return Fixed(n_trials, self.max_iter)

    def _sampler(self, space: Space, entropy: int) -> Sampler:
        return RandomSampler(space, entropy)
