"""Asynchronous successive halving over blocks."""

from __future__ import annotations

from typing import Any

from dhpo.errors.checks import checked_int
from dhpo.schedules.asha import ASHA
from dhpo.schedules.base import Schedule
from dhpo.schedules.virtual_time import InVirtualTime
from dhpo.search.sampled import InitialParameters

__all__ = ["ASHASearchCV"]


class ASHASearchCV(InitialParameters):
    """Successive halving in which no worker waits: a candidate goes on as soon as it is among the best so far.

    Unlike those of the other searches, its decisions depend on the order in which scores come, and so on the cluster: a
    run can be repeated from its journal, or bit for bit anywhere with `deterministic`.

    "Which search should I use?" in the documentation compares it with the others.

    Parameters
    ----------
    estimator : estimator
        With `partial_fit`, `get_params` and `set_params`.
    parameters : dict or list of dict
        Names of parameters with lists of values or distributions (`rvs`), as for scikit-learn's RandomizedSearchCV.
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
        Take scores in the order in which this many ideal, equally fast workers would finish, not in the order in
        which they arrive. The answer is then the same on any cluster. With fewer than the cluster has threads, some
        have nothing to do; with many more, candidates are promoted later, and the search needs more calls. True takes
        the number of threads n that there are when the search begins, n for up to four and 2 n - 4 for more, so the
        answer is the same on any cluster with as many threads; a journal keeps that number. Where workers come one by
        one, give a number.
    test_size : float or "block", optional
        Share of the rows of every block to score on. Default: in all as many rows as one block has, or 10,000 if that
        is more, but never more than a fifth. "block" is dask-ml's default: as many rows as one block has, however few.
    random_state : int, RandomState, Generator or None, default None
        Seeds the candidates, the split, the order of the blocks and the estimators; with `deterministic` it repeats the
        search exactly, on any cluster, unless the sampler learns.
    scoring : str, callable, list, tuple, dict or None, default None
        As in scikit-learn. None is the estimator's own `score`. If a metric fails that `refit` does not name, its
        score is nan.
    verbose : bool or int, default True
        Show progress: in a terminal, in a notebook, or else as a line of the log every ten seconds.
    refit : bool or str, default True
        False leaves no `best_estimator_`. With several metrics the name of the one that decides which trials go on, and
        which is the best.
    cv : int, KFold, StratifiedKFold or None, default None
        Folds over the rows of every block, stratified by class for a classifier. Each trial has a model for each fold;
        the mean of their scores decides. `max_iter` and all calls count for each of them. None holds out `test_size`.
    trial_timeout : float, optional
        Seconds that one trial (on one fold) may spend in `partial_fit` and in scores, in all. One that takes longer has
        failed; if `partial_fit` cannot be interrupted, its worker is restarted. Default: no limit, so a trial that
        hangs keeps its worker busy indefinitely.
    time_budget : float, optional
        Seconds after which the search is stopped, as by `stop()`: the best so far is its result.
    max_failures : int, optional
        Trials that may fail before the search is given up. Default: any number, as long as one is scored.
    callbacks : list of Observer, optional
        Told of everything that happens in the search, and able to stop it; see `dhpo.Observer`. One that raises is
        logged and costs the search nothing.
    sampler : "random", "grid", "sobol", "tpe", "gp", "cmaes", "nsga2", Sampler or optuna sampler, default "random"
        What gives the parameters of the trials; "sobol" spreads them more evenly than "random". "tpe", "gp", "cmaes"
        and "nsga2" are Optuna's, and learn from the scores of the trials before: see `dhpo.samplers.OptunaSampler`. An
        object of your own has the methods of `dhpo.Sampler`, which `dhpo.testing.check_sampler` checks. Each search
        works with a copy.
    resource : "auto", "n_samples", str or Trainer, default "auto"
        What is counted. "auto": calls of `partial_fit`, each on one block. A parameter of the estimator that takes
        whole numbers, such as "n_estimators" or "max_iter": its value. "n_samples": parts of the rows, of which
        `max_resource` are all. But for "auto", each model is fitted on all rows at once, which a worker has to hold.
    max_resource : int, optional
        The most units of one candidate, in place of `max_iter`.

    Attributes
    ----------
    best_estimator_, best_params_, best_score_, best_index_
        The trial with the highest last score; its model as it was trained, not refitted. With `cv`, a new model like it
        that is trained on all rows.
    cv_results_ : dict of ndarray
        A row for each trial; makes a `pandas.DataFrame`.
    history_ : list of dict
        A record for each score, in the order they came.
    model_history_ : dict of list of dict
        The same by `model_id`.
    metadata_ : dict
        What was run, and passes over the data.
    n_iter_ : int
        `partial_fit` calls of the best trial.
    scorer_, n_splits_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in scikit-learn.

    References
    ----------
    .. [1] Li, L., Jamieson, K., Rostamizadeh, A., Gonina, E., Ben-tzur, J., Hardt, M., Recht, B. and Talwalkar, A.
       (2020). A system for massively parallel hyperparameter tuning. MLSys, algorithm 2.
       https://arxiv.org/abs/1810.05934

    Examples
    --------
    With `deterministic` the answer is the same on any cluster:

    >>> import dask.array as da
    >>> from scipy.stats import loguniform
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import ASHASearchCV
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> space = {"alpha": loguniform(1e-5, 10)}
    >>> search = ASHASearchCV(
    ...     SGDClassifier(), space, n_initial_parameters=9, max_iter=9, deterministic=8, random_state=0, verbose=0
    ... )
    >>> print(search.plan())
    bracket  trials  partial_fit calls  rungs (trials x calls each)
    -----------------------------------------------------------------
          0       9                 21  9 x 1 -> 3 x 3 -> 1 x 9
    -----------------------------------------------------------------
      total       9                 21  at most 9 calls for one trial
    >>> search.fit(X, y).best_score_ > 0.9
    True
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
        sampler: Any = "random",
        resource: Any = "auto",
        max_resource: int | None = None,
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
        self.sampler = sampler
        self.resource = resource
        self.max_resource = max_resource

    def _schedule(self) -> Schedule:
        schedule = ASHA(self._n_trials(), self.n_initial_iter, self._most(), self.aggressiveness)
        if self.deterministic is False:
            return schedule
        slots = None if self.deterministic is True else checked_int("deterministic", self.deterministic)
        return InVirtualTime(schedule, slots)
