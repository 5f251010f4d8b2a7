"""Successive halving and Hyperband over blocks."""

from __future__ import annotations

import warnings
from itertools import accumulate
from numbers import Integral
from typing import Any

from dhpo.checks import checked_factor, checked_int
from dhpo.samplers.base import Sampler
from dhpo.samplers.random import RandomSampler
from dhpo.schedules.base import Schedule
from dhpo.schedules.halving import SuccessiveHalving
from dhpo.schedules.hyperband import Hyperband
from dhpo.schedules.plan import Plan
from dhpo.search.incremental import _InitialParameters
from dhpo.seeds import seed_for
from dhpo.space import Space

__all__ = ["HyperbandSearchCV", "SuccessiveHalvingSearchCV"]


class SuccessiveHalvingSearchCV(_InitialParameters):
    """Train many candidates briefly, keep the best 1 / aggressiveness of them, train those longer, and so on.

    The parameters and learned attributes are those of `dask_ml.model_selection.SuccessiveHalvingSearchCV`; see
    `IncrementalSearchCV` for those not listed.

    Parameters
    ----------
    estimator, parameters, n_initial_parameters, test_size, patience, tol, random_state, scoring, verbose, prefix
        See `IncrementalSearchCV`.
    refit, cv, trial_timeout, time_budget, max_failures, callbacks
        See `IncrementalSearchCV`.
    n_initial_iter : int
        `partial_fit` calls before the first decision.
    max_iter : int, optional
        Most calls of one trial. Default: until a single trial remains.
    aggressiveness : float, default 3
        The reduction factor, eta in the literature; 2 or more.
    speculate : bool, default True
        Train the candidates that lead on while workers would idle, before it is decided who goes on. What is not
        promoted then is thrown away (`wasted_calls`), and the answer is the same bit for bit. Not with `cv`, nor where
        the data is larger than what the workers may keep of it.

    References
    ----------
    .. [1] Jamieson, K. and Talwalkar, A. (2016). Non-stochastic best arm identification and
       hyperparameter optimization. AISTATS. https://arxiv.org/abs/1502.07943
    """

    def __init__(
        self,
        estimator: Any,
        parameters: Any,
        n_initial_parameters: int | str = 10,
        n_initial_iter: int | None = None,
        max_iter: int | None = None,
        aggressiveness: float = 3,
        test_size: float | str | None = None,
        patience: Any = False,
        tol: float | None = 0.001,
        random_state: Any = None,
        scoring: Any = None,
        verbose: Any = True,
        prefix: str = "",
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
        self.n_initial_parameters = n_initial_parameters
        self.n_initial_iter = n_initial_iter
        self.max_iter = max_iter
        self.aggressiveness = aggressiveness
        self.test_size = test_size
        self.patience = patience
        self.tol = tol
        self.random_state = random_state
        self.scoring = scoring
        self.verbose = verbose
        self.prefix = prefix
        self.refit = refit
        self.cv = cv
        self.trial_timeout = trial_timeout
        self.time_budget = time_budget
        self.max_failures = max_failures
        self.speculate = speculate
        self.callbacks = callbacks

    def _schedule(self) -> Schedule:
        if self.n_initial_iter is None:
            raise ValueError(
                "n_initial_iter=None is not allowed: give the partial_fit calls before the first decision."
            )
        schedule = SuccessiveHalving(self._n_trials(), self.n_initial_iter, self.max_iter, self.aggressiveness)
        return self._with_patience(schedule, self.patience)


class HyperbandSearchCV(_InitialParameters):
    """Successive halving at every trade-off between many candidates trained briefly and few trained long.

    The parameters and learned attributes are those of `dask_ml.model_selection.HyperbandSearchCV`; see
    `IncrementalSearchCV` for those not listed. All brackets train and score on one split of the data.

    Parameters
    ----------
    estimator, parameters, test_size, tol, random_state, scoring, verbose, prefix
        See `IncrementalSearchCV`.
    predict_meta, predict_proba_meta, transform_meta, refit, cv, trial_timeout, time_budget, max_failures, callbacks
        See `IncrementalSearchCV`.
    max_iter : int, default 81
        Most `partial_fit` calls of one trial; R in the paper.
    aggressiveness : float, default 3
        The reduction factor; eta in the paper; 2 or more.
    patience : bool or int, default False
        Stop trials that no longer improve; True waits max_iter // aggressiveness calls. `patience` should not be lower
        than that: Hyperband stops trials early itself.
    speculate : bool, default True
        See `SuccessiveHalvingSearchCV`.

    References
    ----------
    .. [1] Li, L., Jamieson, K., DeSalvo, G., Rostamizadeh, A. and Talwalkar, A. (2018). Hyperband: A novel bandit-based
       approach to hyperparameter optimization. JMLR 18(185), algorithm 1. https://jmlr.org/papers/v18/16-558.html
    """

    def __init__(
        self,
        estimator: Any,
        parameters: Any,
        max_iter: int = 81,
        aggressiveness: float = 3,
        patience: Any = False,
        tol: float | None = 0.001,
        test_size: float | str | None = None,
        random_state: Any = None,
        scoring: Any = None,
        verbose: Any = True,
        prefix: str = "",
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
        self.max_iter = max_iter
        self.aggressiveness = aggressiveness
        self.patience = patience
        self.tol = tol
        self.test_size = test_size
        self.random_state = random_state
        self.scoring = scoring
        self.verbose = verbose
        self.prefix = prefix
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

    def _schedule(self) -> Schedule:
        schedule = Hyperband(self.max_iter, self.aggressiveness)
        return self._with_patience(schedule, self._patience_calls())

    def _patience_calls(self) -> Any:
        calls = checked_int("max_iter", self.max_iter) // checked_factor("aggressiveness", self.aggressiveness)
        shortest = max(int(calls), 2)
        if self.patience is True:
            return shortest
        if self.patience and self.tol is not None and 1 < self.patience < shortest:
            warnings.warn(
                f"patience={self.patience} stops trials that Hyperband would go on with; give "
                f"patience=True, or {shortest} or "
                "more.",
                UserWarning,
                stacklevel=2,
            )
        return self.patience

    def _sampler(self, space: Space, entropy: int) -> Sampler:
        return RandomSampler(space, entropy)

    @property
    def metadata(self) -> dict[str, Any]:
        """What will run, as dask-ml tells it; each bracket with the parameters of its `SuccessiveHalvingSearchCV`.

        Where `random_state` is an int, each bracket has one of its own: by themselves, too, they try other candidates.
        """
        metadata = super().metadata
        own = self.get_params(deep=False)
        same = ("aggressiveness", "max_iter", "patience", "prefix", "scoring", "test_size", "tol", "verbose")
        for bracket in metadata["brackets"]:
            seed = self.random_state
            if isinstance(seed, Integral):
                seed = seed_for(int(seed), bracket["bracket"], "bracket")
            bracket["SuccessiveHalvingSearchCV params"] = {
                "n_initial_parameters": bracket["n_models"],
                "n_initial_iter": bracket["decisions"][0],
                "random_state": seed,
                **{name: own[name] for name in same},
            }
        return metadata

    def _first_of_bracket(self, plan: Plan) -> dict[int, int]:
        starts = accumulate((bracket.n_trials for bracket in plan.brackets), initial=0)
        return {bracket.bracket: start for bracket, start in zip(plan.brackets, starts, strict=False)}
