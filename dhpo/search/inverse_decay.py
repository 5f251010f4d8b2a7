"""Searches that train all trials side by side, and keep ever fewer of them."""

from __future__ import annotations

from typing import Any

from dhpo.schedules.base import Schedule
from dhpo.schedules.inverse_decay import InverseDecay
from dhpo.search.sampled import InitialParameters, with_patience

__all__ = ["InverseDecaySearchCV"]


class InverseDecaySearchCV(InitialParameters):
    """Train many candidates, and keep 1 / (1 + k)**decay_rate of them after k calls of `partial_fit`.

    The parameters and learned attributes are those of `dask_ml.model_selection.InverseDecaySearchCV`.

    "Which search should I use?" in the documentation compares it with the others.

    Parameters
    ----------
    estimator : estimator
        With `partial_fit`, `get_params` and `set_params`.
    parameters : dict or list of dict
        Names of parameters with lists of values or distributions (`rvs`), as for scikit-learn's RandomizedSearchCV.
    n_initial_parameters : int or "grid", default 10
        Number of candidates, or all points of the grid.
    test_size : float or "block", optional
        Share of the rows of every block to score on. Default: in all as many rows as one block has, or 10,000 if that
        is more, but never more than a fifth. "block" is dask-ml's default: as many rows as one block has, however few.
    patience : int or False, default False
        Stop a trial whose score has not risen by more than `tol` in this many `partial_fit` calls.
    tol : float or None, default 0.001
        The smallest rise of the score that counts as an improvement. None switches `patience` off.
    fits_per_score : int, default 1
        `partial_fit` calls between scores.
    max_iter : int, default 100
        Most `partial_fit` calls of one trial.
    random_state : int, RandomState, Generator or None, default None
        Repeats the search exactly, on any cluster, unless the sampler learns.
    scoring : str, callable, list, tuple, dict or None, default None
        As in scikit-learn. None is the estimator's own `score`. If a metric fails that `refit` does not name, its
        score is nan.
    verbose : bool or int, default True
        Show progress: in a terminal, in a notebook, or else as a line of the log every ten seconds.
    prefix : str, default ""
        Accepted for compatibility.
    decay_rate : float, default 1.0
        Higher drops candidates sooner; 0 drops none.
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

    Examples
    --------
    >>> import dask.array as da
    >>> from scipy.stats import loguniform
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import InverseDecaySearchCV
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> space = {"alpha": loguniform(1e-5, 10)}
    >>> search = InverseDecaySearchCV(
    ...     SGDClassifier(), space, n_initial_parameters=8, max_iter=9, random_state=0, verbose=0
    ... )
    >>> print(search.plan())
    bracket  trials  partial_fit calls  rungs (trials x calls each)
    -----------------------------------------------------------------
          0       8                 16  8 x 1 -> 4 x 2 -> 2 x 4
    -----------------------------------------------------------------
      total       8                 16  at most 4 calls for one trial
    >>> search.fit(X, y).best_score_ > 0.9
    True
    """

    def __init__(
        self,
        estimator: Any,
        parameters: Any,
        n_initial_parameters: int | str = 10,
        test_size: float | str | None = None,
        patience: Any = False,
        tol: float | None = 0.001,
        fits_per_score: int = 1,
        max_iter: int = 100,
        random_state: Any = None,
        scoring: Any = None,
        verbose: Any = True,
        prefix: str = "",
        decay_rate: float = 1.0,
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
        sampler: Any = "random",
        resource: Any = "auto",
        max_resource: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.parameters = parameters
        self.n_initial_parameters = n_initial_parameters
        self.test_size = test_size
        self.patience = patience
        self.tol = tol
        self.fits_per_score = fits_per_score
        self.max_iter = max_iter
        self.random_state = random_state
        self.scoring = scoring
        self.verbose = verbose
        self.prefix = prefix
        self.decay_rate = decay_rate
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
        self.sampler = sampler
        self.resource = resource
        self.max_resource = max_resource

    def _schedule(self) -> Schedule:
        schedule = InverseDecay(self._n_trials(), self._most(), self.decay_rate, self.fits_per_score)
        return with_patience(schedule, self.patience, self.tol, self.fits_per_score)
