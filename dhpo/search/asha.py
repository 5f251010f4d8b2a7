"""Asynchronous successive halving over blocks."""

from __future__ import annotations

from typing import Any

from dhpo.checks import checked_int
from dhpo.schedules.asha import ASHA
from dhpo.schedules.base import Schedule
from dhpo.schedules.virtual_time import InVirtualTime
from dhpo.search.incremental import _InitialParameters

__all__ = ["ASHASearchCV"]


class ASHASearchCV(_InitialParameters):
    """Successive halving in which no worker waits: a candidate goes on as soon as it is among the best so far.

    Unlike those of the other searches, its decisions depend on the order in which scores come, and so on the cluster: a
    run can be repeated from its journal, or bit for bit anywhere with `deterministic`.

    Parameters
    ----------
    estimator, parameters, test_size, random_state, scoring, verbose, refit, cv
        See `IncrementalSearchCV`.
    n_initial_parameters : int or "grid", default 81
        Number of candidates, or all points of the grid.
    n_initial_iter : int, default 1
        `partial_fit` calls before a candidate can be promoted; r in the paper.
    max_iter : int, default 81
        Most calls of one candidate; R in the paper.
    aggressiveness : int, default 3
        The reduction factor, eta in the paper. Of the n candidates that were scored on a rung, n // aggressiveness at
        most go on.
    deterministic : bool or int, default False
        Decide in the order in which so many equal, ideal workers would have come to the scores, and not in that of
        their arrival; True is 32. The answer is then the same on any cluster. Give about four times the threads of the
        cluster: with fewer, workers wait for scores that are due.
    trial_timeout, time_budget, max_failures, callbacks
        See `IncrementalSearchCV`.

    Attributes
    ----------
    best_estimator_, best_params_, best_score_, best_index_, cv_results_, history_, model_history_, metadata_
        See `IncrementalSearchCV`.

    References
    ----------
    .. [1] Li, L., Jamieson, K., Rostamizadeh, A., Gonina, E., Ben-tzur, J., Hardt, M., Recht, B. and Talwalkar, A.
       (2020). A system for massively parallel hyperparameter tuning. MLSys, algorithm 2.
       https://arxiv.org/abs/1810.05934
    """

    def __init__(
        self,
        estimator: Any,
        parameters: Any,
        n_initial_parameters: int | str = 81,
        n_initial_iter: int = 1,
        max_iter: int = 81,
        aggressiveness: int = 3,
        deterministic: bool | int = False,
        test_size: float | str | None = None,
        random_state: Any = None,
        scoring: Any = None,
        verbose: Any = True,
        refit: Any = True,
        cv: Any = None,
        trial_timeout: float | None = None,
        time_budget: float | None = None,
        max_failures: int | None = None,
        callbacks: Any = None,
    ) -> None:
        self.estimator = estimator
        self.parameters = parameters
        self.n_initial_parameters = n_initial_parameters
        self.n_initial_iter = n_initial_iter
        self.max_iter = max_iter
        self.aggressiveness = aggressiveness
        self.deterministic = deterministic
        self.test_size = test_size
        self.random_state = random_state
        self.scoring = scoring
        self.verbose = verbose
        self.refit = refit
        self.cv = cv
        self.trial_timeout = trial_timeout
        self.time_budget = time_budget
        self.max_failures = max_failures
        self.callbacks = callbacks

    def _schedule(self) -> Schedule:
        schedule = ASHA(self._n_trials(), self.n_initial_iter, self.max_iter, self.aggressiveness)
        if self.deterministic is False:
            return schedule
        slots = _SLOTS if self.deterministic is True else checked_int("deterministic", self.deterministic)
        return InVirtualTime(schedule, slots)


_SLOTS = 32
