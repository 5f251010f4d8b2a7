"""Grid and random search: every candidate gets the same."""

from __future__ import annotations

import math
import warnings
from typing import Any

from sklearn.model_selection import ParameterGrid, ParameterSampler

from dhpo.errors.checks import checked_int
from dhpo.samplers.base import Sampler
from dhpo.samplers.by_name import learns, make_sampler
from dhpo.samplers.enqueued import Enqueued
from dhpo.samplers.grid import GridSampler
from dhpo.schedules.base import Schedule
from dhpo.schedules.fixed import Fixed
from dhpo.schedules.plan import BracketPlan, Plan, Rung
from dhpo.search.whole import WholeOrBlockSearchCV
from dhpo.space.parameter_space import Space
from dhpo.whole_fits.candidates import Candidates
from dhpo.wording import counted

__all__ = ["GridSearchCV", "RandomizedSearchCV"]

_DEFAULT_MAX_ITER = 100


class GridSearchCV(WholeOrBlockSearchCV):
    """Search over every point of a grid.

    A drop-in for scikit-learn's GridSearchCV that runs on a Dask cluster: every candidate is fitted on every split of
    `cv`, one Dask task each, with the same scores. X and y may then take a fifth of a worker's memory limit. An
    estimator with `partial_fit` is trained block by block instead if X is a dask collection or `max_iter` is given;
    then the data may be larger than memory.

    "Which search should I use?" in the documentation compares it with the others.

    Parameters
    ----------
    estimator : estimator
        With `fit`; for training block by block with `partial_fit`.
    param_grid : dict or list of dict
        Names of parameters with lists of values.
    scoring : str, callable, list, tuple, dict or None, default None
        As in scikit-learn. None is the estimator's own `score`.
    n_jobs : int or None, default None
        Accepted for compatibility: the cluster says how many fits run at a time.
    refit : bool, str or callable, default True
        As in scikit-learn: whether the best candidate is fitted on all rows, and with several metrics by which it is
        found. A callable gets `cv_results_` and returns the index of the best; not for training block by block, where a
        name or True is wanted.
    cv : int, splitter, iterable or None, default None
        As in scikit-learn; None is 5 folds. Training block by block takes an int, the number of folds over the rows of
        every block, or None, which holds out `test_size` of them.
    verbose : bool or int, default True
        Show progress: in a terminal, in a notebook, or else as a line of the log every ten seconds.
    pre_dispatch : int or str, default "2*n_jobs"
        Accepted for compatibility.
    error_score : "raise" or float, default nan
        The score of a whole fit that fails; "raise" ends the search with its error. Where candidates are trained block
        by block, only a number is allowed: a trial that fails is ranked last, and the search goes on.
    return_train_score : bool, default False
        Whether to score on the training rows, too; not for training block by block.
    max_iter : int, optional
        Train block by block, with this many `partial_fit` calls for each candidate. Default: fit whole where the
        estimator has no `partial_fit` or the data is in memory; else 100.
    test_size : float or "block", optional
        Share of the rows of every block to score on, where candidates are trained block by block without `cv`. Default:
        in all as many rows as one block has, or 10,000 if that is more, but never more than a fifth. "block" is as many
        rows as one block has, however few.
    random_state : int, RandomState, Generator or None, default None
        Seeds the split, the order of the blocks and the estimators, where candidates are trained block by block.
    trial_timeout : float, optional
        Seconds that one trial (on one fold) may spend in `partial_fit` and in scores, in all, where candidates are
        trained block by block. One that takes longer has failed; if `partial_fit` cannot be interrupted, its worker is
        restarted. Default: no limit, so a trial that hangs keeps its worker busy indefinitely.
    time_budget : float, optional
        Seconds after which the search is stopped, as by `stop()`: the best so far is its result.
    max_failures : int, optional
        Candidates that may fail before the search is given up. Default: any number, as long as one is scored.
    callbacks : list of Observer, optional
        Told of everything that happens in the search, and able to stop it; see `dhpo.Observer`. One that raises is
        logged and costs the search nothing.
    resource : "auto", "n_samples", str or Trainer, default "auto"
        What is counted. "auto": calls of `partial_fit`, each on one block. A parameter of the estimator that takes
        whole numbers, such as "n_estimators" or "max_iter": its value. "n_samples": parts of the rows, of which
        `max_resource` are all. But for "auto", each model is fitted on all rows at once, which a worker has to hold.
    max_resource : int, optional
        The most units of one candidate, in place of `max_iter`.

    Attributes
    ----------
    best_estimator_, best_params_, best_score_, best_index_, cv_results_, scorer_, n_splits_, refit_time_, multimetric_
        As in scikit-learn; where candidates are trained block by block, as in `IncrementalSearchCV`.
    history_, model_history_, metadata_
        See `IncrementalSearchCV`.

    Examples
    --------
    Data in memory is fitted whole, on each split of `cv`:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from dhpo import GridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> search = GridSearchCV(SVC(), {"C": [0.01, 1, 10], "kernel": ["linear", "rbf"]}, cv=3, verbose=0)
    >>> print(search.fit(X, y).best_score_ > 0.9)
    True
    >>> len(search.cv_results_["params"])
    6
    >>> search.predict(X[:3])
    array([0, 0, 0])
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: Any = None,
        refit: Any = True,
        cv: Any = None,
        verbose: Any = True,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = math.nan,
        return_train_score: bool = False,
        max_iter: int | None = None,
        test_size: float | str | None = None,
        random_state: Any = None,
        trial_timeout: float | None = None,
        time_budget: float | None = None,
        max_failures: int | None = None,
        callbacks: Any = None,
        resource: Any = "auto",
        max_resource: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.scoring = scoring
        self.n_jobs = n_jobs
        self.refit = refit
        self.cv = cv
        self.verbose = verbose
        self.pre_dispatch = pre_dispatch
        self.error_score = error_score
        self.return_train_score = return_train_score
        self.max_iter = max_iter
        self.test_size = test_size
        self.random_state = random_state
        self.trial_timeout = trial_timeout
        self.time_budget = time_budget
        self.max_failures = max_failures
        self.callbacks = callbacks
        self.resource = resource
        self.max_resource = max_resource

    def _n_candidates(self) -> int:
        return len(ParameterGrid(self.param_grid))

    def _candidates(self, entropy: int) -> Candidates:
        return Candidates(ParameterGrid(self.param_grid))

    def _space(self) -> Space:
        space = Space(self.param_grid)
        if space.size is None:
            raise ValueError(
                "param_grid holds a distribution: a grid needs lists of values. RandomizedSearchCV takes both."
            )
        return space

    def _schedule(self) -> Schedule:
        return Fixed(len(self._space().grid()), _DEFAULT_MAX_ITER if self._most() is None else self._most())

    def _sampler(self, space: Space, entropy: int, plan: Plan) -> Sampler:
        return GridSampler(space)


class RandomizedSearchCV(WholeOrBlockSearchCV):
    """Search over random candidates.

    A drop-in for scikit-learn's RandomizedSearchCV that runs on a Dask cluster; see `GridSearchCV` for the two ways to
    train.

    "Which search should I use?" in the documentation compares it with the others.

    Parameters
    ----------
    estimator : estimator
        With `fit`; for training block by block with `partial_fit`.
    param_distributions : dict or list of dict
        Names of parameters with lists of values or distributions (`rvs`). Lists alone are drawn from without
        replacement.
    n_iter : int, default 10
        Number of candidates.
    scoring : str, callable, list, tuple, dict or None, default None
        As in scikit-learn. None is the estimator's own `score`.
    n_jobs : int or None, default None
        Accepted for compatibility: the cluster says how many fits run at a time.
    refit : bool, str or callable, default True
        As in scikit-learn: whether the best candidate is fitted on all rows, and with several metrics by which it is
        found. A callable gets `cv_results_` and returns the index of the best; not for training block by block, where a
        name or True is wanted.
    cv : int, splitter, iterable or None, default None
        As in scikit-learn; None is 5 folds. Training block by block takes an int, the number of folds over the rows of
        every block, or None, which holds out `test_size` of them.
    verbose : bool or int, default True
        Show progress: in a terminal, in a notebook, or else as a line of the log every ten seconds.
    pre_dispatch : int or str, default "2*n_jobs"
        Accepted for compatibility.
    random_state : int, RandomState, Generator or None, default None
        Seeds the candidates, and all that it seeds in `GridSearchCV`. Candidates that are fitted whole are those that
        scikit-learn has for this seed. A Generator is allowed only where they are trained block by block.
    error_score : "raise" or float, default nan
        The score of a whole fit that fails; "raise" ends the search with its error. Where candidates are trained block
        by block, only a number is allowed: a trial that fails is ranked last, and the search goes on.
    return_train_score : bool, default False
        Whether to score on the training rows, too; not for training block by block.
    max_iter : int, optional
        Train block by block, with this many `partial_fit` calls for each candidate. Default: fit whole where the
        estimator has no `partial_fit` or the data is in memory; else 100.
    test_size : float or "block", optional
        Share of the rows of every block to score on, where candidates are trained block by block without `cv`. Default:
        in all as many rows as one block has, or 10,000 if that is more, but never more than a fifth. "block" is as many
        rows as one block has, however few.
    trial_timeout : float, optional
        Seconds that one trial (on one fold) may spend in `partial_fit` and in scores, in all, where candidates are
        trained block by block. One that takes longer has failed; if `partial_fit` cannot be interrupted, its worker is
        restarted. Default: no limit, so a trial that hangs keeps its worker busy indefinitely.
    time_budget : float, optional
        Seconds after which the search is stopped, as by `stop()`: the best so far is its result.
    max_failures : int, optional
        Candidates that may fail before the search is given up. Default: any number, as long as one is scored.
    callbacks : list of Observer, optional
        Told of everything that happens in the search, and able to stop it; see `dhpo.Observer`. One that raises is
        logged and costs the search nothing.
    sampler : "random", "grid", "sobol", "tpe", "gp", "cmaes", "nsga2", Sampler or optuna sampler, default "random"
        What gives the parameters of the candidates. "random" draws as scikit-learn does where they are fitted whole;
        "sobol" spreads them more evenly. "tpe", "gp", "cmaes" and "nsga2" are Optuna's, and learn from the candidates
        before: see `dhpo.samplers.OptunaSampler`. An object of your own has the methods of `dhpo.Sampler`, which
        `dhpo.testing.check_sampler` checks. Each search works with a copy of it.
    resource : "auto", "n_samples", str or Trainer, default "auto"
        What is counted. "auto": calls of `partial_fit`, each on one block. A parameter of the estimator that takes
        whole numbers, such as "n_estimators" or "max_iter": its value. "n_samples": parts of the rows, of which
        `max_resource` are all. But for "auto", each model is fitted on all rows at once, which a worker has to hold.
    max_resource : int, optional
        The most units of one candidate, in place of `max_iter`.

    Attributes
    ----------
    best_estimator_, best_params_, best_score_, best_index_, cv_results_, scorer_, n_splits_, refit_time_, multimetric_
        As in scikit-learn; where candidates are trained block by block, as in `IncrementalSearchCV`.
    history_, model_history_, metadata_
        See `IncrementalSearchCV`.

    Examples
    --------
    On a dask collection, candidates are trained block by block:

    >>> import dask.array as da
    >>> from scipy.stats import loguniform
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import RandomizedSearchCV
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> space = {"alpha": loguniform(1e-5, 10)}
    >>> search = RandomizedSearchCV(SGDClassifier(), space, n_iter=3, max_iter=5, random_state=0, verbose=0)
    >>> search.fit(X, y).best_score_ > 0.9
    True
    >>> search.summary()[["rank", "status", "resource"]]
           rank    status  resource
    trial
    1         1  finished         5
    2         2  finished         5
    0         3  finished         5
    """

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: Any = None,
        refit: Any = True,
        cv: Any = None,
        verbose: Any = True,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = math.nan,
        return_train_score: bool = False,
        max_iter: int | None = None,
        test_size: float | str | None = None,
        trial_timeout: float | None = None,
        time_budget: float | None = None,
        max_failures: int | None = None,
        callbacks: Any = None,
        sampler: Any = "random",
        resource: Any = "auto",
        max_resource: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.scoring = scoring
        self.n_jobs = n_jobs
        self.refit = refit
        self.cv = cv
        self.verbose = verbose
        self.pre_dispatch = pre_dispatch
        self.random_state = random_state
        self.error_score = error_score
        self.return_train_score = return_train_score
        self.max_iter = max_iter
        self.test_size = test_size
        self.trial_timeout = trial_timeout
        self.time_budget = time_budget
        self.max_failures = max_failures
        self.callbacks = callbacks
        self.sampler = sampler
        self.resource = resource
        self.max_resource = max_resource

    _takes_points = True

    @property
    def _samples(self) -> bool:
        return not (isinstance(self.sampler, str) and self.sampler == "random")

    def _n_candidates(self) -> int:
        n_iter = checked_int("n_iter", self.n_iter)
        if not self._samples:
            return len(self._drawn_by_scikit_learn(n_iter))
        return self._n_points() if learns(self.sampler) else n_iter

    def _candidates(self, entropy: int) -> Candidates:
        n_iter = checked_int("n_iter", self.n_iter)
        if not self._samples:
            return Candidates(self._drawn_by_scikit_learn(n_iter))
        sampler = self._sampler(self._space(), entropy, Plan((BracketPlan(0, (Rung(n_iter, 1),)),)))
        if getattr(sampler, "learns", False):
            return Candidates(sampler=Enqueued(sampler, self._space(), {}), n_drawn=self._n_points())
        return Candidates(map(sampler.ask, range(n_iter)))

    def _n_points(self) -> int:
        """As many trials as there are points, where these are fewer."""
        size = self._space().size
        n_trials = checked_int("n_iter", self.n_iter)
        if size is not None and size < n_trials:
            warnings.warn(
                f"n_iter={n_trials} is more than there are: param_distributions has {counted(size, 'point')}. "
                + ("So many trials are made." if learns(self.sampler) else "Each is trained once."),
                UserWarning,
                stacklevel=3,
            )
            n_trials = size
        return n_trials

    def _drawn_by_scikit_learn(self, n_iter: int) -> ParameterSampler:
        return ParameterSampler(self.param_distributions, n_iter, random_state=self.random_state)

    def _space(self) -> Space:
        return Space(self.param_distributions)

    def _schedule(self) -> Schedule:
        n_trials = self._n_points()
        return Fixed(n_trials, _DEFAULT_MAX_ITER if self._most() is None else self._most())

    def _sampler(self, space: Space, entropy: int, plan: Plan) -> Sampler:
        return make_sampler(self.sampler, space, entropy, plan, self.scoring)
