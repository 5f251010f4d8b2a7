"""Any schedule with any sampler: what the other searches are presets of."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from dhpo.checks import check_methods
from dhpo.samplers.base import Sampler
from dhpo.samplers.by_name import make_sampler
from dhpo.samplers.grid import GridSampler
from dhpo.schedules.base import Schedule
from dhpo.search.base import BlockSearchCV
from dhpo.space import Space

__all__ = ["SearchCV"]


class SearchCV(BlockSearchCV):
    """Search with a schedule and a sampler of your choice, or of your own.

    The schedule decides how long trials are trained, and which are dropped; the sampler gives their parameters. The
    other searches over blocks are presets: `HyperbandSearchCV(estimator, space, max_iter=81)` is
    `SearchCV(estimator, space, Hyperband(81))`.

    Parameters
    ----------
    estimator : estimator
        With `partial_fit`, `get_params` and `set_params`.
    parameters : dict or list of dict
        Names of parameters with lists of values or distributions (`rvs`), as for scikit-learn's RandomizedSearchCV.
    schedule : Schedule
        One of `dhpo.schedules`, or an object of your own with its methods, which `dhpo.testing.check_schedule` checks.
        Each search works with a copy of it.
    sampler : "random", "grid" or Sampler, default "random"
        An object of your own has the methods of `dhpo.Sampler`, which `dhpo.testing.check_sampler` checks. Each search
        works with a copy of it.
    test_size, random_state, scoring, verbose, predict_meta, predict_proba_meta, transform_meta, refit, cv
        See `IncrementalSearchCV`.
    trial_timeout, time_budget, max_failures, callbacks
        See `IncrementalSearchCV`.
    speculate : bool, default True
        See `SuccessiveHalvingSearchCV`; for schedules that say who leads.

    Attributes
    ----------
    best_estimator_, best_params_, best_score_, best_index_, cv_results_, scorer_, n_splits_, multimetric_
        See `IncrementalSearchCV`.
    history_, model_history_, metadata_, classes_, n_features_in_, feature_names_in_
        See `IncrementalSearchCV`.

    Examples
    --------
    >>> from dhpo import SearchCV
    >>> from dhpo.schedules import SuccessiveHalving
    >>> from scipy.stats import loguniform
    >>> from sklearn.linear_model import SGDClassifier
    >>> schedule = SuccessiveHalving(n_initial_parameters=9, n_initial_iter=1, max_iter=9)
    >>> print(SearchCV(SGDClassifier(), {"alpha": loguniform(1e-6, 1)}, schedule).plan())
    bracket  trials  partial_fit calls  rungs (trials x calls each)
    ---------------------------------------------------------------
          0       9                 21  9 x 1 -> 3 x 3 -> 1 x 9
    ---------------------------------------------------------------
      total       9                 21  at most 9 calls for one trial
    """

    def __init__(
        self,
        estimator: Any,
        parameters: Any,
        schedule: Any,
        sampler: Any = "random",
        test_size: float | str | None = None,
        random_state: Any = None,
        scoring: Any = None,
        verbose: Any = True,
        predict_meta: Any = None,
        predict_proba_meta: Any = None,
        transform_meta: Any = None,
        refit: Any = True,
        cv: Any = None,
        trial_timeout: float | None = None,
        time_budget: float | None = None,
        max_failures: int | None = None,
        speculate: bool = True,
        callbacks: Any = None,
    ) -> None:
        self.estimator = estimator
        self.parameters = parameters
        self.schedule = schedule
        self.sampler = sampler
        self.test_size = test_size
        self.random_state = random_state
        self.scoring = scoring
        self.verbose = verbose
        self.predict_meta = predict_meta
        self.predict_proba_meta = predict_proba_meta
        self.transform_meta = transform_meta
        self.refit = refit
        self.cv = cv
        self.trial_timeout = trial_timeout
        self.time_budget = time_budget
        self.max_failures = max_failures
        self.speculate = speculate
        self.callbacks = callbacks

    def _space(self) -> Space:
        return Space(self.parameters)

    def _schedule(self) -> Schedule:
        check_methods(f"schedule={self.schedule!r}", self.schedule, ("ask", "tell", "plan", "leading"), "dhpo.Schedule")
        made: Schedule = deepcopy(self.schedule)
        return made

    def _sampler(self, space: Space, entropy: int) -> Sampler:
        sampler = make_sampler(self.sampler, space, entropy)
        if isinstance(sampler, GridSampler) and (n_trials := self.plan().n_trials) > sampler.n_trials:
            raise ValueError(
                f"sampler='grid' has {sampler.n_trials} points, and the schedule asks for {n_trials} trials. Give a "
                f"schedule of {sampler.n_trials} trials, or sampler='random'."
            )
        return sampler
