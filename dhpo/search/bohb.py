"""Hyperband whose trials are suggested by a model of those before."""

from __future__ import annotations

from typing import Any

from dhpo.search.hyperband import HyperbandSearchCV

__all__ = ["BOHBSearchCV"]


class BOHBSearchCV(HyperbandSearchCV):
    """Hyperband whose candidates are suggested by Optuna's TPE sampler, as in BOHB.

    It is `HyperbandSearchCV` with ``sampler="tpe"``, and needs the extra ``optuna``. Each rung has a model of its own,
    and the highest one with enough scores suggests the candidates: three more than there are parameters, and at least
    ten. Unlike in the paper, no share of the candidates is drawn at random. The model knows what was scored when a
    candidate is begun, so other numbers of threads give other candidates. A bracket is begun when those before it
    leave a thread without work: on one thread it knows all of them; with more threads than a bracket has candidates,
    several are begun at once and know little of each other. Early scores tell little of late ones for many estimators:
    compare with `ASHASearchCV` before you rely on it.

    "Which search should I use?" in the documentation compares it with the others.

    Parameters
    ----------
    estimator : estimator
        With `partial_fit`, `get_params` and `set_params`.
    parameters : dict or list of dict
        Names of parameters with lists of values or distributions (`rvs`), as for scikit-learn's RandomizedSearchCV.
    max_iter : int, default 81
        Most `partial_fit` calls of one trial; R in the paper.
    aggressiveness : float, default 3
        The reduction factor; eta in the paper; 2 or more.
    patience : bool or int, default False
        Stop trials that no longer improve; True waits max_iter // aggressiveness calls. `patience` should not be lower
        than that: Hyperband stops trials early itself.
    tol : float or None, default 0.001
        The smallest rise of the score that counts as an improvement. None switches `patience` off.
    test_size : float or "block", optional
        Share of the rows of every block to score on. Default: in all as many rows as one block has, or 10,000 if that
        is more, but never more than a fifth. "block" is dask-ml's default: as many rows as one block has, however few.
    random_state : int, RandomState, Generator or None, default None
        Repeats the search exactly, on any cluster, unless the sampler learns.
    scoring : str, callable, list, tuple, dict or None, default None
        As in scikit-learn. None is the estimator's own `score`. If a metric fails that `refit` does not name, its
        score is nan.
    verbose : bool or int, default True
        Show progress: in a terminal, in a notebook, or else as a line of the log every ten seconds.
    prefix : str, default ""
        Accepted for compatibility.
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
    sampler : "random", "grid", "sobol", "tpe", "gp", "cmaes", "nsga2", Sampler or optuna sampler, default "tpe"
        What gives the parameters of the trials. "tpe" makes the search what its name says; all others are as in
        `HyperbandSearchCV`, whose search it is then.
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
    .. [1] Falkner, S., Klein, A. and Hutter, F. (2018). BOHB: Robust and efficient hyperparameter optimization at
       scale. ICML 2018. https://proceedings.mlr.press/v80/falkner18a.html

    Examples
    --------
    >>> import dask.array as da
    >>> from scipy.stats import loguniform
    >>> from sklearn.linear_model import SGDClassifier
    >>> from dhpo import BOHBSearchCV
    >>> X = da.random.default_rng(0).normal(size=(10_000, 5), chunks=(1_000, 5))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> space = {"alpha": loguniform(1e-5, 10), "penalty": ["l1", "l2"]}
    >>> search = BOHBSearchCV(SGDClassifier(), space, max_iter=9, random_state=0, verbose=0)
    >>> search.fit(X, y).best_score_ > 0.9
    True
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
        sampler: Any = "tpe",
        resource: Any = "auto",
        max_resource: int | None = None,
    ) -> None:
        super().__init__(
            estimator,
            parameters,
            max_iter=max_iter,
            aggressiveness=aggressiveness,
            patience=patience,
            tol=tol,
            test_size=test_size,
            random_state=random_state,
            scoring=scoring,
            verbose=verbose,
            prefix=prefix,
            predict_meta=predict_meta,
            predict_proba_meta=predict_proba_meta,
            transform_meta=transform_meta,
            refit=refit,
            cv=cv,
            trial_timeout=trial_timeout,
            time_budget=time_budget,
            max_failures=max_failures,
            speculate=speculate,
            callbacks=callbacks,
            sampler=sampler,
            resource=resource,
            max_resource=max_resource,
        )
