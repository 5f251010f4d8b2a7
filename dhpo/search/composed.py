"""Any schedule with any sampler: what the other searches are presets of."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from dhpo.errors.checks import check_methods
from dhpo.schedules.base import Schedule
from dhpo.search.sampled import SampledSearchCV

__all__ = ["SearchCV"]


class SearchCV(SampledSearchCV):
    """Search with a schedule and a sampler of your choice, or of your own.

    The schedule decides how long trials are trained, and which are dropped; the sampler gives their parameters. The
    other searches over blocks are presets: `HyperbandSearchCV(estimator, space, max_iter=81)` is
    `SearchCV(estimator, space, Hyperband(81))`.

    "Which search should I use?" in the documentation compares it with the others.

    Parameters
    ----------
    estimator : estimator
        With `partial_fit`, `get_params` and `set_params`.
    parameters : dict or list of dict
        Names of parameters with lists of values or distributions (`rvs`), as for scikit-learn's RandomizedSearchCV.
    schedule : Schedule
        One of `dhpo.schedules`, or an object of your own with its methods, which `dhpo.testing.check_schedule` checks.
        Each search works with a copy of it.
    sampler : "random", "grid", "sobol", "tpe", "gp", "cmaes", "nsga2", Sampler or optuna sampler, default "random"
        What gives the parameters of the trials; "sobol" spreads them more evenly than "random". "tpe", "gp", "cmaes"
        and "nsga2" are Optuna's, and learn from the scores of the trials before: see `dhpo.samplers.OptunaSampler`. An
        object of your own has the methods of `dhpo.Sampler`, which `dhpo.testing.check_sampler` checks. Each search
        works with a copy.
    test_size : float or "block", optional
        Share of the rows of every block to score on. Default: in all as many rows as one block has, or 10,000 if that
        is more, but never more than a fifth. "block" is dask-ml's default: as many rows as one block has, however few.
    random_state : int, RandomState, Generator or None, default None
        Seeds the candidates, the split, the order of the blocks and the estimators; with a synchronous schedule it
        repeats the search exactly, on any cluster, unless the sampler learns.
    scoring : str, callable, list, tuple, dict or None, default None
        As in scikit-learn. None is the estimator's own `score`. If a metric fails that `refit` does not name, its
        score is nan.
    verbose : bool or int, default True
        Show progress: in a terminal, in a notebook, or else as a line of the log every ten seconds.
    predict_meta, predict_proba_meta, transform_meta : ndarray or pandas object, optional
        An empty result of the method; needed where calling the method on one row of ones does not tell its type.
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
    speculate : bool, default True
        Train the leading candidates ahead while workers would be idle, before it is decided which are promoted. Calls
        for candidates that are then not promoted are discarded (`wasted_calls`); the result is the same bit for bit.
        Has no effect with `cv` or `patience`, or if the data is larger than what the workers may keep of it.
    callbacks : list of Observer, optional
        Told of everything that happens in the search, and able to stop it; see `dhpo.Observer`. One that raises is
        logged and costs the search nothing.
    resource : "auto", "n_samples", str or Trainer, default "auto"
        What is counted. "auto": calls of `partial_fit`, each on one block. A parameter of the estimator that takes
        whole numbers, such as "n_estimators" or "max_iter": its value. "n_samples": parts of the rows, of which
        `max_resource` are all. But for "auto", each model is fitted on all rows at once, which a worker has to hold.

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

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import SearchCV
    >>> from dhpo.schedules import SuccessiveHalving
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> schedule = SuccessiveHalving(n_initial_parameters=6, n_initial_iter=1, aggressiveness=2)
    >>> space = {"alpha": [1e-4, 1e-2, 1], "penalty": ["l1", "l2"]}
    >>> search = SearchCV(SGDClassifier(), space, schedule, sampler="grid", random_state=0, verbose=0)
    >>> print(search.plan())
    bracket  trials  partial_fit calls  rungs (trials x calls each)
    -----------------------------------------------------------------
          0       6                 11  6 x 1 -> 3 x 2 -> 1 x 4
    -----------------------------------------------------------------
      total       6                 11  at most 4 calls for one trial
    >>> search.fit(X, y).best_score_ > 0.9
    True
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
        resource: Any = "auto",
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
        self.resource = resource

    def _schedule(self) -> Schedule:
        check_methods(f"schedule={self.schedule!r}", self.schedule, ("ask", "tell", "plan", "leading"), "dhpo.Schedule")
        made: Schedule = deepcopy(self.schedule)
        return made
